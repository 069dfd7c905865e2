"""A VF, frame by frame: a packet socket on its network device, in a namespace where nobody else speaks.

Proven on a veth in the VF's place (nic_world_test.py); no VF of a ConnectX was at hand.
"""
import json
import select
import socket
import struct

from trial.process import run
from trial.world import socket_in

ETH_P_ALL = 3
OUTGOING = 4
SO_RCVBUFFORCE = 33
SOL_PACKET, ADD_MEMBERSHIP, MULTICAST = 263, 1, 0
RECEIVE_BYTES = 16 << 20
ALL_NODES = bytes.fromhex("333300000001")  # where a gateway speaks to every VM that has IPv6


class VfPort:
    """`device` is up in namespace `netns`, with the VM's MAC."""

    def __init__(self, netns, device):
        self._socket = socket_in(netns, socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        self._socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BYTES)
        self._socket.bind((device, ETH_P_ALL))
        # An untrusted VF hears what is for its MAC, broadcasts, and the groups that it has joined.
        index = json.loads(run("ip", "-j", "link", "show", device, netns=netns).stdout)[0]["ifindex"]
        self._socket.setsockopt(SOL_PACKET, ADD_MEMBERSHIP,
                                struct.pack("iHH8s", index, MULTICAST, len(ALL_NODES), ALL_NODES))

    def close(self):
        self._socket.close()

    def send(self, frame):
        self._socket.send(frame)

    def receive(self, timeout):
        """The next frame that came out of the VF, or None."""
        while select.select([self._socket], [], [], timeout)[0]:
            frame, origin = self._socket.recvfrom(65536)
            if origin[2] != OUTGOING:
                return frame
        return None
