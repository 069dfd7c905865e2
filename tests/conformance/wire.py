"""The other end of the uplink, frame by frame: what the switch sends to the wire, and what comes from it."""
import select
import socket
import struct

from trial.world import mac_of, socket_in

ETH_P_ALL = 3
OUTGOING = 4
SO_RCVBUFFORCE = 33
RECEIVE_BYTES = 16 << 20  # a burst waits here while a scenario does something else
ETHERTYPE_ARP, ETHERTYPE_IPV6 = 0x0806, 0x86DD
HOP_BY_HOP, ICMPV6 = 0, 58


class Wire:
    def __init__(self, world, host_mac):
        self._host_mac = bytes.fromhex(host_mac.replace(":", ""))
        self._socket = socket_in(world.peer, socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        self._socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BYTES)
        self._socket.bind((world.wire, ETH_P_ALL))
        # The peer's kernel has no VXLAN device here: a socket keeps it from answering "port unreachable".
        family = socket.AF_INET if world.underlay == "ipv4" else socket.AF_INET6
        self._port = socket_in(world.peer, family, socket.SOCK_DGRAM)
        self._port.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        self._port.bind((world.peer_vtep, 4789))
        self.mac = mac_of(world.wire, world.peer)

    def close(self):
        self._socket.close()
        self._port.close()

    def send(self, frame):
        self._socket.send(frame)

    def receive(self, timeout):
        """The next frame that the switch put on the wire, or None."""
        while select.select([self._socket], [], [], timeout)[0]:
            frame, origin = self._socket.recvfrom(65536)
            if origin[2] != OUTGOING and not self._is_of_the_kernel(frame):
                return frame
        return None

    def _is_of_the_kernel(self, frame):
        """How the host's kernel finds its neighbours on this link is not the switch's doing."""
        ethertype = struct.unpack_from(">H", frame, 12)[0]
        asks = ethertype == ETHERTYPE_ARP or (ethertype == ETHERTYPE_IPV6 and frame[20] in (HOP_BY_HOP, ICMPV6))
        return asks and frame[6:12] == self._host_mac
