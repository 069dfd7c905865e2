"""The world of a scenario whose eSwitch is a NIC's: berthd in the machine's own network namespace, where the PF
and its representors are; the netdev of the wire in the peer's, and each VF's in one of its own.

At the end everything is where and as it was. When the run is killed the kernel brings devices of hardware back as
their namespaces end; what stays then are MTUs, MACs, and the tunnel address on the PF, which the next run has, too.

Proven on veths in the place of a NIC (nic_world_test.py), never on a NIC.
"""
import json
import os
from pathlib import Path

import mlx5
from trial.process import run
from trial.world import UNDERLAY_MTU, World, ip

# Checksums, pieces and tags as they are on the wire.
OFFLOADS = ("rx", "tx", "tso", "gso", "gro", "rxvlan", "txvlan")


class NicWorld(World):
    def __init__(self, name, pci, vfs, wire, underlay="ipv4", sysfs=Path("/sys")):
        super().__init__(name, underlay=underlay)
        self.host = None
        self.uplink, self.wire = mlx5.uplink_of(pci, sysfs), wire
        self._vfs = [mlx5.netdev_of_vf(pci, vf, sysfs) for vf in vfs]

    def give_vf(self, number, mac):
        """(namespace, device) of the VF, up and with this MAC."""
        netns, device = self._vf_namespace(number), self._vfs[number]
        ip([f"link set {device} down", f"link set {device} address {mac}", f"link set {device} up"], netns=netns)
        return netns, device

    def _build(self):
        self.add_namespace("peer")
        self._remember(self.uplink)
        self._move(self.wire, self.peer)
        for device, netns in ((self.uplink, self.host), (self.wire, self.peer)):
            ip([f"link set {device} mtu {UNDERLAY_MTU}"], netns=netns)
        self.address_ends()
        self.at_end(ip, [f"address delete {self.host_vtep}/{self._vtep_prefix} dev {self.uplink}"])
        for number, device in enumerate(self._vfs):
            self.add_namespace(f"vf{number}")
            self._move(device, self._vf_namespace(number))

    def _vf_namespace(self, number):
        return f"berth-{self.name}-vf{number}"

    def _move(self, device, netns):
        self._remember(device)
        ip([f"link set {device} netns {netns}"])
        self.at_end(ip, [f"link set {device} netns {os.getpid()}"], netns)
        for offload in OFFLOADS:  # one by one: a device may not have all of them, or not let go of one
            run("ethtool", "-K", device, offload, "off", netns=netns, check=False)

    def _remember(self, device):
        """What it is again at the end, when it is back."""
        link = json.loads(run("ip", "-j", "link", "show", device).stdout)[0]
        self.at_end(ip, [f"link set {device} mtu {link['mtu']} address {link['address']}"])
