"""The other end of the uplink, frame by frame: what the switch sends to the wire, and what comes from it."""
import select
import socket
import struct

from trial.world import PEER_VTEP, mac_of, socket_in

ETH_P_ALL = 3
OUTGOING = 4
ETHERTYPE_ARP = 0x0806


class Wire:
    def __init__(self, world):
        self._socket = socket_in(world.peer, socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        self._socket.bind(("eth0", ETH_P_ALL))
        # The peer's kernel has no VXLAN device here: a socket keeps it from answering "port unreachable".
        self._port = socket_in(world.peer, socket.AF_INET, socket.SOCK_DGRAM)
        self._port.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        self._port.bind((PEER_VTEP, 4789))
        self.mac = mac_of("eth0", world.peer)

    def close(self):
        self._socket.close()
        self._port.close()

    def send(self, frame):
        self._socket.send(frame)

    def receive(self, timeout):
        """The next frame that the switch put on the wire, or None. The two kernels' own ARP is not its."""
        while select.select([self._socket], [], [], timeout)[0]:
            frame, origin = self._socket.recvfrom(65536)
            if origin[2] != OUTGOING and struct.unpack_from(">H", frame, 12)[0] != ETHERTYPE_ARP:
                return frame
        return None
