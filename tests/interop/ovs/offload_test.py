#!/usr/bin/python3
"""Open vSwitch offloads its flows to the software eSwitch, as a foreign client of rte_flow.

usage: offload_test.py PLUGIN.so [unittest arguments]

Debian's Open vSwitch with DPDK loads the plugin; br-int has two VMs and a tunnel port, br-phy the wire. VMs
and wire are virtio drivers of this process (vhost_port.py), frames are scapy's. That a packet was switched by a
rule is read in three places: the eSwitch's own rules (DPDK's telemetry), Open vSwitch's polling thread, which must
not have seen it, and the frame that arrived. Exit code 77: something is not installed.
"""
import os
import re
import sys
import tempfile
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../../conformance")]
from bridges import HOST_VTEP, MAC, PEER_VTEP, PORTS, TO_PHY, UPLINK, VF0, VF1, Bridges  # noqa: E402
from private_ovs import PATIENCE, wait_for, what_is_missing  # noqa: E402

from scapy.layers.inet import ICMP, IP, TCP, UDP  # noqa: E402
from scapy.layers.inet6 import IPv6  # noqa: E402
from scapy.layers.l2 import ARP, Dot1Q, Ether  # noqa: E402
from scapy.layers.vxlan import VXLAN  # noqa: E402

PLUGIN = ""
FLOWS = 10  # each way; the telemetry's answer has room for the rules of some twenty
IDLE_SECONDS = 2  # until Open vSwitch removes a flow that no packet uses, in the tests of that
BURST = 100  # frames in flight; a vhost-user ring has 256


class Offload(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.folder.cleanup)
        cls.net = Bridges(cls.folder.name, PLUGIN)
        cls.addClassCleanup(cls.net.close)

    def setUp(self):
        self.flows("")
        self.forget()
        self.net.drain()

    def flows(self, text):
        """br-int's OpenFlow rules, all of them."""
        path = f"{self.folder.name}/flows"
        with open(path, "w") as file:
            file.write(text + "\n")
        self.net.ovs.ofctl("br-int", "replace-flows", path)

    def forget(self):
        """Open vSwitch gives its flows up, and the eSwitch's rules with them."""
        self.net.ovs.appctl("revalidator/purge")
        self.wait_until_forgotten()

    def wait_until_forgotten(self):
        # Of the datapath, too: while Open vSwitch replaces a rule there is none for a moment.
        wait_for(lambda: not self.net.ovs.flows() and not self.net.rules(),
                 lambda: f"no flow is left: {self.net.ovs.flows()} {self.net.rules()}")

    def offload(self, source, frame):
        """Sends a frame until the eSwitch has a rule for its port, and returns that rule."""
        wait_for(lambda: self.net.send(source, frame) or self.net.rules(PORTS[source]),
                 lambda: f"{source} has a rule{self.net.ovs.log_tail()}")
        self.net.drain()
        rules = self.net.rules(PORTS[source])
        self.assertEqual(len(rules), 1)
        return rules[0]

    def assert_switched_by_rule(self, source, frame, target, arrives, count=500):
        """Sends so many: all arrive as `arrives` (a frame, or a check of one), counted by the rule, and Open
        vSwitch sees none of them. Returns the rule."""
        check = arrives if callable(arrives) else lambda arrived: self.assertEqual(arrived, bytes(arrives))
        rule = self.offload(source, frame)
        polled = self.net.ovs.polled_packets()
        missed = self.net.eswitch.xstat(PORTS[source], "missed_packets")
        sent = 0
        while sent < count:
            self.net.send(source, frame, BURST)
            arrived = self.net.receive(target, BURST)
            self.assertEqual(len(arrived), BURST, f"frames that reached {target}")
            for frame_out in arrived:
                check(frame_out)
            sent += BURST
        after = self.net.rules(PORTS[source])
        self.assertEqual(len(after), 1, "rules of the port")
        self.assertEqual(after[0].packets - rule.packets, sent, "packets that the eSwitch's rule counted")
        self.assertEqual(after[0].octets - rule.octets, sent * len(frame), "octets")
        self.assertEqual(self.net.ovs.polled_packets(), polled, "packets that Open vSwitch has polled")
        self.assertEqual(self.net.eswitch.xstat(PORTS[source], "missed_packets"), missed)
        self.assertEqual(self.net.drain(), [], "frames that nobody expected")
        return after[0]

    def test_packets_of_a_known_flow_are_switched_by_the_rule_alone(self):
        self.flows("in_port=vm0,ip actions=output:vm1")
        frame = udp("vm0", "vm1")
        rule = self.assert_switched_by_rule("vm0", frame, "vm1", frame)
        self.assertEqual(rule.actions, ["count", f"represented_port ethdev_port_id {VF1}"])

    def test_flows_of_every_usual_kind_are_switched_by_rules(self):
        ethernet = Ether(src=MAC["vm0"], dst=MAC["vm1"])
        ipv4 = IP(src="10.1.0.5", dst="10.1.0.6")
        for match, frame in {
                "tcp,tp_dst=80": ethernet / ipv4 / TCP(sport=1000, dport=80) / bytes(40),
                "icmp,icmp_type=8": ethernet / ipv4 / ICMP(type="echo-request", id=1, seq=1) / bytes(40),
                "ipv6,ipv6_dst=2001:db8::6": ethernet / IPv6(src="2001:db8::5", dst="2001:db8::6") / UDP() / bytes(40),
                "udp6,ipv6_src=2001:db8::/64,tp_dst=53": ethernet / IPv6(src="2001:db8::5", dst="2001:db8::6") /
                UDP(sport=1000, dport=53) / bytes(40),
                "ip,dl_vlan=7": ethernet / Dot1Q(vlan=7, prio=3) / ipv4 / UDP() / bytes(40),
                "arp": ethernet / ARP(op="is-at", hwsrc=MAC["vm0"], psrc="10.1.0.5", hwdst=MAC["vm1"],
                                      pdst="10.1.0.6") / bytes(18)}.items():
            with self.subTest(match):
                self.flows(f"in_port=vm0,{match} actions=output:vm1")
                self.forget()
                self.assert_switched_by_rule("vm0", frame, "vm1", frame, count=BURST)

    def test_the_eswitchs_counters_reach_open_vswitchs_flows(self):
        self.flows("in_port=vm0,ip actions=output:vm1")
        self.net.sent = 0
        rule = self.assert_switched_by_rule("vm0", udp("vm0", "vm1"), "vm1", udp("vm0", "vm1"))
        # The first frames were counted in software: the flow has those, too, and the OpenFlow rule has every one.
        flow = wait_for(lambda: self.net.ovs.flows("offloaded"), "a flow is told to be offloaded")
        self.assertEqual(len(flow), 1)
        self.assertTrue(rule.packets <= flow.popitem()[1] <= self.net.sent)
        wait_for(lambda: self.openflow_packets("in_port=vm0") == self.net.sent,
                 lambda: f"the OpenFlow rule counts {self.net.sent}: {self.openflow_packets('in_port=vm0')}")

    def openflow_packets(self, match):
        dump = self.net.ovs.ofctl("br-int", "dump-flows", match)
        return sum(int(count) for count in re.findall(r"n_packets=(\d+)", dump))

    def test_headers_are_rewritten_by_the_rule(self):
        self.flows(f"in_port=vm0,udp actions=set_field:{MAC['host']}->eth_src,set_field:{MAC['uplink']}->eth_dst,"
                   "set_field:192.0.2.1->ip_src,set_field:192.0.2.9->ip_dst,set_field:2000->udp_src,"
                   f"set_field:54->udp_dst,dec_ttl,output:{TO_PHY}")
        routed = udp("host", "uplink", sport=2000, dport=54, ip_source="192.0.2.1", ip_target="192.0.2.9", ttl=63)
        rule = self.assert_switched_by_rule("vm0", udp("vm0", "router"), "uplink", routed)
        self.assertEqual([action.split(" dst_type ")[1].split()[0] for action in rule.actions
                          if action.startswith("modify_field")],
                         ["mac_src", "mac_dst", "ipv4_src", "ipv4_dst", "ipv4_ttl", "udp_port_src", "udp_port_dst"])

    def test_packets_of_the_wire_are_switched_by_the_rule(self):
        self.flows(f"in_port={TO_PHY},ip actions=set_field:{MAC['vm1']}->eth_dst,output:vm1")
        self.assert_switched_by_rule("uplink", udp("uplink", "host"), "vm1", udp("uplink", "vm1"))

    def test_a_flow_to_the_tunnel_is_encapsulated_by_the_rule(self):
        self.flows("in_port=vm0,ip actions=output:tunnel")
        inner = udp("vm0", "vm1")
        source_ports = set()

        def encapsulated(arrived):
            outer = Ether(arrived)
            self.assertEqual((outer.src, outer.dst), (MAC["host"], MAC["uplink"]))
            self.assertEqual((outer[IP].src, outer[IP].dst), (HOST_VTEP, PEER_VTEP))
            self.assertEqual((outer[UDP].dport, outer[VXLAN].vni), (4789, 7001))
            self.assertEqual(bytes(outer[VXLAN].payload), bytes(inner))
            self.assertEqual(arrived, bytes(as_built(outer)), "lengths and checksums")
            source_ports.add(outer[UDP].sport)

        rule = self.assert_switched_by_rule("vm0", inner, "uplink", encapsulated)
        self.assertIn("vxlan_encap", rule.actions)
        self.assertEqual(len(source_ports), 1)

    def test_a_changed_openflow_rule_changes_the_eswitchs_rule(self):
        frame = udp("vm0", "vm1")
        self.flows("in_port=vm0,ip actions=output:vm1")
        self.offload("vm0", frame)
        self.flows(f"in_port=vm0,ip actions=output:{TO_PHY}")
        to_the_wire = ["count", f"represented_port ethdev_port_id {UPLINK}"]
        wait_for(lambda: [rule.actions for rule in self.net.rules(VF0)] == [to_the_wire],
                 lambda: f"the rule sends to the wire: {self.net.rules(VF0)}")
        self.assert_switched_by_rule("vm0", frame, "uplink", frame)

    def test_an_idle_flow_leaves_the_eswitch_and_comes_back(self):
        frame = udp("vm0", "vm1")
        self.net.ovs.forget_flows_after(IDLE_SECONDS * 1000)
        self.addCleanup(self.net.ovs.forget_flows_after, 10000)
        self.flows("in_port=vm0,ip actions=output:vm1")
        self.offload("vm0", frame)
        # While packets come, which Open vSwitch knows from the eSwitch's counter alone, the flow stays.
        polled = self.net.ovs.polled_packets()
        end = time.monotonic() + 2 * IDLE_SECONDS
        while time.monotonic() < end:
            self.net.send("vm0", frame)
            time.sleep(IDLE_SECONDS / 20)
        self.assertEqual(self.net.ovs.polled_packets(), polled)
        self.wait_until_forgotten()
        self.assertEqual(self.net.ovs.flows("offloaded"), {})
        self.net.drain()
        self.net.send("vm0", frame)
        self.assertEqual(self.net.receive("vm1", 1), [bytes(frame)])
        self.assertEqual(self.net.ovs.polled_packets(), polled + 1, "the next frame is Open vSwitch's again")
        self.offload("vm0", frame)

    def test_unwanted_packets_are_dropped_by_the_rule(self):
        self.flows("priority=2,in_port=vm0,udp,tp_dst=53 actions=drop\n"
                   "priority=1,in_port=vm0,ip actions=output:vm1")
        rule = self.offload("vm0", udp("vm0", "vm1"))
        self.assertEqual(rule.actions, ["count", "drop"])
        polled = self.net.ovs.polled_packets()
        self.net.send("vm0", udp("vm0", "vm1"), BURST)
        wait_for(lambda: self.net.rules(VF0)[0].packets == rule.packets + BURST, "the rule has dropped every frame")
        self.assertEqual(self.net.ovs.polled_packets(), polled)
        self.assertEqual(self.net.drain(), [])

    def assert_forwarded_by_open_vswitch(self, source, frame, targets, expected, count=BURST):
        """The other way round: no rule, and every frame of them in Open vSwitch's own count."""
        self.forget()  # what another way of the test had
        self.net.send(source, frame)  # makes the flow
        for target in targets:
            self.assertEqual(len(self.net.receive(target, 1)), 1)
        polled = self.net.ovs.polled_packets()
        self.net.send(source, frame, count)
        for target in targets:
            self.assertEqual(self.net.receive(target, count), [bytes(expected)] * count, target)
        self.assertEqual(self.net.ovs.polled_packets() - polled, count)
        self.assertEqual(self.net.rules(), [])
        self.assertEqual(self.net.ovs.flows("offloaded"), {})

    def test_what_the_eswitch_refuses_is_forwarded_by_open_vswitch(self):
        frame = udp("vm1", "vm0")
        with self.subTest("two ports"):
            self.flows(f"in_port=vm1,ip actions=output:vm0,output:{TO_PHY}")
            self.assert_forwarded_by_open_vswitch("vm1", frame, ["vm0", "uplink"], frame)
        with self.subTest("VLAN"):
            self.flows(f"in_port=vm1,ip actions=mod_vlan_vid:7,output:{TO_PHY}")
            tagged = Ether(src=frame.src, dst=frame.dst) / Dot1Q(vlan=7) / frame.payload
            self.assert_forwarded_by_open_vswitch("vm1", frame, ["uplink"], tagged)
        with self.subTest("decapsulation"):
            self.flows("in_port=tunnel,ip actions=output:vm1")
            outer = (Ether(src=MAC["uplink"], dst=MAC["host"]) / IP(src=PEER_VTEP, dst=HOST_VTEP) /
                     UDP(sport=50000, dport=4789, chksum=0) / VXLAN(vni=7001, flags=8) / udp("vm0", "vm1"))
            self.assert_forwarded_by_open_vswitch("uplink", outer, ["vm1"], udp("vm0", "vm1"))

    def test_a_port_that_goes_takes_its_rules_along(self):
        frame = udp("vm1", "vm0")
        self.flows("in_port=vm1,ip actions=output:vm0")
        self.offload("vm1", frame)
        with self.subTest("reconfigured: Open vSwitch stops and starts it, and keeps its handles of the rules"):
            self.net.ovs.vsctl("set", "interface", "vm1", "mtu_request=1400")
            self.assertEqual(self.net.rules(VF1), [])
            self.net.send("vm1", frame)
            self.assertEqual(self.net.receive("vm0", 1), [bytes(frame)], "Open vSwitch forwards it")
            self.forget()  # with a handle that is stale
            self.assert_switched_by_rule("vm1", frame, "vm0", frame)
        with self.subTest("removed and added again"):
            self.net.ovs.vsctl("del-port", "vm1")
            self.assertEqual(self.net.rules(VF1), [])
            self.net.add_port("br-int", "vm1", "net_berth0,representor=vf1")
            self.flows("in_port=vm1,ip actions=output:vm0")  # its number is another one
            self.assert_switched_by_rule("vm1", frame, "vm0", frame)

    def tearDown(self):
        with open(f"{self.folder.name}/ovs-vswitchd.log") as log:
            self.assertEqual([line for line in log if "|ERR|" in line or "|EMER|" in line], [])


class Leaks(unittest.TestCase):
    def test_nothing_is_left_when_the_flows_are_gone_and_open_vswitch_ends(self):
        with tempfile.TemporaryDirectory() as folder:
            net = Bridges(folder, PLUGIN)
            try:
                for port in range(FLOWS):
                    net.ovs.ofctl("br-int", "add-flow", f"in_port=vm0,udp,tp_dst={port} actions=output:vm1")
                    net.ovs.ofctl("br-int", "add-flow", f"in_port=vm1,udp,tp_dst={port} actions=output:{TO_PHY}")
                before = net.ovs.buffers_in_use()
                self.assertEqual(set(before.values()), {0}, before)
                end = time.monotonic() + PATIENCE
                while len(net.rules()) < 2 * FLOWS and time.monotonic() < end:
                    for port in range(FLOWS):
                        net.send("vm0", udp("vm0", "vm1", dport=port))
                        net.send("vm1", udp("vm1", "vm0", dport=port))
                    net.drain()
                self.assertEqual(len(net.rules()), 2 * FLOWS)
                net.ovs.forget_flows_after(IDLE_SECONDS * 1000)
                wait_for(lambda: not net.rules(), "every rule is gone")
                net.drain()
                self.assertEqual(net.ovs.buffers_in_use(), before)
            finally:
                code = net.close()
            self.assertEqual(code, 0, "exit code of ovs-vswitchd")


def as_built(frame):
    """The same frame with lengths and checksums of scapy's own reckoning, the tunnel's UDP checksum aside."""
    copy = frame.copy()
    for layer, fields in ((IP, ("len", "chksum")), (UDP, ("len",))):
        for field in fields:
            delattr(copy[layer], field)
    return copy


def udp(source, target, sport=1000, dport=53, ip_source="10.1.0.5", ip_target="10.1.0.6", ttl=64):
    frame = Ether(src=MAC[source], dst=MAC[target]) / IP(src=ip_source, dst=ip_target, ttl=ttl)
    return frame / UDP(sport=sport, dport=dport) / bytes(range(40))


if __name__ == "__main__":
    missing = what_is_missing()
    if missing:
        print(f"SKIPPED: needs {', '.join(missing)}", file=sys.stderr)
        sys.exit(77)
    PLUGIN = os.path.abspath(sys.argv.pop(1))
    unittest.main(verbosity=2)
