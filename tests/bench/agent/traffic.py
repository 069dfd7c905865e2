"""Traffic at a steady rate, each frame with a number: from a VM to its neighbour, from a VM to the wire, and from
the wire to a VM. What was sent and did not arrive was lost."""
import struct
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent / "conformance"))

from trial.world import HOST_VTEP, PEER_VTEP  # noqa: E402
from vhost_port import VhostPort  # noqa: E402
from wire import Wire  # noqa: E402

RATE = 400  # frames a second and flow
PATIENCE = 2  # seconds that the last frames may take
MARK = b"berth-restart"
NUMBER_AT = len(MARK)
PADDING = bytes(40)


def mac_bytes(text):
    return bytes.fromhex(text.replace(":", ""))


def ipv4_udp(source, target, source_port, target_port, payload):
    udp = struct.pack(">HHHH", source_port, target_port, 8 + len(payload), 0) + payload
    words = [0x4500, 20 + len(udp), 0, 0, 64 << 8 | 17, 0]
    addresses = bytes(map(int, source.split("."))) + bytes(map(int, target.split(".")))
    total = sum(words) + sum(struct.unpack(">4H", addresses))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    words[5] = ~total & 0xFFFF
    return struct.pack(">6H", *words) + addresses + udp


def ethernet(source, target, packet):
    return mac_bytes(target) + mac_bytes(source) + b"\x08\x00" + packet


def in_tunnel(frame, vni, wire_mac, host_mac):
    header = struct.pack(">II", 8 << 24, vni << 8)
    return ethernet(wire_mac, host_mac, ipv4_udp(PEER_VTEP, HOST_VTEP, 50000, 4789, header + frame))


class Flow:
    """Frames that are alike but for their numbers."""

    def __init__(self, name, number, send, source, target):
        self.name = name
        self.send = send
        payload = MARK + struct.pack(">QB", 0, number) + PADDING
        self.frame = ethernet(source[1], target[1], ipv4_udp(source[0], target[0], 40000, 5000, payload))
        self.wrap = None  # puts a frame into a tunnel
        self.sent = 0
        self.arrived = bytearray()

    def send_next(self):
        at = self.frame.index(MARK) + NUMBER_AT
        frame = self.frame[:at] + struct.pack(">Q", self.sent) + self.frame[at + 8:]
        self.arrived.append(0)
        self.sent += 1
        self.send(self.wrap(frame) if self.wrap else frame)


class Traffic:
    """`web` and `db` are (socket, ip, mac) of VMs, `far` (ip, mac) of one on the wire's other end."""

    def __init__(self, world, host_mac, vni, web, db, far):
        self.wire = Wire(world, host_mac)
        self.ports = [VhostPort(web[0]), VhostPort(db[0])]
        web_port, db_port = self.ports
        self.flows = [Flow("web to db", 0, web_port.send, web[1:], db[1:]),
                      Flow("web to the wire", 1, web_port.send, web[1:], far),
                      Flow("wire to web", 2, self.wire.send, far, web[1:])]
        self.flows[2].wrap = lambda frame: in_tunnel(frame, vni, self.wire.mac, host_mac)
        self.is_over = threading.Event()
        self.error = None
        self.latest = 0.0  # seconds that the sender was behind its plan at most
        jobs = [self._send] + [lambda end=end: self._receive(end) for end in (*self.ports, self.wire)]
        self.threads = [threading.Thread(target=self._guard, args=(job,), daemon=True) for job in jobs]
        for thread in self.threads:
            thread.start()

    def _guard(self, run):
        try:
            run()
        except (OSError, ValueError) as error:
            if not self.is_over.is_set():
                self.error = error

    def _send(self):
        due = time.monotonic()
        while not self.is_over.is_set():
            for flow in self.flows:
                flow.send_next()
            due += 1 / RATE
            self.latest = max(self.latest, time.monotonic() - due)
            time.sleep(max(0, due - time.monotonic()))

    def _receive(self, end):
        while not self.is_over.is_set():
            frame = end.receive(0.1)
            at = frame.find(MARK) if frame else -1
            if at < 0:
                continue
            number, flow = struct.unpack_from(">QB", frame, at + NUMBER_AT)
            self.flows[flow].arrived[number] = 1

    def sent(self):
        return [flow.sent for flow in self.flows]

    def lost_between(self, first, last):
        """Of the frames with numbers from `first` to below `last`, a number for each flow; waits for stragglers."""
        deadline = time.monotonic() + PATIENCE
        while True:
            lost = sum(flow.arrived[begin:end].count(0) for flow, begin, end in zip(self.flows, first, last))
            if not lost or time.monotonic() > deadline:
                return lost
            time.sleep(0.01)

    def close(self):
        if self.is_over.is_set():
            return
        self.is_over.set()
        for thread in self.threads:
            thread.join(PATIENCE)
        for end in (*self.ports, self.wire):
            end.close()
