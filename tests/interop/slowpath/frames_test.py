#!/usr/bin/python3
"""What the slow path answers, as scapy reads it: no code of ours builds or decodes these frames.

usage: frames_test.py ANSWER_FRAMES [unittest arguments]       exit code 77: scapy is not installed
"""
import struct
import subprocess
import sys
import unittest

try:
    from scapy.layers.dhcp import BOOTP, DHCP
    from scapy.layers.dhcp6 import (DHCP6_Advertise, DHCP6_InfoRequest, DHCP6_Renew, DHCP6_Reply, DHCP6_Request,
                                    DHCP6_Solicit, DHCP6OptClientId, DHCP6OptDNSDomains, DHCP6OptDNSServers,
                                    DHCP6OptElapsedTime, DHCP6OptIA_NA, DHCP6OptIA_PD, DHCP6OptIAAddress,
                                    DHCP6OptOptReq, DHCP6OptRapidCommit, DHCP6OptServerId, DHCP6OptStatusCode, DUID_LL)
    from scapy.layers.inet import ICMP, IP, TCP, UDP, ICMPerror, IPerror
    from scapy.layers.inet6 import (ICMPv6EchoReply, ICMPv6EchoRequest, ICMPv6ND_NA, ICMPv6ND_NS, ICMPv6ND_RA,
                                    ICMPv6ND_RS, ICMPv6NDOptDNSSL, ICMPv6NDOptDstLLAddr, ICMPv6NDOptMTU,
                                    ICMPv6NDOptPrefixInfo, ICMPv6NDOptRDNSS, ICMPv6NDOptRouteInfo,
                                    ICMPv6NDOptSrcLLAddr, ICMPv6PacketTooBig, IPv6)
    from scapy.layers.l2 import ARP, Dot1Q, Ether
except ImportError as error:
    print(f"skipped: {error} (tools/deps install test)")
    sys.exit(77)

ANSWER_FRAMES = ""
VM, GATEWAY = "02:00:00:00:01:05", "02:00:00:00:00:fe"
LINK_LOCAL, GATEWAY_LINK_LOCAL = "fe80::ff:fe00:105", "fe80::ff:fe00:fe"
MAC_BYTES = bytes.fromhex(VM.replace(":", ""))


def again(packet):
    """The same packet with every length and checksum made by scapy."""
    packet = packet.copy()
    for layer in (IP, UDP, ICMP, IPv6):
        if packet.haslayer(layer):
            for field in ("len", "chksum", "plen"):
                if field in packet[layer].fields:
                    delattr(packet[layer], field)
    for layer in (ICMPv6ND_NA, ICMPv6ND_RA, ICMPv6EchoReply, ICMPv6PacketTooBig):
        if packet.haslayer(layer):
            del packet[layer].cksum
    return bytes(packet)


class Frames(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.gateway = subprocess.Popen([ANSWER_FRAMES], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    @classmethod
    def tearDownClass(cls):
        cls.gateway.stdin.close()
        assert cls.gateway.wait(10) == 0
        cls.gateway.stdout.close()

    def ask(self, packet, kind=b"f"):
        """(outcome, reply or None); what is sent back has right lengths and checksums."""
        data = bytes(packet)
        self.gateway.stdin.write(kind + struct.pack(">H", len(data)) + data)
        self.gateway.stdin.flush()
        outcome = self.gateway.stdout.read(self.gateway.stdout.read(1)[0]).decode()
        reply = self.gateway.stdout.read(struct.unpack(">H", self.gateway.stdout.read(2))[0])
        if not reply:
            return outcome, None
        packet = Ether(reply)
        self.assertEqual(packet.src, GATEWAY)
        self.assertEqual(again(packet).hex(), reply.hex())
        return outcome, packet

    def silence(self, packet):
        outcome, reply = self.ask(packet)
        self.assertIsNone(reply)
        return outcome


class Arp(Frames):
    def test_everything_is_reached_by_way_of_the_gateway(self):
        for target in "10.1.0.1", "10.1.0.9", "192.0.2.9":
            _, reply = self.ask(Ether(dst="ff:ff:ff:ff:ff:ff", src=VM)
                                / ARP(op="who-has", hwsrc=VM, psrc="10.1.0.5", pdst=target))
            self.assertEqual((reply.dst, reply[ARP].op, reply[ARP].hwsrc, reply[ARP].psrc), (VM, 2, GATEWAY, target))
            self.assertEqual((reply[ARP].hwdst, reply[ARP].pdst), (VM, "10.1.0.5"))

    def test_own_probe_and_tag_and_spoof(self):
        probe = ARP(op="who-has", hwsrc=VM, psrc="0.0.0.0", pdst="10.1.0.5")
        self.assertEqual(self.silence(Ether(dst="ff:ff:ff:ff:ff:ff", src=VM) / probe), "own-address")
        self.assertEqual(self.silence(Ether(dst="ff:ff:ff:ff:ff:ff", src=VM) / Dot1Q(vlan=5) / probe), "vlan-tagged")
        self.assertEqual(self.silence(Ether(dst="ff:ff:ff:ff:ff:ff", src=VM)
                                      / ARP(op="is-at", hwsrc=VM, psrc="10.1.0.1", pdst="10.1.0.1")), "spoofed")


class Discovery(Frames):
    def send(self, message, src=LINK_LOCAL, dst="ff02::2"):
        return self.ask(Ether(dst="33:33:00:00:00:02", src=VM) / IPv6(src=src, dst=dst, hlim=255) / message)

    def test_solicitations(self):
        for target, router in ("2001:db8:1::1", 1), (GATEWAY_LINK_LOCAL, 1), ("2001:db8:1::77", 0):
            _, reply = self.send(ICMPv6ND_NS(tgt=target) / ICMPv6NDOptSrcLLAddr(lladdr=VM), "2001:db8:1::5")
            na = reply[ICMPv6ND_NA]
            self.assertEqual((na.tgt, na.R, na.S, na.O), (target, router, 1, router))
            self.assertEqual(reply[ICMPv6NDOptDstLLAddr].lladdr, GATEWAY)
            self.assertEqual((reply[IPv6].dst, reply[IPv6].hlim), ("2001:db8:1::5", 255))

    def test_duplicate_address_detection(self):
        outcome, reply = self.send(ICMPv6ND_NS(tgt="2001:db8:1::5"), "::", "ff02::1:ff00:5")
        self.assertEqual((outcome, reply), ("own-address", None))
        _, reply = self.send(ICMPv6ND_NS(tgt="2001:db8:1::9"), "::", "ff02::1:ff00:9")
        self.assertEqual((reply[IPv6].dst, reply[ICMPv6ND_NA].S), ("ff02::1", 0))

    def test_router_advertisement(self):
        _, reply = self.send(ICMPv6ND_RS() / ICMPv6NDOptSrcLLAddr(lladdr=VM))
        ra = reply[ICMPv6ND_RA]
        self.assertEqual((ra.M, ra.O, ra.routerlifetime, ra.chlim, ra.prf), (1, 1, 1800, 64, 0))
        self.assertEqual((reply[IPv6].src, reply[IPv6].dst, reply[IPv6].hlim), (GATEWAY_LINK_LOCAL, LINK_LOCAL, 255))
        prefix = reply[ICMPv6NDOptPrefixInfo]
        self.assertEqual((prefix.prefix, prefix.prefixlen, prefix.L, prefix.A), ("2001:db8:1::", 64, 0, 0))
        self.assertEqual(reply[ICMPv6NDOptMTU].mtu, 1450)
        self.assertEqual(reply[ICMPv6NDOptSrcLLAddr].lladdr, GATEWAY)
        self.assertEqual(reply[ICMPv6NDOptRDNSS].dns, ["2001:db8:1::2"])
        self.assertEqual(reply[ICMPv6NDOptDNSSL].searchlist, ["blue.example."])
        route = reply[ICMPv6NDOptRouteInfo]
        self.assertEqual((route.prefix, route.plen, route.rtlifetime), ("2001:db8:2::", 48, 1800))

    def test_a_router_in_the_vm_is_a_spoof(self):
        outcome, reply = self.send(ICMPv6ND_RA(), dst="ff02::1")
        self.assertEqual((outcome, reply), ("spoofed", None))


class Dhcpv4(Frames):
    def send(self, *options, src="0.0.0.0", dst="255.255.255.255", **fields):
        packet = (Ether(dst="ff:ff:ff:ff:ff:ff", src=VM) / IP(src=src, dst=dst) / UDP(sport=68, dport=67)
                  / BOOTP(chaddr=MAC_BYTES, xid=0x1234, **fields) / DHCP(options=[*options, "end"]))
        outcome, reply = self.ask(packet)
        if reply is None:
            return outcome, None, {}
        self.assertEqual((reply[BOOTP].op, reply[BOOTP].xid, reply[BOOTP].chaddr[:6]), (2, 0x1234, MAC_BYTES))
        self.assertEqual((reply[UDP].sport, reply[UDP].dport, reply[IP].src), (67, 68, "10.1.0.1"))
        options = {option[0]: option[1:] if len(option) > 2 else option[1]
                   for option in reply[DHCP].options if isinstance(option, tuple)}
        return outcome, reply, options

    def test_a_whole_lease(self):
        _, offer, options = self.send(("message-type", "discover"), ("client_id", b"\x01" + MAC_BYTES))
        self.assertEqual((options["message-type"], offer[BOOTP].yiaddr), (2, "10.1.0.5"))
        _, ack, options = self.send(("message-type", "request"), ("client_id", b"\x01" + MAC_BYTES),
                                    ("requested_addr", offer[BOOTP].yiaddr), ("server_id", options["server_id"]))
        self.assertEqual((ack.dst, ack[IP].dst, ack[BOOTP].yiaddr), (VM, "10.1.0.5", "10.1.0.5"))
        self.assertEqual(options["message-type"], 5)
        self.assertEqual(options["client_id"], b"\x01" + MAC_BYTES)
        self.assertEqual((options["lease_time"], options["renewal_time"], options["rebinding_time"]), (7200, 3600, 6300))
        self.assertEqual((options["subnet_mask"], options["router"]), ("255.255.255.0", "10.1.0.1"))
        self.assertEqual(options["name_server"], ("10.1.0.2", "10.1.0.3"))
        self.assertEqual((options["interface-mtu"], options["hostname"], options["domain"]),
                         (1450, b"web", b"blue.example"))
        self.assertEqual(options["classless_static_routes"], ["10.2.0.0/16:10.1.0.1", "0.0.0.0/0:10.1.0.1"])

    def test_refusals(self):
        outcome, nak, options = self.send(("message-type", "request"), ("requested_addr", "10.1.0.9"))
        self.assertEqual((outcome, options["message-type"], nak[IP].dst), ("dhcpv4-refused", 6, "255.255.255.255"))
        outcome, reply, _ = self.send(("message-type", "request"), ("requested_addr", "10.1.0.5"),
                                      ("server_id", "10.1.0.7"))
        self.assertEqual((outcome, reply), ("other-server", None))
        self.assertEqual(self.send(("message-type", "discover"), giaddr="10.1.0.9")[0], "unsupported")

    def test_renewal(self):
        _, ack, options = self.send(("message-type", "request"), src="10.1.0.5", dst="10.1.0.1", ciaddr="10.1.0.5")
        self.assertEqual((options["message-type"], ack[IP].dst, ack[BOOTP].ciaddr), (5, "10.1.0.5", "10.1.0.5"))


class Dhcpv6(Frames):
    def send(self, message, *options):
        packet = (Ether(dst="33:33:00:01:00:02", src=VM) / IPv6(src=LINK_LOCAL, dst="ff02::1:2")
                  / UDP(sport=546, dport=547) / message / DHCP6OptClientId(duid=DUID_LL(lladdr=VM)))
        for option in options:
            packet /= option
        outcome, reply = self.ask(packet)
        if reply is not None:
            self.assertEqual((reply[IPv6].src, reply[IPv6].dst), (GATEWAY_LINK_LOCAL, LINK_LOCAL))
            self.assertEqual(reply[DHCP6OptClientId].duid.lladdr, VM)
            self.assertEqual(reply[DHCP6OptServerId].duid.lladdr, GATEWAY)
        return outcome, reply

    def test_a_whole_lease(self):
        _, offer = self.send(DHCP6_Solicit(trid=7), DHCP6OptElapsedTime(), DHCP6OptOptReq(), DHCP6OptIA_NA(iaid=42))
        self.assertEqual(offer[DHCP6_Advertise].trid, 7)
        self.assertEqual(offer[DHCP6OptIAAddress].addr, "2001:db8:1::5")
        _, reply = self.send(DHCP6_Request(trid=8), DHCP6OptServerId(duid=offer[DHCP6OptServerId].duid),
                             DHCP6OptIA_NA(iaid=42, ianaopts=[DHCP6OptIAAddress(addr="2001:db8:1::5")]))
        self.assertEqual(reply[DHCP6_Reply].trid, 8)
        identity = reply[DHCP6OptIA_NA]
        self.assertEqual((identity.iaid, identity.T1, identity.T2), (42, 3600, 5760))
        address = reply[DHCP6OptIAAddress]
        self.assertEqual((address.addr, address.preflft, address.validlft), ("2001:db8:1::5", 7200, 7200))
        self.assertEqual(reply[DHCP6OptDNSServers].dnsservers, ["2001:db8:1::2"])
        self.assertEqual(reply[DHCP6OptDNSDomains].dnsdomains, ["blue.example."])

    def test_rapid_commit(self):
        _, reply = self.send(DHCP6_Solicit(trid=7), DHCP6OptRapidCommit(), DHCP6OptIA_NA(iaid=42))
        self.assertTrue(reply.haslayer(DHCP6_Reply) and reply.haslayer(DHCP6OptRapidCommit))

    def test_prefixes_are_not_to_be_had(self):
        _, reply = self.send(DHCP6_Solicit(trid=7), DHCP6OptIA_PD(iaid=3))
        status = [option for option in reply[DHCP6OptIA_PD].iapdopt if isinstance(option, DHCP6OptStatusCode)]
        self.assertEqual(status[0].statuscode, 6)

    def test_renew_and_information(self):
        self.assertEqual(self.send(DHCP6_Renew(trid=1), DHCP6OptServerId(duid=DUID_LL(lladdr=VM)))[0], "other-server")
        _, reply = self.send(DHCP6_InfoRequest(trid=9))
        self.assertEqual(reply[DHCP6OptDNSServers].dnsservers, ["2001:db8:1::2"])
        self.assertFalse(reply.haslayer(DHCP6OptIA_NA))


class Errors(Frames):
    def test_ping(self):
        _, reply = self.ask(Ether(dst=GATEWAY, src=VM) / IP(src="10.1.0.5", dst="10.1.0.1") / ICMP(id=7, seq=9) / b"abc")
        self.assertEqual((reply[ICMP].type, reply[ICMP].id, reply[ICMP].seq, bytes(reply[ICMP].payload)), (0, 7, 9, b"abc"))
        for src, dst in ("2001:db8:1::5", "2001:db8:1::1"), (LINK_LOCAL, GATEWAY_LINK_LOCAL):
            _, reply = self.ask(Ether(dst=GATEWAY, src=VM) / IPv6(src=src, dst=dst)
                                / ICMPv6EchoRequest(id=7, seq=9, data=b"abc"))
            self.assertEqual((reply[IPv6].src, reply[ICMPv6EchoReply].data), (dst, b"abc"))

    def test_too_big(self):
        sent = (Ether(dst=GATEWAY, src=VM) / IP(src="10.1.0.5", dst="10.9.0.1", flags="DF") / TCP(sport=7, dport=8)
                / bytes(1420))
        _, reply = self.ask(sent, b"t")
        self.assertEqual((reply[ICMP].type, reply[ICMP].code, reply[ICMP].nexthopmtu), (3, 4, 1450))
        self.assertEqual((reply[IPerror].dst, reply[IP].src), ("10.9.0.1", "10.1.0.1"))
        sent = Ether(dst=GATEWAY, src=VM) / IPv6(src="2001:db8:1::5", dst="2001:db8:9::1") / TCP() / bytes(1420)
        _, reply = self.ask(sent, b"t")
        self.assertEqual((reply[ICMPv6PacketTooBig].mtu, reply[IPv6].src), (1450, "2001:db8:1::1"))


if __name__ == "__main__":
    ANSWER_FRAMES = sys.argv.pop(1)
    unittest.main()
