"""Writes the seeds of fuzz_slowpath: make_corpus.py FOLDER. Needs python3-scapy."""
import pathlib
import struct
import sys

from scapy.layers.dhcp import BOOTP, DHCP
from scapy.layers.dhcp6 import (DHCP6_Confirm, DHCP6_InfoRequest, DHCP6_Rebind, DHCP6_Release, DHCP6_Renew,
                                DHCP6_Request, DHCP6_Solicit, DHCP6OptClientId, DHCP6OptElapsedTime, DHCP6OptIA_NA,
                                DHCP6OptIA_PD, DHCP6OptIA_TA, DHCP6OptIAAddress, DHCP6OptOptReq, DHCP6OptRapidCommit,
                                DHCP6OptServerId, DUID_LL)
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import (ICMPv6EchoRequest, ICMPv6ND_NA, ICMPv6ND_NS, ICMPv6ND_RA, ICMPv6ND_RS,
                                ICMPv6NDOptDstLLAddr, ICMPv6NDOptSrcLLAddr, IPv6)
from scapy.layers.l2 import ARP, Dot1Q, Ether

FOLDER = pathlib.Path(sys.argv[1])
VM, GATEWAY = "02:00:00:00:01:05", "02:00:00:00:00:fe"
LINK_LOCAL, GATEWAY_LINK_LOCAL = "fe80::ff:fe00:105", "fe80::ff:fe00:fe"
MEND, TOO_BIG, LONG_LISTS = 1, 2, 4


def record(packet, flags=MEND):
    data = bytes(packet)
    return struct.pack(">BH", flags, len(data)) + data


def arp(**fields):
    return Ether(dst="ff:ff:ff:ff:ff:ff", src=VM) / ARP(hwsrc=VM, **fields)


def icmp6(message, src=LINK_LOCAL, dst="ff02::2"):
    return Ether(dst="33:33:00:00:00:02", src=VM) / IPv6(src=src, dst=dst, hlim=255) / message


def dhcp4(*options, src="0.0.0.0", dst="255.255.255.255", **fields):
    return (Ether(dst="ff:ff:ff:ff:ff:ff", src=VM) / IP(src=src, dst=dst) / UDP(sport=68, dport=67)
            / BOOTP(chaddr=bytes.fromhex(VM.replace(":", "")), xid=7, **fields) / DHCP(options=[*options, "end"]))


def dhcp6(message, *options):
    packet = (Ether(dst="33:33:00:01:00:02", src=VM) / IPv6(src=LINK_LOCAL, dst="ff02::1:2")
              / UDP(sport=546, dport=547) / message / DHCP6OptClientId(duid=DUID_LL(lladdr=VM)))
    for option in options:
        packet /= option
    return packet


def seeds():
    server = DHCP6OptServerId(duid=DUID_LL(lladdr=GATEWAY))
    identity = DHCP6OptIA_NA(iaid=42, ianaopts=[DHCP6OptIAAddress(addr="2001:db8:1::5")])
    yield "arp", [arp(op=1, psrc="10.1.0.5", pdst="10.1.0.1"), arp(op=1, psrc="0.0.0.0", pdst="10.1.0.5"),
                  arp(op=2, psrc="10.1.0.5", pdst="10.1.0.5")]
    yield "solicitations", [
        icmp6(ICMPv6ND_NS(tgt="2001:db8:1::1") / ICMPv6NDOptSrcLLAddr(lladdr=VM), dst="ff02::1:ff00:1"),
        icmp6(ICMPv6ND_NS(tgt=GATEWAY_LINK_LOCAL) / ICMPv6NDOptSrcLLAddr(lladdr=VM), dst="ff02::1:ff00:fe"),
        icmp6(ICMPv6ND_NS(tgt="2001:db8:1::9"), src="::", dst="ff02::1:ff00:9"),
        icmp6(ICMPv6ND_RS() / ICMPv6NDOptSrcLLAddr(lladdr=VM)), icmp6(ICMPv6ND_RS(), src="::")]
    yield "advertisements", [icmp6(ICMPv6ND_NA(tgt="2001:db8:1::5") / ICMPv6NDOptDstLLAddr(lladdr=VM), dst="ff02::1"),
                             icmp6(ICMPv6ND_RA(), dst="ff02::1")]
    yield "dhcpv4", [dhcp4(("message-type", "discover"), ("client_id", b"\1abcdef"), ("max_dhcp_size", 1500)),
                     dhcp4(("message-type", "request"), ("requested_addr", "10.1.0.5"), ("server_id", "10.1.0.1")),
                     dhcp4(("message-type", "request"), ("requested_addr", "10.1.0.9"), flags=0x8000),
                     dhcp4(("message-type", "request"), src="10.1.0.5", dst="10.1.0.1", ciaddr="10.1.0.5"),
                     dhcp4(("message-type", "inform"), src="10.1.0.5", ciaddr="10.1.0.5"),
                     dhcp4(("message-type", "release"), src="10.1.0.5", ciaddr="10.1.0.5")]
    yield "dhcpv6", [dhcp6(DHCP6_Solicit(trid=1), DHCP6OptElapsedTime(), DHCP6OptOptReq(), DHCP6OptIA_NA(iaid=42)),
                     dhcp6(DHCP6_Solicit(trid=1), DHCP6OptRapidCommit(), identity, DHCP6OptIA_PD(iaid=1),
                           DHCP6OptIA_TA(iaid=2)),
                     dhcp6(DHCP6_Request(trid=2), server, identity), dhcp6(DHCP6_Confirm(trid=3), identity),
                     dhcp6(DHCP6_Renew(trid=4), server, identity), dhcp6(DHCP6_Rebind(trid=5), identity),
                     dhcp6(DHCP6_Release(trid=6), server, identity), dhcp6(DHCP6_InfoRequest(trid=7))]
    yield "ping", [Ether(dst=GATEWAY, src=VM) / IP(src="10.1.0.5", dst="10.1.0.1") / ICMP() / b"hello",
                   Ether(dst=GATEWAY, src=VM) / IPv6(src="2001:db8:1::5", dst="2001:db8:1::1")
                   / ICMPv6EchoRequest(data=b"hello")]
    yield "tagged", [Ether(dst=GATEWAY, src=VM) / Dot1Q(vlan=7) / IP(src="10.1.0.5", dst="10.1.0.1") / ICMP()]


FOLDER.mkdir(parents=True, exist_ok=True)
for name, packets in seeds():
    (FOLDER / name).write_bytes(b"".join(record(packet) for packet in packets))
    if name.startswith("dhcp"):
        (FOLDER / f"{name}-long-lists").write_bytes(b"".join(record(p, MEND | LONG_LISTS) for p in packets))
big = [Ether(dst=GATEWAY, src=VM) / IP(src="10.1.0.5", dst="10.9.0.1", flags="DF") / TCP() / bytes(1420),
       Ether(dst=GATEWAY, src=VM) / IPv6(src="2001:db8:1::5", dst="2001:db8:9::1") / TCP() / bytes(1420)]
(FOLDER / "too-big").write_bytes(b"".join(record(packet, MEND | TOO_BIG) for packet in big))
