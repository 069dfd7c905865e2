"""Frames as text, as the scenarios write them: layers from the outside in, separated by " / ".

kinds.py lists the layers. Three more words end a text: `same` and `same-inner` (the IP packet that was sent,
byte for byte), `length N` (of the IP packet, in bytes). Building and decoding are scapy's, so that no code of
the switch judges itself.
"""
from dataclasses import dataclass
import socket

from scapy.layers.inet import ICMP, IP, TCP, UDP, IPerror
from scapy.layers.inet6 import IPerror6, IPv6, IPv6ExtHdrFragment, _ICMPv6
from scapy.layers.l2 import Ether
from scapy.layers.vxlan import VXLAN

from kinds import KINDS, Fragment

SAME = ("same", "same-inner")
IP_KINDS = ("ipv4", "ipv6")
ND_KINDS = ("ns", "na", "rs", "ra", "redirect")
ND_HOP_LIMIT = 255


class FrameTextError(Exception):
    pass


@dataclass
class Layer:
    name: str
    kind: object  # None: of a word that is not a layer
    fields: dict


def parse(text, resolve):
    """`resolve(kind, name)` gives the address that a name stands for in a layer of that kind."""
    return [parse_layer(part.strip(), resolve) for part in text.split("/")]


def parse_layer(text, resolve):
    name, _, rest = text.partition(" ")
    rest = rest.strip()
    if text in SAME:
        return Layer(name, None, {})
    if name == "length" and rest.isdigit():
        return Layer(name, None, {"bytes": int(rest)})
    for known, kind in KINDS:
        fields = kind.fields(rest, resolve) if name == known else None
        if fields is not None:
            return Layer(name, kind, fields)
    raise FrameTextError(f"'{text}' is not a layer")


def build(layers, eth, payload):
    """The frame of these layers. `eth(ip layer or None)` gives the Ethernet addresses of a packet whose
    text names none."""
    packet = None
    needs_eth = True
    mac = None
    for number, layer in enumerate(layers):
        if layer.kind is None:
            continue
        if layer.name != "eth" and needs_eth:
            inner_ip = next((other for other in layers[number:] if other.name in IP_KINDS), None)
            addresses = eth(inner_ip)
            packet = join(packet, Ether(**addresses))
            mac = addresses["src"]
        mac = layer.fields.get("src", mac) if layer.name == "eth" else mac
        needs_eth = layer.name == "vxlan"
        packet = add(packet, layer, layers[number + 1:], mac)
    ends_open = all(layer.kind is None or layer.kind.carries_payload for layer in layers)
    return finish(packet / payload if ends_open else packet, layers)


def add(packet, layer, following, mac):
    if layer.name == "fragment" and isinstance(packet.lastlayer(), IP):
        ip = packet.lastlayer()
        ip.proto = layer.fields["protocol"]
        ip.frag, more = Fragment.fields_of_header(layer.fields)
        ip.flags = "MF" if more else 0
        return packet
    made = layer.kind.make(layer.fields, mac)
    if layer.name == "ipv6" and following and following[0].name in ND_KINDS:
        made.hlim = ND_HOP_LIMIT
    return join(packet, made)


def finish(packet, layers):
    """The bytes, of the length that the text asks for."""
    for udp in layers_of(packet):
        # RFC 7348 section 4.1: the outer UDP checksum should be zero.
        if isinstance(udp, UDP) and isinstance(udp.payload, VXLAN):
            udp.chksum = 0
    frame = bytes(packet)
    wanted = layers[-1].fields.get("bytes")
    if wanted is None:
        return frame
    missing = wanted - len(innermost_ip(frame))
    if missing < 0:
        raise FrameTextError(f"the packet is {-missing} bytes longer than {wanted}")
    return bytes(packet / bytes(missing))


def join(packet, layer):
    return layer if packet is None else packet / layer


def layers_of(packet):
    """From the outside in, but for what an ICMP error quotes."""
    while packet and not isinstance(packet, (IPerror, IPerror6)):
        yield packet
        packet = packet.payload


def innermost_ip(frame):
    """The bytes of the last IP packet of a frame, without what Ethernet may have padded."""
    found = [layer for layer in layers_of(Ether(frame)) if isinstance(layer, (IP, IPv6))]
    if not found:
        return b""
    ip = found[-1]
    return bytes(ip)[:ip.len if isinstance(ip, IP) else 40 + ip.plen]


def innermost_size(frame):
    """Bytes of the innermost Ethernet frame."""
    return 14 + len(innermost_ip(frame))


def difference(frame, wanted, sent):
    """Why `frame` is not what was wanted (`sent`: the frame the switch was given), or None."""
    actual = list(layers_of(Ether(frame)))
    before = None
    for layer in wanted:
        if layer.name in SAME:
            if innermost_ip(frame) != innermost_ip(sent):
                return "the inner packet is not the one that was sent"
            continue
        if layer.name == "length":
            if len(innermost_ip(frame)) != layer.fields["bytes"]:
                return f"the packet has {len(innermost_ip(frame))} bytes, not {layer.fields['bytes']}"
            continue
        if layer.name == "fragment" and isinstance(before, IP):
            found = {"protocol": before.proto,
                     "part": "later" if before.frag else "first" if before.flags.MF else "none"}
        else:
            if layer.name != "eth" and actual and isinstance(actual[0], Ether):
                actual.pop(0)
            if not actual or not layer.kind.is_in(actual[0]):
                return f"{layer.name} expected, found {actual[0].name if actual else 'nothing more'}"
            before = actual.pop(0)
            found = layer.kind.read(before)
        if why := unequal(layer, found):
            return why
    return None


def unequal(layer, found):
    for field, value in layer.fields.items():
        if same_value(found.get(field)) != same_value(value):
            return f"{layer.name} {field} is {found.get(field)}, not {value}"
    return None


def same_value(value):
    """An IPv6 address has more than one text."""
    if isinstance(value, str) and value.count(":") >= 2:
        try:
            return socket.inet_pton(socket.AF_INET6, value)
        except OSError:
            pass
    return value


def faults(frame, tunnels=1):
    """What no receiver would accept: wrong lengths or checksums, more than so many tunnels."""
    layers = list(layers_of(Ether(frame)))
    if sum(isinstance(layer, VXLAN) for layer in layers) > tunnels:
        yield f"more than {tunnels} VXLAN header" if tunnels != 1 else "more than one VXLAN header"
    for layer in layers:
        length = {IP: lambda: layer.len, UDP: lambda: layer.len, IPv6: lambda: 40 + layer.plen}.get(type(layer))
        if length and length() > len(bytes(layer)):
            yield f"{layer.name} says {length()} bytes, there are {len(bytes(layer))}"
        if isinstance(layer, (IP, UDP, TCP, ICMP, _ICMPv6)) and not has_right_checksum(layer):
            yield f"{layer.name} checksum {checksum_of(layer):#06x} is wrong"


def has_right_checksum(layer):
    if isinstance(layer, UDP) and layer.chksum == 0:
        return True
    if isinstance(layer.underlayer, IPv6ExtHdrFragment) or getattr(layer.underlayer, "frag", 0):
        return True  # it covers the other fragments too
    again = layer.copy()
    setattr(again, "cksum" if isinstance(layer, _ICMPv6) else "chksum", None)
    if isinstance(layer, (UDP, TCP, _ICMPv6)):  # their checksum covers addresses of the layer below
        below = layer.underlayer.copy()
        below.remove_payload()
        again = (below / again).payload
    return checksum_of(type(layer)(bytes(again))) == checksum_of(layer)


def checksum_of(layer):
    return layer.cksum if isinstance(layer, _ICMPv6) else layer.chksum


def tunnels_in(frame):
    return sum(isinstance(layer, VXLAN) for layer in layers_of(Ether(frame)))


def summary(frame):
    return Ether(frame).summary()
