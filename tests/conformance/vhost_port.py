"""A VM's NIC, packet by packet: a virtio-net driver on a vhost-user socket, in a page of Python.

The test itself is the guest: send() puts one frame on the port and returns when the switch has taken it,
receive() takes the next frame off it. Split rings, one queue pair, no offloads. Protocol and ring layout:
QEMU's docs/interop/vhost-user.rst and OASIS virtio 1.1, sections 2.6 and 5.1.6.
"""
import mmap
import os
import select
import socket
import struct
import time

GET_FEATURES, SET_FEATURES, SET_OWNER, SET_MEM_TABLE = 1, 2, 3, 5
SET_VRING_NUM, SET_VRING_ADDR, SET_VRING_BASE = 8, 9, 10
SET_VRING_KICK, SET_VRING_CALL = 12, 13
GET_PROTOCOL_FEATURES, SET_PROTOCOL_FEATURES, SET_VRING_ENABLE = 15, 16, 18

F_PROTOCOL_FEATURES = 1 << 30
F_VERSION_1 = 1 << 32
PROTOCOL_REPLY_ACK = 1 << 3
MESSAGE_VERSION = 1
NEED_REPLY = 1 << 3

HEADER_BYTES = 12  # struct virtio_net_hdr with num_buffers
SLOTS = 256
SLOT_BYTES = 2048
RING_BYTES = 16384  # room for the three parts of one ring of 256
MEMORY_BYTES = 2 * (RING_BYTES + SLOTS * SLOT_BYTES)
BASE = 0x1_0000_0000  # where the guest's memory begins, by its own reckoning
WRITABLE = 2  # descriptor flag: for the device to write
RX, TX = 0, 1  # queue numbers as the guest sees them


class Ring:
    """One split virtqueue and its buffers, in the shared memory from `start`."""

    def __init__(self, memory, start):
        self.memory = memory
        self.words = memoryview(memory).cast("H")
        self.descriptors = start
        self.available = start + 16 * SLOTS
        self.used = start + 8192
        self.buffers = start + RING_BYTES
        self.available_count = 0
        self.used_seen = 0

    def offer(self, slot, size, flags):
        """Hands buffer `slot` to the device."""
        struct.pack_into("<QIHH", self.memory, self.descriptors + 16 * slot,
                         BASE + self.buffer_at(slot), size, flags, 0)
        struct.pack_into("<H", self.memory, self.available + 4 + 2 * (self.available_count % SLOTS), slot)
        self.available_count = (self.available_count + 1) & 0xFFFF
        # The index is written last: x86 does not reorder stores, and neither does the interpreter. And in one
        # piece: struct.pack_into() would show the device a zero first, and it would take the whole ring again.
        self.words[(self.available + 2) // 2] = self.available_count

    def used_count(self):
        return struct.unpack_from("<H", self.memory, self.used + 2)[0]

    def take_used(self):
        """(slot, bytes written) of the next buffer the device is done with, or None."""
        if self.used_count() == self.used_seen:
            return None
        entry = struct.unpack_from("<II", self.memory, self.used + 4 + 8 * (self.used_seen % SLOTS))
        self.used_seen = (self.used_seen + 1) & 0xFFFF
        return entry

    def buffer_at(self, slot):
        return self.buffers + SLOT_BYTES * slot


class VhostPort:
    def __init__(self, path, timeout=10):
        self.path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(timeout)
        self._socket.connect(str(path))
        self._file = os.memfd_create("guest", os.MFD_CLOEXEC)
        os.ftruncate(self._file, MEMORY_BYTES)
        self.memory = mmap.mmap(self._file, MEMORY_BYTES)
        self.rings = [Ring(self.memory, 0), Ring(self.memory, MEMORY_BYTES // 2)]
        self._events = [(os.eventfd(0), os.eventfd(0, os.EFD_NONBLOCK)) for _ in self.rings]
        self._acknowledges = False
        self._connect_device()

    def close(self):
        self._socket.close()
        for kick, call in self._events:
            os.close(kick)
            os.close(call)
        for ring in self.rings:
            ring.words.release()
        self.memory.close()
        os.close(self._file)

    def send(self, frame, timeout=5):
        """Sends one frame; returns when the switch has read it."""
        ring = self.rings[TX]
        slot = ring.available_count % SLOTS
        at = ring.buffer_at(slot)
        self.memory[at:at + HEADER_BYTES] = bytes(HEADER_BYTES)
        self.memory[at + HEADER_BYTES:at + HEADER_BYTES + len(frame)] = frame
        ring.offer(slot, HEADER_BYTES + len(frame), 0)
        os.eventfd_write(self._events[TX][0], 1)
        deadline = time.monotonic() + timeout
        while not ring.take_used():
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self.path}: the switch did not take a frame within {timeout} s")
            time.sleep(0.0002)

    def receive(self, timeout):
        """The next frame, or None when there is none within `timeout` seconds."""
        ring = self.rings[RX]
        deadline = time.monotonic() + timeout
        while not (entry := ring.take_used()):
            left = deadline - time.monotonic()
            if left <= 0:
                return None
            call = self._events[RX][1]
            if select.select([call], [], [], min(left, 0.01))[0]:
                os.eventfd_read(call)
        slot, size = entry
        at = ring.buffer_at(slot)
        frame = bytes(self.memory[at + HEADER_BYTES:at + size])
        ring.offer(slot, SLOT_BYTES, WRITABLE)
        return frame

    def _connect_device(self):
        offered = self._ask(GET_FEATURES)
        wanted = F_VERSION_1 | F_PROTOCOL_FEATURES
        if offered & wanted != wanted:
            raise ConnectionError(f"{self.path}: the device offers features {offered:#x}, not {wanted:#x}")
        if self._ask(GET_PROTOCOL_FEATURES) & PROTOCOL_REPLY_ACK:
            self._tell(SET_PROTOCOL_FEATURES, struct.pack("<Q", PROTOCOL_REPLY_ACK))
            self._acknowledges = True
        self._tell(SET_OWNER)
        self._tell(SET_FEATURES, struct.pack("<Q", wanted))
        region = struct.pack("<IIQQQQ", 1, 0, BASE, MEMORY_BYTES, BASE, 0)
        self._tell(SET_MEM_TABLE, region, self._file)
        for slot in range(SLOTS - 1):
            self.rings[RX].offer(slot, SLOT_BYTES, WRITABLE)
        for number, ring in enumerate(self.rings):
            kick, call = self._events[number]
            self._tell(SET_VRING_NUM, struct.pack("<II", number, SLOTS))
            self._tell(SET_VRING_BASE, struct.pack("<II", number, 0))
            self._tell(SET_VRING_ADDR, struct.pack("<IIQQQQ", number, 0, BASE + ring.descriptors,
                                                   BASE + ring.used, BASE + ring.available, 0))
            self._tell(SET_VRING_CALL, struct.pack("<Q", number), call)
            self._tell(SET_VRING_KICK, struct.pack("<Q", number), kick)
            self._tell(SET_VRING_ENABLE, struct.pack("<II", number, 1))

    def _tell(self, request, payload=b"", file=None):
        flags = MESSAGE_VERSION | (NEED_REPLY if self._acknowledges else 0)
        files = [file] if file is not None else []
        socket.send_fds(self._socket, [struct.pack("<III", request, flags, len(payload)) + payload], files)
        if self._acknowledges and self._answer() != 0:
            raise ConnectionError(f"{self.path}: the device refused vhost-user request {request}")

    def _ask(self, request):
        self._socket.sendall(struct.pack("<III", request, MESSAGE_VERSION, 0))
        return self._answer()

    def _answer(self):
        message = b""
        while len(message) < 20:
            part = self._socket.recv(20 - len(message))
            if not part:
                raise ConnectionError(f"{self.path}: the device hung up")
            message += part
        return struct.unpack("<IIIQ", message)[3]
