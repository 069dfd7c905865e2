"""Frames as text, as the scenarios write them: layers from the outside in, separated by " / ".

    eth A > B | vlan ID | ipv4 A > B | tcp P > P | udp P > P | icmp | vxlan VNI | same | same-inner

Either side of ">" may be empty; A and B are names of the scenario or addresses. Building and decoding are
scapy's, so that no code of the switch judges itself.
"""
import re
from dataclasses import dataclass

from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.l2 import Dot1Q, Ether
from scapy.layers.vxlan import VXLAN

KINDS = {"eth": Ether, "vlan": Dot1Q, "ipv4": IP, "tcp": TCP, "udp": UDP, "icmp": ICMP, "vxlan": VXLAN}
PAIRS = {"eth": ("src", "dst"), "ipv4": ("src", "dst"), "tcp": ("sport", "dport"), "udp": ("sport", "dport")}
SAME = ("same", "same-inner")
GATEWAY_MAC = "02:00:00:00:00:fe"


class FrameTextError(Exception):
    pass


@dataclass
class Layer:
    kind: str
    fields: dict


def parse(text, resolve):
    """`resolve(kind, name)` gives the address that a name stands for in a layer of that kind."""
    return [parse_layer(part.strip(), resolve) for part in text.split("/")]


def parse_layer(text, resolve):
    kind, _, rest = text.partition(" ")
    rest = rest.removeprefix("src ")
    if kind in SAME and not rest:
        return Layer(kind, {})
    if kind == "icmp" and not rest:
        return Layer(kind, {})
    if kind in ("vlan", "vxlan") and rest.strip().isdigit():
        return Layer(kind, {"vlan" if kind == "vlan" else "vni": int(rest)})
    match = re.fullmatch(r"\s*([^\s>]*)\s*>\s*([^\s>]*)\s*", rest)
    if kind not in PAIRS or not match:
        raise FrameTextError(f"'{text}' is not a layer")
    sides = {}
    for field, value in zip(PAIRS[kind], match.groups()):
        if value:
            sides[field] = int(value) if kind in ("tcp", "udp") else resolve(kind, value)
    return Layer(kind, sides)


def build(layers, eth, payload):
    """The frame of these layers. `eth(ip layer or None)` gives the Ethernet addresses of a packet whose
    text names none."""
    packet = None
    needs_eth = True
    for number, layer in enumerate(layers):
        if layer.kind != "eth" and needs_eth:
            inner_ip = next((other for other in layers[number:] if other.kind == "ipv4"), None)
            packet = join(packet, Ether(**eth(inner_ip)))
        needs_eth = layer.kind == "vxlan"
        extra = {"flags": 8} if layer.kind == "vxlan" else {}
        packet = join(packet, KINDS[layer.kind](**layer.fields, **extra))
    for udp in layers_of(packet):
        # RFC 7348 section 4.1: the outer UDP checksum should be zero.
        if isinstance(udp, UDP) and isinstance(udp.payload, VXLAN):
            udp.chksum = 0
    return bytes(packet / payload)


def join(packet, layer):
    return layer if packet is None else packet / layer


def layers_of(packet):
    while packet:
        yield packet
        packet = packet.payload


def innermost_ip(frame):
    """The bytes of the last IPv4 packet of a frame, without what Ethernet may have padded."""
    found = [layer for layer in layers_of(Ether(frame)) if isinstance(layer, IP)]
    return bytes(found[-1])[:found[-1].len] if found else b""


def difference(frame, wanted, sent):
    """Why `frame` is not what was wanted (`sent`: the frame the switch was given), or None."""
    actual = list(layers_of(Ether(frame)))
    for layer in wanted:
        if layer.kind in SAME:
            if innermost_ip(frame) != innermost_ip(sent):
                return "the inner packet is not the one that was sent"
            continue
        if layer.kind != "eth" and actual and isinstance(actual[0], Ether):
            actual.pop(0)
        if not actual or not isinstance(actual[0], KINDS[layer.kind]):
            return f"{layer.kind} expected, found {actual[0].name if actual else 'nothing more'}"
        for field, value in layer.fields.items():
            found = getattr(actual[0], field)
            if found != value:
                return f"{layer.kind} {field} is {found}, not {value}"
        actual.pop(0)
    return None


def faults(frame):
    """What no receiver would accept: wrong lengths or checksums, more than one tunnel."""
    layers = list(layers_of(Ether(frame)))
    if sum(isinstance(layer, VXLAN) for layer in layers) > 1:
        yield "more than one VXLAN header"
    for layer in layers:
        if isinstance(layer, (IP, UDP)) and layer.len > len(bytes(layer)):
            yield f"{layer.name} says {layer.len} bytes, there are {len(bytes(layer))}"
        if isinstance(layer, (IP, UDP, TCP, ICMP)) and not (isinstance(layer, UDP) and layer.chksum == 0):
            again = layer.copy()
            again.chksum = None
            if isinstance(layer, (UDP, TCP)):  # their checksum covers addresses of the layer below
                below = layer.underlayer.copy()
                below.remove_payload()
                again = (below / again).payload
            if type(layer)(bytes(again)).chksum != layer.chksum:
                yield f"{layer.name} checksum {layer.chksum:#06x} is wrong"


def summary(frame):
    return Ether(frame).summary()
