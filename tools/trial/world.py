"""The world of one trial: two hosts, each a network namespace, and the underlay between them.

    with World("quickstart") as world: ...   # processes, namespaces and folder end with it

       berth-NAME-host           berth-NAME-peer
       berth-up0 192.0.2.1  ---  eth0 192.0.2.2       (an IPv6 underlay: 2001:db8:ffff::1 and ::2)

The machine's own network is not touched: its addresses may well be those of the trial.
"""
import ctypes
import json
import os
import shutil
import socket
import threading
from contextlib import ExitStack

from . import leftovers
from .process import Child, TrialError, netns_prefix, run

UPLINK = "berth-up0"
HOST_VTEP = "192.0.2.1"
PEER_VTEP = "192.0.2.2"
VTEPS = {"ipv4": (HOST_VTEP, PEER_VTEP, 24), "ipv6": ("2001:db8:ffff::1", "2001:db8:ffff::2", 64)}
UNDERLAY_MTU = 1600  # 1500 for the tenants and 50 for the tunnel (70 on IPv6)
CLONE_NEWNET = 0x40000000

NEEDED = ("ip", "bridge", "ethtool", "ping", "tshark", "openssl", "dpdk-testpmd", "setpriv", "nsenter")


def what_is_missing():
    """Why no trial can run here; empty when one can."""
    missing = []
    if os.geteuid() != 0:
        missing.append("root (network namespaces)")
    missing += [f"{program} (tools/deps install test)" for program in NEEDED if not shutil.which(program)]
    if not missing:
        probe = run("unshare", "--net", "true", check=False)
        if probe.returncode:
            missing.append(f"network namespaces ({probe.stderr.strip()})")
    return missing


def ip(lines, netns=None):
    """Runs lines of `ip` commands in one go."""
    run("ip", "-batch", "-", text="\n".join(lines) + "\n", netns=netns)


def socket_in(netns, *arguments):
    """A socket of another network namespace. It stays there; the calling thread does not move."""
    made = []

    def make():
        with open(f"/run/netns/{netns}") as namespace:
            if ctypes.CDLL(None).setns(namespace.fileno(), CLONE_NEWNET):
                return
        made.append(socket.socket(*arguments))

    thread = threading.Thread(target=make)
    thread.start()
    thread.join()
    if not made:
        raise TrialError(f"cannot open a socket in namespace {netns}")
    return made[0]


def mac_of(device, netns):
    return json.loads(run("ip", "-j", "link", "show", device, netns=netns).stdout)[0]["address"]


def allow_ipv6(device, netns):
    """Neighbour discovery, but no router solicitations and no waiting for duplicates."""
    settings = (("router_solicitations", 0), ("accept_dad", 0), ("disable_ipv6", 0))
    writes = [f"echo {value} > /proc/sys/net/ipv6/conf/{device}/{name}" for name, value in settings]
    run("sh", "-ec", "; ".join(writes), netns=netns)


class World:
    def __init__(self, name, outlives=False, underlay="ipv4"):
        assert name.isalnum(), "a trial's name is part of its namespaces' names"
        self.underlay = underlay
        self.host_vtep, self.peer_vtep, self._vtep_prefix = VTEPS[underlay]
        self.name = name
        self.folder = leftovers.ROOT / name
        self.host = f"berth-{name}-host"
        self.peer = f"berth-{name}-peer"
        self.uplink, self.wire = UPLINK, "eth0"  # the devices at the two ends of the underlay
        self.outlives = outlives
        self.is_kept = False
        self._at_end = ExitStack()

    def __enter__(self):
        leftovers.sweep()
        self._lock = leftovers.take_lock(self.name)
        if not self._lock:
            raise TrialError(f"a trial named {self.name} is running already")
        leftovers.remove(self.name)  # one that was kept
        self.folder.mkdir(mode=0o700)
        try:
            self._build()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_):
        if not self.is_kept:
            self.close()

    def keep(self):
        """Leaves everything running when the block ends; the next trial of this name removes it."""
        (self.folder / "kept").touch()
        self.is_kept = True

    def close(self):
        self._at_end.close()
        leftovers.remove(self.name)
        leftovers.release_lock(self.name, self._lock)

    def at_end(self, function, *arguments):
        """Calls `function` when the world ends, before its namespaces go; last in, first out."""
        self._at_end.callback(function, *arguments)

    def spawn(self, name, argv, netns=None, wants_input=False):
        child = Child(self.name, name, argv, self.folder / f"{name}.log", netns=netns,
                      outlives=self.outlives, wants_input=wants_input)
        self.at_end(child.stop)
        return child

    def add_namespace(self, suffix):
        name = f"berth-{self.name}-{suffix}"
        ip([f"netns add {name}"])
        # Without this every device would send IPv6 router solicitations through our tunnel.
        run("sh", "-c", "for f in all default; do echo 1 > /proc/sys/net/ipv6/conf/$f/disable_ipv6; done", netns=name)
        ip(["link set lo up"], netns=name)
        return name

    def in_host(self, *argv):
        return [*netns_prefix(self.host), *argv]

    def _build(self):
        self.add_namespace("host")
        self.add_namespace("peer")
        ip([f"link add {self.uplink} mtu {UNDERLAY_MTU} type veth "
            f"peer name {self.wire} mtu {UNDERLAY_MTU} netns {self.peer}"], netns=self.host)
        self.address_ends()
        # A veth leaves checksums and segmentation to hardware it does not have.
        for device, netns in ((self.uplink, self.host), (self.wire, self.peer)):
            run("ethtool", "-K", device, "tx", "off", "tso", "off", "gso", "off", "gro", "off", netns=netns)

    def address_ends(self):
        """The tunnel ends' addresses, on devices that are where they belong; up."""
        for device, netns, vtep in ((self.uplink, self.host, self.host_vtep), (self.wire, self.peer, self.peer_vtep)):
            if self.underlay == "ipv6":
                allow_ipv6(device, netns)
            ip([f"address replace {vtep}/{self._vtep_prefix} dev {device}{' nodad' if self.underlay == 'ipv6' else ''}",
                f"link set {device} up"], netns=netns)
