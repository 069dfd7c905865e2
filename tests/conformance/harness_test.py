#!/usr/bin/python3
"""The conformance harness itself: what it must notice, it notices. No root, no network."""
import sys
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent.parent / "tools")]

try:
    import frames
    import scenario
except ImportError as error:
    print(f"SKIPPED: {error} (tools/deps install test)")
    sys.exit(77)

from scapy.layers.inet import IP, TCP, UDP  # noqa: E402
from scapy.layers.l2 import Dot1Q, Ether  # noqa: E402
from scapy.layers.vxlan import VXLAN  # noqa: E402

WEB, DB = {"mac": "02:00:00:00:01:05", "ip": "10.1.0.5"}, {"mac": "02:00:00:00:01:06", "ip": "10.1.0.6"}
NAMES = {"web": WEB, "db": DB, "host": {"ip": "192.0.2.1"}, "peer": {"ip": "192.0.2.2"}}


def resolve(kind, name):
    return NAMES[name]["mac" if kind == "eth" else "ip"] if name in NAMES else name


def ethernet(_):
    return {"src": WEB["mac"], "dst": DB["mac"]}


def inner():
    return (Ether(src=WEB["mac"], dst=DB["mac"]) / IP(src="10.1.0.5", dst="10.1.0.6") /
            TCP(sport=40000, dport=5432) / b"payload")


def tunnelled(packet, vni=7001):
    outer = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / IP(src="192.0.2.1", dst="192.0.2.2")
    return outer / UDP(sport=50000, dport=4789, chksum=0) / VXLAN(vni=vni, flags=8) / packet


WANTED = "ipv4 host > peer / udp > 4789 / vxlan 7001 / eth web > db / ipv4 web > db / tcp 40000 > 5432 / same-inner"


def difference(packet, wanted=WANTED):
    return frames.difference(bytes(packet), frames.parse(wanted, resolve), bytes(inner()))


class Frames(unittest.TestCase):
    def test_text_builds_the_frame_it_describes(self):
        layers = frames.parse("ipv4 web > db / tcp 40000 > 5432", resolve)
        self.assertEqual(frames.build(layers, ethernet, b"payload"), bytes(inner()))

    def test_every_layer_without_ethernet_gets_one_of_its_own(self):
        layers = frames.parse("eth web > db / ipv4 host > peer / udp 50000 > 4789 / vxlan 7001 / ipv4 web > db",
                              resolve)
        built = Ether(frames.build(layers, ethernet, b"x"))
        self.assertEqual(built[VXLAN].payload[Ether].dst, DB["mac"])
        self.assertEqual((built[UDP].chksum, built[VXLAN].flags.value), (0, 8))

    def test_the_wanted_frame_has_no_difference(self):
        self.assertIsNone(difference(tunnelled(inner())))

    def test_every_difference_is_named(self):
        changed = inner()
        changed[IP].ttl = 63
        other_mac = inner()
        other_mac.dst = "02:00:00:00:01:99"
        for packet, why in [
                (tunnelled(inner(), vni=7002), "vxlan vni is 7002, not 7001"),
                (tunnelled(tunnelled(inner())), "eth src"),
                (tunnelled(changed), "not the one that was sent"),
                (tunnelled(other_mac), "eth dst is 02:00:00:00:01:99"),
                (inner(), "ipv4 src is 10.1.0.5"),
                (Ether(dst=DB["mac"]) / Dot1Q(vlan=5) / IP(), "ipv4 expected, found 802.1Q"),
                (Ether(dst=DB["mac"], type=0x1234), "nothing more")]:
            with self.subTest(why=why):
                self.assertIn(why, difference(packet))

    def test_a_sound_frame_has_no_faults(self):
        self.assertEqual(list(frames.faults(bytes(tunnelled(inner())))), [])
        self.assertEqual(list(frames.faults(bytes(inner()))), [])

    def test_wrong_checksums_lengths_and_double_tunnels_are_faults(self):
        wrong_ip, wrong_tcp, long_udp = inner(), inner(), tunnelled(inner())
        wrong_ip[IP].chksum = 0x1234
        wrong_tcp[TCP].chksum = 0x1234
        long_udp[UDP].len = 9000
        for packet, why in [(wrong_ip, "IP checksum"), (wrong_tcp, "TCP checksum"), (long_udp, "UDP says 9000"),
                            (tunnelled(tunnelled(inner())), "more than one VXLAN")]:
            with self.subTest(why=why):
                self.assertIn(why, " ".join(frames.faults(bytes(packet))))

    def test_nonsense_is_refused(self):
        for text in ["ipx web > db", "tcp 1", "vlan five", "", "ipv4 web db"]:
            with self.subTest(text=text), self.assertRaises(frames.FrameTextError):
                frames.parse(text, resolve)


class Scenarios(unittest.TestCase):
    def test_every_scenario_of_the_tree_can_be_read(self):
        files = sorted((HERE / "scenarios").glob("*.scenario"))
        self.assertTrue(files)
        for file in files:
            with self.subTest(file=file.name):
                title, statements = scenario.parse(file.read_text())
                for statement in statements:
                    if "frame" in statement.words:
                        frames.parse(statement.words["frame"], lambda _, name: name)

    def test_faults_are_named_by_line(self):
        head = "scenario: x\nvpc blue vni 1 subnet 10.0.0.0/8 gateway 10.0.0.1\n"
        for line in ["sent web ipv4 > db", "vpc blue vni x", "expect counter web", "port web ip 10.1.0.5"]:
            with self.subTest(line=line), self.assertRaisesRegex(scenario.ScenarioError, "line 3"):
                scenario.parse(head + line + "\nexpect dropped by spoof-drop\n")

    def test_a_scenario_that_expects_nothing_is_refused(self):
        with self.assertRaises(scenario.ScenarioError):
            scenario.parse("scenario: x\nvpc blue vni 1 subnet 10.0.0.0/8 gateway 10.0.0.1\n")


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
