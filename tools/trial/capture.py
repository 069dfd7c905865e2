"""Packets seen on a device, both directions, and what tshark says of them."""
import socket
import struct
import threading
import time

from .process import run
from .world import socket_in

ETH_P_ALL = 3


class Capture:
    """Records from the moment it is made until stop()."""

    def __init__(self, netns, device):
        self._socket = socket_in(netns, socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        self._socket.bind((device, ETH_P_ALL))
        self._socket.settimeout(0.05)
        self._frames = []
        self._stopping = False
        self._thread = threading.Thread(target=self._record, daemon=True)
        self._thread.start()

    def stop(self):
        """Ends the recording. Idempotent."""
        self._stopping = True
        self._thread.join()
        self._socket.close()

    def save(self, path):
        """Writes a pcap file (the classic format, Ethernet, nanoseconds)."""
        with open(path, "wb") as file:
            file.write(struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 0xFFFF, 1))
            for when, frame in self._frames:
                file.write(struct.pack("<IIII", when // 10**9, when % 10**9, len(frame), len(frame)) + frame)
        return path

    def _record(self):
        while not self._stopping:
            try:
                self._frames.append((time.time_ns(), self._socket.recv(65536)))
            except TimeoutError:
                pass
            except OSError:  # the device is gone or down: nothing more will come
                return


def decode(pcap, fields, display_filter=""):
    """tshark's view: one dict a packet; a field that occurs more than once has its values joined by ','."""
    arguments = [part for field in fields for part in ("-e", field)]
    result = run("tshark", "-n", "-r", pcap, "-Y", display_filter, "-T", "fields",
                 "-E", "occurrence=a", "-E", "separator=|", *arguments)
    return [dict(zip(fields, line.split("|"))) for line in result.stdout.splitlines()]
