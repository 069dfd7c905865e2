"""The layers that a frame's text may name. Each knows its text, how scapy makes it, and what of a packet
that arrived it can compare.

    eth A > B | vlan N | arp who-has A | arp A is-at M | ipv4 A > B [df] | ipv6 A > B | fragment P first|later
    hop-by-hop | destination-options | routing (IPv6 headers before what matters)
    tcp P > P | udp P > P | icmp [TYPE] | icmp6 [TYPE] | vxlan N
    ns for A [link M] | na for A [link M] | rs | ra [mtu N] | redirect A to A
    dhcp MESSAGE [address A] [mtu N] [router A] | dhcp6 MESSAGE [address A]

A value that the text leaves out is neither set nor compared.
"""
import re

from scapy.layers.dhcp import BOOTP, DHCP
from scapy.layers.dhcp6 import (DHCP6, DHCP6_Advertise, DHCP6_Reply, DHCP6_Request, DHCP6_Solicit, DHCP6OptClientId,
                                DHCP6OptIA_NA, DHCP6OptIAAddress, DHCP6OptServerId, DUID_LL)
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import (ICMPv6EchoReply, ICMPv6EchoRequest, ICMPv6ND_NA, ICMPv6ND_NS, ICMPv6ND_RA,
                                ICMPv6ND_Redirect, ICMPv6ND_RS, ICMPv6NDOptDstLLAddr, ICMPv6NDOptMTU,
                                ICMPv6NDOptSrcLLAddr, ICMPv6PacketTooBig, IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment,
                                IPv6ExtHdrHopByHop, IPv6ExtHdrRouting)
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.layers.vxlan import VXLAN

GATEWAY_MAC = "02:be:27:48:00:01"  # dataplane/pipeline.h
DHCP_ID = 0x2211
ICMP_TYPES = {"echo-reply": 0, "echo-request": 8, "fragmentation-needed": 3}
FRAGMENTATION_NEEDED = {"type": 3, "code": 4}
DHCP_MESSAGES = {"discover": 1, "offer": 2, "request": 3, "ack": 5, "nak": 6}
DHCP_REPLIES = (2, 5, 6)
DHCP6_MESSAGES = {"solicit": DHCP6_Solicit, "advertise": DHCP6_Advertise, "request": DHCP6_Request,
                  "reply": DHCP6_Reply}
PROTOCOLS = {"udp": 17, "tcp": 6, "icmp": 1, "icmp6": 58, "destination-options": 60}

A = r"[^\s>]+"
PAIR = rf"(?P<src>{A})? ?> ?(?P<dst>{A})?"
PORTS = r"(?P<sport>\d+)? ?> ?(?P<dport>\d+)?"


class Kind:
    """A layer whose fields have scapy's own names. `numbers` and `macs` say what a value in the text is;
    every other one is an address of the family that the layer names."""

    numbers = macs = ()
    family = "ipv4"
    carries_payload = True

    def __init__(self, layer, pattern, **traits):
        self.layer = layer
        self.pattern = re.compile(pattern)
        self.__dict__.update(traits)

    def fields(self, text, resolve):
        """What the text says of this layer, or None when it does not describe one."""
        match = self.pattern.fullmatch(text)
        if not match:
            return None
        return {name: self._value(name, value, resolve) for name, value in match.groupdict().items()
                if value is not None}

    def _value(self, name, value, resolve):
        if name in self.numbers:
            return int(value)
        return resolve("eth" if name in self.macs else self.family, value)

    def make(self, fields, _mac):
        return self.layer(**fields)

    def is_in(self, packet):
        return isinstance(packet, self.layer)

    def read(self, packet):
        return {name: getattr(packet, name) for name in self.pattern.groupindex if hasattr(packet, name)}


class Vxlan(Kind):
    def make(self, fields, _mac):
        return VXLAN(flags=8, **fields)


class Arp(Kind):
    """who-has: `pdst` is asked for. is-at: `psrc` is told to be at `hwsrc`."""
    macs = ("hwsrc",)
    carries_payload = False

    def make(self, fields, mac):
        return ARP(**{"op": self.op, "hwsrc": mac, **fields})

    def is_in(self, packet):
        return isinstance(packet, ARP) and packet.op == self.op


class Ipv4(Kind):
    """`df`: the packet says that it must not be fragmented."""

    def _value(self, name, value, resolve):
        return "DF" if name == "flags" else super()._value(name, value, resolve)

    def read(self, packet):
        return {**super().read(packet), "flags": str(packet.flags)}


class Icmp(Kind):
    def _value(self, name, value, resolve):
        return ICMP_TYPES[value] if name == "type" else int(value)

    def make(self, fields, _mac):
        if "mtu" in fields:
            return ICMP(**FRAGMENTATION_NEEDED, nexthopmtu=fields["mtu"])
        return ICMP(**fields)

    def read(self, packet):
        return {"type": packet.type, "mtu": packet.nexthopmtu if packet.code == 4 else None}


class Icmp6(Kind):
    TYPES = {"echo-request": ICMPv6EchoRequest, "echo-reply": ICMPv6EchoReply, "packet-too-big": ICMPv6PacketTooBig}

    def make(self, fields, _mac):
        layer = fields.get("type", ICMPv6EchoRequest)
        return layer(mtu=fields["mtu"]) if "mtu" in fields else layer()

    def _value(self, name, value, resolve):
        return self.TYPES[value] if name == "type" else int(value)

    def is_in(self, packet):
        return isinstance(packet, tuple(self.TYPES.values()))

    def read(self, packet):
        return {"type": type(packet), "mtu": getattr(packet, "mtu", None)}


class Nd(Kind):
    """Neighbour discovery: a message, and the link-layer address or the MTU that it carries as an option."""
    family = "ipv6"
    macs = ("link",)
    numbers = ("mtu",)
    option = ICMPv6NDOptSrcLLAddr
    carries_payload = False

    def make(self, fields, _mac):
        packet = self.layer(**{name: value for name, value in fields.items() if name not in ("link", "mtu")})
        if "link" in fields:
            packet = packet / self.option(lladdr=fields["link"])
        return packet / ICMPv6NDOptMTU(mtu=fields["mtu"]) if "mtu" in fields else packet

    def read(self, packet):
        found = super().read(packet)
        for name, option, field in (("link", self.option, "lladdr"), ("mtu", ICMPv6NDOptMTU, "mtu")):
            if option in packet:
                found[name] = getattr(packet[option], field)
        return found


class Dhcp(Kind):
    """`address` is the VM's: asked for or given. `router` is what a reply names, and whose offer a request
    takes: servers and routers are the same here."""
    numbers = ("mtu",)
    carries_payload = False

    def _value(self, name, value, resolve):
        return DHCP_MESSAGES[value] if name == "message" else super()._value(name, value, resolve)

    def make(self, fields, mac):
        options = [("message-type", fields["message"])]
        reply = fields["message"] in DHCP_REPLIES
        if reply:
            options += [(name, fields[key]) for name, key in (("router", "router"), ("interface-mtu", "mtu"))
                        if key in fields]
        else:
            options += [(name, fields[key]) for name, key in (("requested_addr", "address"), ("server_id", "router"))
                        if key in fields]
        return BOOTP(op=2 if reply else 1, xid=DHCP_ID, chaddr=bytes.fromhex(mac.replace(":", "")),
                     yiaddr=fields.get("address", "0.0.0.0") if reply else "0.0.0.0") / DHCP(options=[*options, "end"])

    def read(self, packet):
        options = dict(option for option in packet[DHCP].options if isinstance(option, tuple) and len(option) == 2)
        return {"message": options.get("message-type"), "address": packet.yiaddr, "router": options.get("router"),
                "mtu": options.get("interface-mtu")}


class Dhcp6(Kind):
    family = "ipv6"
    carries_payload = False

    def _value(self, name, value, resolve):
        return value if name == "message" else super()._value(name, value, resolve)

    def make(self, fields, mac):
        packet = DHCP6_MESSAGES[fields["message"]](trid=DHCP_ID) / DHCP6OptClientId(duid=DUID_LL(lladdr=mac))
        if fields["message"] != "solicit":
            packet = packet / DHCP6OptServerId(duid=DUID_LL(lladdr=GATEWAY_MAC))
        addresses = [DHCP6OptIAAddress(addr=fields["address"])] if "address" in fields else []
        return packet / DHCP6OptIA_NA(iaid=1, ianaopts=addresses)

    def is_in(self, packet):
        return isinstance(packet, (DHCP6, *DHCP6_MESSAGES.values()))

    def read(self, packet):
        names = {layer: name for name, layer in DHCP6_MESSAGES.items()}
        granted = packet[DHCP6OptIA_NA].ianaopts if DHCP6OptIA_NA in packet else []
        return {"message": names.get(type(packet)),
                "address": next((o.addr for o in granted if isinstance(o, DHCP6OptIAAddress)), None)}


class Fragment(Kind):
    """IPv6 has a header for it. In IPv4 it is a part of the header before: frames.py puts it there."""

    def _value(self, name, value, resolve):
        return PROTOCOLS[value] if name == "protocol" else value

    @staticmethod
    def fields_of_header(fields):
        """(offset in units of 8 bytes, more fragments follow)"""
        return (0, 1) if fields["part"] == "first" else (150, 0)

    def make(self, fields, _mac):
        offset, more = self.fields_of_header(fields)
        return IPv6ExtHdrFragment(nh=fields["protocol"], offset=offset, m=more, id=7)

    def read(self, packet):
        return {"protocol": packet.nh, "part": "later" if packet.offset else "first"}


# In the order in which a text is tried; several forms may share a name.
KINDS = [
    ("eth", Kind(Ether, PAIR, macs=("src", "dst"))),
    ("vlan", Kind(Dot1Q, r"(?P<vlan>\d+)", numbers=("vlan",))),
    ("arp", Arp(ARP, rf"who-has (?P<pdst>{A})( from (?P<psrc>{A}))?( at (?P<hwsrc>{A}))?", op=1)),
    ("arp", Arp(ARP, rf"(?P<psrc>{A}) is-at (?P<hwsrc>{A})", op=2)),
    ("ipv4", Ipv4(IP, rf"(src )?{PAIR}( (?P<flags>df))?")),
    ("ipv6", Kind(IPv6, rf"(src )?{PAIR}", family="ipv6")),
    ("fragment", Fragment(IPv6ExtHdrFragment, rf"(?P<protocol>{'|'.join(PROTOCOLS)}) (?P<part>first|later)")),
    ("hop-by-hop", Kind(IPv6ExtHdrHopByHop, "")),
    ("destination-options", Kind(IPv6ExtHdrDestOpt, "")),
    ("routing", Kind(IPv6ExtHdrRouting, "")),
    ("tcp", Kind(TCP, PORTS, numbers=("sport", "dport"))),
    ("udp", Kind(UDP, PORTS, numbers=("sport", "dport"))),
    ("icmp", Icmp(ICMP, r"(?P<type>echo-request|echo-reply)?")),
    ("icmp", Icmp(ICMP, r"(?P<type>fragmentation-needed) mtu (?P<mtu>\d+)")),
    ("icmp6", Icmp6(None, r"(?P<type>echo-request|echo-reply)?")),
    ("icmp6", Icmp6(None, r"(?P<type>packet-too-big) mtu (?P<mtu>\d+)")),
    ("vxlan", Vxlan(VXLAN, r"(?P<vni>\d+)", numbers=("vni",))),
    ("ns", Nd(ICMPv6ND_NS, rf"for (?P<tgt>{A})( link (?P<link>{A}))?")),
    ("na", Nd(ICMPv6ND_NA, rf"for (?P<tgt>{A})( link (?P<link>{A}))?", option=ICMPv6NDOptDstLLAddr)),
    ("rs", Nd(ICMPv6ND_RS, rf"(link (?P<link>{A}))?")),
    ("ra", Nd(ICMPv6ND_RA, rf"(link (?P<link>{A}))?( ?mtu (?P<mtu>\d+))?")),
    ("redirect", Nd(ICMPv6ND_Redirect, rf"(?P<dst>{A}) to (?P<tgt>{A})")),
    ("dhcp", Dhcp(BOOTP, rf"(?P<message>{'|'.join(DHCP_MESSAGES)})( address (?P<address>{A}))?"
                         rf"( mtu (?P<mtu>\d+))?( router (?P<router>{A}))?")),
    ("dhcp6", Dhcp6(DHCP6, rf"(?P<message>{'|'.join(DHCP6_MESSAGES)})( address (?P<address>{A}))?")),
]
