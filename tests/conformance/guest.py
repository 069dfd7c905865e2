"""The guest of a scenario: at whatever port, it does not mind what its gateway says unasked."""
import time

from kinds import GATEWAY_MAC
from vf_port import VfPort
from vhost_port import VhostPort

ALL_NODES = bytes.fromhex("333300000001")
GATEWAY = bytes.fromhex(GATEWAY_MAC.replace(":", ""))
ICMPV6_TYPE_AT = 14 + 40
ROUTER_ADVERTISEMENT = 134
PROBE = b"berth probe: "


class Unmoved:
    """Put in front of a port."""

    def receive(self, timeout):
        """The next frame but for two kinds. Router advertisements to all nodes: the gateway sends one whenever
        what it has to say changes, and that may be before or after the guest connects. And what berthd proves
        an attach with: a guest that is connected before its attach has ended sees some of that."""
        deadline = time.monotonic() + timeout
        while frame := super().receive(max(0, deadline - time.monotonic())):
            if not is_announcement(frame) and PROBE not in frame:
                return frame
        return None


class Guest(Unmoved, VhostPort):
    """A VM at a vhost-user socket."""


class VfGuest(Unmoved, VfPort):
    """Something that has a VF's network device, as a container would."""


def is_announcement(frame):
    return (frame[:12] == ALL_NODES + GATEWAY and frame[12:14] == b"\x86\xdd" and
            frame[ICMPV6_TYPE_AT] == ROUTER_ADVERTISEMENT)
