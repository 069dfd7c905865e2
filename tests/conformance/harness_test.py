#!/usr/bin/python3
"""The conformance harness itself: what it must notice, it notices. No root, no network."""
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent.parent / "tools")]

try:
    import frames
    import guest
    import mlx5
    import network
    import scenario
    import streams
except ImportError as error:
    print(f"SKIPPED: {error} (tools/deps install test)")
    sys.exit(77)

from scapy.layers.inet import IP, TCP, UDP  # noqa: E402
from scapy.layers.inet6 import IPv6  # noqa: E402
from scapy.layers.l2 import Dot1Q, Ether  # noqa: E402
from scapy.layers.vxlan import VXLAN  # noqa: E402

from trial import agent  # noqa: E402
from trial.process import wait_until  # noqa: E402

BERTHD = os.environ.get("BERTHD")

WEB = {"mac": "02:00:00:00:01:05", "ipv4": "10.1.0.5", "ipv6": "2001:db8:1::5"}
DB = {"mac": "02:00:00:00:01:06", "ipv4": "10.1.0.6", "ipv6": "2001:db8:1::6"}
NAMES = {"web": WEB, "db": DB, "host": {"ipv4": "192.0.2.1"}, "peer": {"ipv4": "192.0.2.2"}}


def resolve(kind, name):
    return NAMES[name]["mac" if kind == "eth" else kind] if name in NAMES else name


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

    # A text, and texts that differ from it in one thing.
    PAIRS = [
        ("arp who-has db from web at web", ["arp who-has 10.1.0.9", "arp who-has db from db", "arp who-has db at db",
                                            "arp db is-at web"]),
        ("arp db is-at web", ["arp db is-at db", "arp web is-at web", "arp who-has db"]),
        ("ipv6 web > db / udp 1 > 2", ["ipv6 db > db", "ipv6 web > web", "ipv4 web > db", "ipv6 web > db / tcp 1 > 2"]),
        ("ipv6 web > db / icmp6 echo-reply", ["ipv6 > / icmp6 echo-request", "ipv6 > / icmp"]),
        ("ipv4 web > db df / udp 1 > 2", ["ipv4 web > db / tcp 1 > 2"]),
        ("ipv4 web > db / udp 1 > 2", ["ipv4 web > db df"]),
        ("ipv4 web > db / icmp fragmentation-needed mtu 1400", [
            "ipv4 > / icmp fragmentation-needed mtu 1500", "ipv4 > / icmp echo-request"]),
        ("ipv6 web > db / icmp6 packet-too-big mtu 1400", [
            "ipv6 > / icmp6 packet-too-big mtu 1500", "ipv6 > / icmp6 echo-request"]),
        ("ipv6 web > db / ns for db link web", ["ipv6 > / ns for web", "ipv6 > / ns for db link db", "ipv6 > / na for db"]),
        ("ipv6 web > db / na for web link web", ["ipv6 > / na for web link db", "ipv6 > / ns for web"]),
        ("ipv6 web > db / rs link web", ["ipv6 > / rs link db", "ipv6 > / ra"]),
        ("ipv6 web > db / ra link web mtu 1400", ["ipv6 > / ra mtu 1500", "ipv6 > / ra link db", "ipv6 > / rs"]),
        ("ipv6 web > db / redirect db to web", ["ipv6 > / redirect db to db", "ipv6 > / ra"]),
        ("ipv6 web > db / hop-by-hop / tcp 1 > 2", ["ipv6 > / tcp 1 > 2", "ipv6 > / destination-options"]),
        ("ipv4 web > db / fragment udp later", ["ipv4 > / fragment udp first", "ipv4 > / fragment tcp later"]),
        ("ipv4 web > db / fragment udp first / udp 1 > 2", ["ipv4 > / fragment udp later"]),
        ("ipv6 web > db / fragment udp later", ["ipv6 > / fragment udp first", "ipv6 > / fragment icmp6 later"]),
        ("ipv4 web > db / udp 67 > 68 / dhcp offer address db router web", [
            "ipv4 > / udp > / dhcp ack", "ipv4 > / udp > / dhcp offer address web",
            "ipv4 > / udp > / dhcp offer mtu 1400"]),
        ("ipv6 web > db / udp 547 > 546 / dhcp6 reply address web", [
            "ipv6 > / udp > / dhcp6 advertise", "ipv6 > / udp > / dhcp6 reply address db"]),
        ("ipv4 web > db / udp 1 > 2 / length 1000", ["ipv4 > / udp > / length 1001"]),
    ]

    def test_each_kind_of_frame_is_itself_and_nothing_else(self):
        for text, others in self.PAIRS:
            layers = frames.parse(text, resolve)
            frame = frames.build(layers, ethernet, b"payload")
            with self.subTest(text=text):
                self.assertIsNone(frames.difference(frame, layers, frame))
                self.assertEqual(list(frames.faults(frame)), [])
            for other in others:
                with self.subTest(text=text, other=other):
                    self.assertIsNotNone(frames.difference(frame, frames.parse(other, resolve), frame))

    def test_neighbour_discovery_has_the_hop_limit_that_receivers_demand(self):
        frame = frames.build(frames.parse("ipv6 web > db / na for web link web", resolve), ethernet, b"")
        self.assertEqual(Ether(frame)[IPv6].hlim, 255)

    def test_a_wrong_ipv6_checksum_is_a_fault(self):
        for text in ("ipv6 web > db / icmp6", "ipv6 web > db / tcp 1 > 2", "ipv6 web > db / ns for db link web"):
            frame = bytearray(frames.build(frames.parse(text, resolve), ethernet, b"payload"))
            frame[-1] ^= 1
            with self.subTest(text=text):
                self.assertIn("is wrong", " ".join(frames.faults(bytes(frame))))

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


class FakeEndpoint:
    """Loses, doubles and swaps what it is told to; everything else comes out as it went in."""

    def __init__(self, lost=(), doubled=(), swapped=None):
        self.lost, self.doubled, self.swapped, self.arrived, self.held = lost, doubled, swapped, [], None

    def send(self, frame):
        _, number = streams.read_payload(frame)
        if number == self.swapped:
            self.held = frame
            return
        self.arrived += [frame] * (0 if number in self.lost else 2 if number in self.doubled else 1)
        if self.held:
            self.arrived.append(self.held)
            self.held = None

    def receive(self, _timeout):
        return self.arrived.pop(0) if self.arrived else None


class NumberedStreams(unittest.TestCase):
    def played(self, endpoint):
        played = streams.Streams(lambda: [("there", endpoint)])
        layers = frames.parse("ipv4 web > db / udp 1 > 2", resolve)
        played.start("s", endpoint, lambda payload: frames.build(layers, ethernet, payload))
        wait_until(lambda: played.sent("s") > 10, 10, "ten frames")
        played.stop()
        return played

    def test_a_stream_that_arrives_as_it_was_sent_lacks_nothing(self):
        endpoint = FakeEndpoint()
        played = self.played(endpoint)
        self.assertIsNone(played.missing_at("s", endpoint, 0.1))
        self.assertIn("passed", played.seen_anywhere("s"))

    def test_lost_doubled_and_swapped_frames_are_noticed(self):
        for fault in ({"lost": [3]}, {"doubled": [3]}, {"swapped": 3}):
            endpoint = FakeEndpoint(**fault)
            with self.subTest(fault=fault):
                self.assertIsNotNone(self.played(endpoint).missing_at("s", endpoint, 0.1))

    def test_a_stream_that_nobody_saw_was_seen_nowhere(self):
        self.assertIsNone(self.played(FakeEndpoint(lost=range(10**6))).seen_anywhere("s"))

    def test_the_checksum_is_right_whatever_the_number(self):
        layers = frames.parse("ipv4 web > db / tcp 1 > 2", resolve)
        first = frames.build(layers, ethernet, streams.payload("s", 0))
        for number in (1, 255, 65536, 2**32 - 1):
            frame = first.replace(streams.payload("s", 0), streams.payload("s", number))
            self.assertNotEqual(frame, first)
            self.assertEqual(list(frames.faults(frame)), [])


class Backends(unittest.TestCase):
    def test_what_a_machine_lacks_for_mlx5_is_named(self):
        with tempfile.TemporaryDirectory() as folder:
            device = Path(folder) / "bus/pci/devices/0000:3b:00.0"
            driver = Path(folder) / "bus/pci/drivers/mlx5_core"
            (device / "virtfn0/net/eth1").mkdir(parents=True)
            driver.mkdir(parents=True)
            (device / "driver").symlink_to(driver)
            for netdev, port in (("eth0", "pf0vf0"), ("eth9", "p0")):  # a representor comes first
                (device / "net" / netdev).mkdir(parents=True)
                (device / "net" / netdev / "phys_port_name").write_text(port + "\n")
            (device / "net/without_name").mkdir()
            (Path(folder) / "class/net/wire0").mkdir(parents=True)
            (device / "infiniband_verbs").mkdir()
            pages = Path(folder) / "kernel/mm/hugepages/hugepages-2048kB"
            pages.mkdir(parents=True)
            (pages / "free_hugepages").write_text("256\n")

            def missing(pci, representors="0", vendor="0x15b3", mode="switchdev", wire="wire0"):
                (device / "vendor").write_text(vendor + "\n")
                return " ".join(mlx5.what_is_missing(pci, representors, wire, Path(folder), lambda _: mode))
            self.assertEqual(missing("0000:3b:00.0"), "")
            self.assertIn("--pci", missing(None))
            self.assertIn("no such PCI device", missing("0000:3c:00.0"))
            self.assertIn("vendor 0x8086", missing("0000:3b:00.0", vendor="0x8086"))
            self.assertIn("not legacy", missing("0000:3b:00.0", mode="legacy"))
            self.assertIn("VF 1", missing("0000:3b:00.0", representors="0-1"))
            self.assertIn("--representors from 0 on", missing("0000:3b:00.0", representors="1"))
            self.assertIn("--wire", missing("0000:3b:00.0", wire=None))
            self.assertIn("no network device wire1", missing("0000:3b:00.0", wire="wire1"))
            self.assertEqual(mlx5.uplink_of("0000:3b:00.0", Path(folder)), "eth9")
            self.assertEqual(mlx5.netdev_of_vf("0000:3b:00.0", 0, Path(folder)), "eth1")
            (pages / "free_hugepages").write_text("255\n")
            self.assertIn("512 MiB in hugepages, of which 510 are free", missing("0000:3b:00.0"))
            (device / "infiniband_verbs").rmdir()
            self.assertIn("verbs", missing("0000:3b:00.0"))
            (device / "net/eth9/phys_port_name").unlink()
            self.assertIn("for its wire", missing("0000:3b:00.0"))

    @unittest.skipUnless(BERTHD, "BERTHD is not set: it names the program")
    def test_berthd_takes_the_configuration_that_is_written_for_each_backend(self):
        with tempfile.TemporaryDirectory() as folder:
            config = Path(folder) / "berthd.toml"
            for nic, change, code in [(None, ("", ""), 0), ("0000:3b:00.0", ("", ""), 0),
                                      ("0000:3b:00.0", ("unmanaged", "vhost-user"), 2)]:
                text = agent.berthd_config(folder, "eth0", "192.0.2.1", functions=4, nic=nic)
                config.write_text(text.replace(*change))
                checked = subprocess.run([BERTHD, "--config", config, "--check-config"], capture_output=True, text=True)
                with self.subTest(nic=nic, change=change):
                    self.assertEqual(checked.returncode, code, checked.stdout + checked.stderr)


class Names(unittest.TestCase):
    def setUp(self):
        self.network = network.Network(host={"mac": "02:00:00:00:00:01", "ipv4": "192.0.2.1"},
                                       peer={"mac": "02:00:00:00:00:02", "ipv4": "192.0.2.2"})
        self.network.add_vpc("blue", "7001", " subnet 10.1.0.0/24 gateway 10.1.0.1")
        self.network.add_remote("db", "ip 10.1.0.6", DB["mac"], "blue")

    def test_names_stand_for_addresses_of_the_layer(self):
        self.assertEqual(self.network.resolve("ipv4", "db"), "10.1.0.6")
        self.assertEqual(self.network.resolve("eth", "db"), DB["mac"])
        self.assertEqual(self.network.resolve("ipv4", "gateway", "blue"), "10.1.0.1")
        for kind, name in [("ipv6", "db"), ("ipv6", "gateway"), ("ipv4", "nobody")]:
            with self.subTest(name=name, kind=kind), self.assertRaises(network.UnknownName):
                self.network.resolve(kind, name, "blue")

    def test_only_the_gateways_announcements_are_passed_over(self):
        advertisement = frames.parse("eth 02:be:27:48:00:01 > 33:33:00:00:00:01 / ipv6 web > ff02::1 / ra", resolve)
        rogue = frames.parse("eth web > 33:33:00:00:00:01 / ipv6 web > ff02::1 / ra", resolve)
        told = frames.parse("eth 02:be:27:48:00:01 > 33:33:00:00:00:01 / ipv6 web > ff02::1 / na for web", resolve)
        verdicts = [guest.is_announcement(frames.build(f, ethernet, b"")) for f in (advertisement, rogue, told)]
        self.assertEqual(verdicts, [True, False, False])


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
