#!/usr/bin/python3
"""Endpoints that are not ours: dpdk-testpmd and Linux as the VMs, Linux's own VXLAN as the other host, both
families.

    endpoints_test.py --berthd PATH --berthctl PATH
"""
import argparse
import os
import socket
import sys
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tools"))

from trial.agent import Agent  # noqa: E402
from trial.guest import Guest, LinuxGuest  # noqa: E402
from trial.peer import PeerVm, ping  # noqa: E402
from trial.process import TrialError, wait_until  # noqa: E402
from trial.world import PEER_VTEP, World, socket_in, what_is_missing  # noqa: E402

PEER = {"mac": "02:00:00:00:01:06", "ipv4": "10.1.0.6", "ipv6": "2001:db8:1::6"}
VMS = {"echo": {"mac": "02:00:00:00:01:05", "ipv4": "10.1.0.5", "ipv6": "2001:db8:1::5", "mode": "icmpecho"},
       "swap": {"mac": "02:00:00:00:01:07", "ipv4": "10.1.0.7", "ipv6": "2001:db8:1::7", "mode": "5tswap"},
       "source": {"mac": "02:00:00:00:01:08", "ipv4": "10.1.0.8", "mode": "rxonly", "sends_to": "10.1.0.9"},
       "sink": {"mac": "02:00:00:00:01:09", "ipv4": "10.1.0.9", "mode": "rxonly"}}
LINUX = {"mac": "02:00:00:00:01:0a", "ipv4": "10.1.0.10", "ipv6": "2001:db8:1::10"}
GATEWAYS = ("10.1.0.1", "2001:db8:1::1")
VPCS = f"""\
[[vpc]]
id = "blue"
vni = 7001
[[vpc.subnet]]
prefix = "10.1.0.0/24"
gateway = "10.1.0.1"
[[vpc.subnet]]
prefix = "2001:db8:1::/64"
gateway = "2001:db8:1::1"
""" + "".join(f"""\
[[vpc.mapping]]
ip = "{PEER[family]}"
mac = "{PEER['mac']}"
vtep = "{PEER_VTEP}"
""" for family in ("ipv4", "ipv6"))
BURST = 128  # fewer than a virtio ring has buffers: none may be lost
TRIAL = None


class Trial:
    """One berthd with all VMs, for all tests."""

    def __init__(self, world, options):
        self.agent = Agent(world, options.berthd, options.berthctl, ROOT / "tools/certs",
                           functions=len(VMS) + 1)
        self.peer = PeerVm(world, "blue", 7001, PEER["ipv4"], PEER["mac"], PEER["ipv6"])
        self.agent.wait_ready()
        self.agent.push(VPCS)
        self.attachments, self.guests = {}, {}
        for name, vm in VMS.items():
            addresses = [vm[family] for family in ("ipv4", "ipv6") if family in vm]
            done = self.agent.attach(name, "blue", addresses, vm["mac"])
            self.attachments[name] = done["attachment"]
            self.guests[name] = Guest(world, name, done["interfaces"][0]["port"]["socket"], vm["mac"], netns=world.host,
                                      mode=vm["mode"], addresses=(vm["ipv4"], vm.get("sends_to", PEER["ipv4"])))
            for address in addresses:
                self.peer.knows(address, vm["mac"])
        done = self.agent.attach("linux", "blue", [LINUX["ipv4"], LINUX["ipv6"]], LINUX["mac"])
        self.linux = LinuxGuest(world, "linux", done["interfaces"][0]["port"]["socket"], LINUX["mac"], LINUX["ipv4"], LINUX["ipv6"],
                                GATEWAYS)
        for family in ("ipv4", "ipv6"):
            self.peer.knows(LINUX[family], LINUX["mac"])
        self.linux.wait_ready()
        for guest in self.guests.values():
            guest.wait_ready()

    def counter(self, name, counter):
        return self.agent.counters(self.attachments[name])[counter]


class Endpoints(unittest.TestCase):
    def assert_reaches(self, read, wanted, what):
        try:
            wait_until(lambda: read() == wanted, 10, what)
        except TrialError:
            self.assertEqual(read(), wanted, what)

    def test_linux_on_the_other_host_pings_testpmd(self):
        self.assertEqual(TRIAL.peer.ping(VMS["echo"]["ipv4"], 10), (10, 10))

    def test_linux_as_a_vm_reaches_its_gateway_its_neighbour_and_the_other_host_in_both_families(self):
        netns = TRIAL.linux.netns
        for address in (*GATEWAYS, VMS["echo"]["ipv4"], PEER["ipv4"], PEER["ipv6"]):
            with self.subTest(address=address):
                self.assertEqual(ping(netns, address, 5), (5, 5))
        for address in (LINUX["ipv4"], LINUX["ipv6"]):
            with self.subTest(address=address):
                self.assertEqual(TRIAL.peer.ping(address, 5), (5, 5))

    def assert_comes_back(self, family, name):
        """Datagrams of several sizes, sent by Linux through its VXLAN, swapped by the VM, taken by Linux."""
        with socket_in(TRIAL.peer.netns, family, socket.SOCK_DGRAM) as ours:
            ours.settimeout(10)
            there = (VMS["swap"][name], 7)
            for size in (1, 100, 1400):
                ours.sendto(bytes([size % 251]) * size, there)
                answer, source = ours.recvfrom(65536)
                self.assertEqual((answer, source[:2]), (bytes([size % 251]) * size, there))

    def test_udp_over_ipv4_comes_back_from_a_swapping_vm(self):
        self.assert_comes_back(socket.AF_INET, "ipv4")

    def test_udp_over_ipv6_comes_back_from_a_swapping_vm(self):
        self.assert_comes_back(socket.AF_INET6, "ipv6")

    def test_a_burst_between_two_vms_of_one_host_arrives_and_is_counted_on_both_sides(self):
        TRIAL.guests["source"].send(BURST)
        self.assert_reaches(lambda: TRIAL.counter("sink", "to_vm_packets"), BURST, "delivered to the sink")
        self.assertEqual(TRIAL.counter("source", "from_vm_packets"), BURST)
        self.assert_reaches(lambda: TRIAL.guests["sink"].packets(), (BURST, 0), "received and sent by the sink")
        self.assertEqual(TRIAL.guests["source"].packets(), (0, BURST))


def main():
    global TRIAL
    parser = argparse.ArgumentParser()
    parser.add_argument("--berthd", type=Path, required=True)
    parser.add_argument("--berthctl", type=Path, required=True)
    options = parser.parse_args()
    if missing := what_is_missing():
        print("SKIPPED: this needs " + "; ".join(missing))
        return 77
    with World(f"e{os.getpid()}") as world:
        TRIAL = Trial(world, options)
        result = unittest.main(argv=sys.argv[:1], exit=False, verbosity=2).result
        if not result.wasSuccessful():
            print("The end of berthd's log:\n" + TRIAL.agent.log_tail())
    return 0 if result.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main())
