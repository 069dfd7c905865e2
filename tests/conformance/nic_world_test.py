#!/usr/bin/python3
"""The world of a NIC without a NIC: veths stand for the PF with its cable and for VFs with their representors, in
a network namespace of the test's own. What moves where, what a guest at a VF sends and hears, and that all is as
it was afterwards."""
import json
import os
import shutil
import socket
import sys
import tempfile
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent.parent / "tools")]

from trial.process import run  # noqa: E402

SKIPPED = 77
INSIDE = "BERTH_NIC_WORLD_TEST"
ETH_P_ALL = 3
PCI = "0000:3b:00.0"
CABLES = (("up0", "wire0"), ("vf-a", "rep0"), ("vf-b", "rep1"))
VM_MAC = "02:00:00:00:01:05"


def links():
    """What there is in this namespace: name -> (MAC, MTU, IPv4 addresses)."""
    return {link["ifname"]: (link["address"], link["mtu"], [a["local"] for a in link["addr_info"] if a["family"] == "inet"])
            for link in json.loads(run("ip", "-j", "address").stdout)}


def frame(destination, source=VM_MAC, ethertype="88b5", payload=b"some of the VM's own words"):
    return bytes.fromhex((destination + source).replace(":", "") + ethertype) + payload


def router_advertisement(payload_type):
    return frame("33:33:00:00:00:01", kinds.GATEWAY_MAC, "86dd", bytes(40) + bytes([payload_type]) + bytes(7))


class ANic(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.sysfs = Path(cls.enterClassContext(tempfile.TemporaryDirectory()))
        for one, other in CABLES:
            run("ip", "link", "add", one, "type", "veth", "peer", "name", other)
            for device in (one, other):
                Path(f"/proc/sys/net/ipv6/conf/{device}/disable_ipv6").write_text("1\n")
        for netdev in ("up0", "rep0"):
            run("ip", "link", "set", netdev, "up")
        device = cls.sysfs / "bus/pci/devices" / PCI
        for netdev, port in (("rep0", "pf0vf0"), ("up0", "p0")):
            (device / "net" / netdev).mkdir(parents=True)
            (device / "net" / netdev / "phys_port_name").write_text(port + "\n")
        for number, netdev in enumerate(("vf-a", "vf-b")):
            (device / f"virtfn{number}/net" / netdev).mkdir(parents=True)

        cls.before = links()

    def setUp(self):
        self.world = NicWorld(f"n{os.getpid()}", PCI, [0, 1], "wire0", sysfs=self.sysfs)

    def test_devices_are_where_they_belong_and_come_back(self):
        with self.world as world:
            self.assertEqual((world.uplink, world.wire, world.host), ("up0", "wire0", None))
            inside = links()
            self.assertEqual(inside["up0"][1:], (1600, ["192.0.2.1"]))
            self.assertFalse({"wire0", "vf-a", "vf-b"} & inside.keys())
            netns, device = world.give_vf(1, VM_MAC)
            self.assertEqual(device, "vf-b")
            self.assertIn(VM_MAC, run("ip", "link", "show", "vf-b", netns=netns).stdout)
            reached = run("ping", "-c1", "-W5", "192.0.2.1", netns=world.peer, check=False)
            self.assertEqual(reached.returncode, 0, reached.stdout)
        self.assertEqual(links(), self.before)

    def test_a_guest_at_a_vf_sends_and_hears_what_a_vm_would(self):
        with self.world as world:
            place = world.give_vf(0, VM_MAC)
            guest, neighbour = VfGuest(*place), VfGuest(*place)
            self.addCleanup(guest.close)
            self.addCleanup(neighbour.close)
            representor = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
            self.addCleanup(representor.close)
            representor.bind(("rep0", ETH_P_ALL))
            representor.settimeout(10)
            sent = frame("02:be:27:48:00:01")
            guest.send(sent)
            self.assertEqual(representor.recv(2048), sent)
            self.assertIsNone(neighbour.receive(0), "what leaves the VF has not come to it")
            # Passed over, what a probe sends too; everything else is heard, groups of IPv6 included.
            representor.send(router_advertisement(guest_module.ROUTER_ADVERTISEMENT))
            representor.send(frame(VM_MAC, payload=guest_module.PROBE + bytes(20)))
            solicited = router_advertisement(136)
            representor.send(solicited)
            representor.send(frame(VM_MAC, "02:00:00:00:01:06"))
            self.assertEqual(guest.receive(10), solicited)
            self.assertEqual(guest.receive(10), frame(VM_MAC, "02:00:00:00:01:06"))

    def test_the_wire_is_the_netdev_that_was_named(self):
        with self.world as world:
            wire = Wire(world, "02:00:00:00:00:01")
            self.addCleanup(wire.close)
            cable = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
            self.addCleanup(cable.close)
            cable.bind(("up0", ETH_P_ALL))
            sent = frame(wire.mac)
            cable.send(sent)
            while (received := wire.receive(10)) and received[12:14] != sent[12:14]:
                pass  # the kernels at the two ends find each other
            self.assertEqual(received, sent)


def main():
    missing = [] if os.geteuid() == 0 else ["root (network namespaces)"]
    missing += [f"{name} (tools/deps install test)" for name in ("ip", "ethtool", "ping", "nsenter", "unshare")
                if not shutil.which(name)]
    if missing:
        print("SKIPPED: this needs " + "; ".join(missing))
        return SKIPPED
    if INSIDE not in os.environ:
        os.environ[INSIDE] = "1"
        os.execvp("unshare", ["unshare", "--net", sys.executable, *sys.argv])
    run("ip", "link", "set", "lo", "up")
    unittest.main(argv=sys.argv[:1])


if __name__ == "__main__":
    import guest as guest_module
    import kinds
    from guest import VfGuest
    from nic_world import NicWorld
    from wire import Wire
    sys.exit(main())
