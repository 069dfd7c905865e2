"""VMs of the other host, as a static controller would set them up there: one kernel VXLAN device per VPC,
no learning, each VM of our host known by a static neighbour and a static forwarding entry."""
import re

from .process import run
from .world import HOST_VTEP, PEER_VTEP, allow_ipv6, ip


class PeerVm:
    """A VM of a VPC on the other host: a namespace of its own, because VPCs overlap in addresses."""

    def __init__(self, world, vpc, vni, address, mac, ipv6=None):
        self.netns = world.add_namespace(vpc)
        device = f"vx{vni}"
        # Made in the other host's namespace and moved: its outside stays on the underlay there.
        ip([f"link add {device} mtu 1500 address {mac} type vxlan id {vni} dstport 4789 "
            f"local {PEER_VTEP} nolearning",
            f"link set {device} netns {self.netns} name eth0"], netns=world.peer)
        addresses = [f"address add {address}/24 dev eth0"]
        if ipv6:
            allow_ipv6("eth0", self.netns)
            addresses.append(f"address add {ipv6}/64 dev eth0 nodad")
        ip([*addresses, "link set eth0 up"], netns=self.netns)

    def knows(self, address, mac):
        """A VM behind our host's VTEP, as the controller would announce it."""
        ip([f"neighbour replace {address} lladdr {mac} dev eth0 nud permanent"], netns=self.netns)
        run("bridge", "fdb", "replace", mac, "dev", "eth0", "dst", HOST_VTEP, netns=self.netns)

    def ping(self, address, count, wait_seconds=1):
        """(sent, received)"""
        return ping(self.netns, address, count, wait_seconds)


def ping(netns, address, count, wait_seconds=1):
    """(sent, received) by Linux's ping in this namespace, in either family."""
    result = run("ping", "-n", "-q", "-c", count, "-i", "0.05", "-W", wait_seconds, address,
                 netns=netns, check=False, timeout=30)
    match = re.search(r"(\d+) packets transmitted, (\d+) received", result.stdout)
    return (int(match.group(1)), int(match.group(2))) if match else (0, 0)
