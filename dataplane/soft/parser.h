// Reads a packet once: header fields into a FieldVector and the offsets that rewriting needs.
//
// Looks at most at Ethernet, two VLAN tags, IPv4/IPv6 (with a fragment header), UDP/TCP/ICMP, and the
// same again behind VXLAN on UDP port 4789. Never reads past `length`; a header that is cut short or
// malformed is simply not there, so the packet cannot match a rule that names it.
#pragma once

#include "dataplane/soft/field_vector.h"

#include <cstdint>

namespace berth::soft {

// Byte offsets from the first byte of the frame. Valid only where the presence bits say so.
struct LayerOffsets {
  std::uint16_t l2 = 0;
  std::uint16_t l3 = 0;
  std::uint16_t l4 = 0;
};

struct ParsedPacket {
  FieldVector fields;
  LayerOffsets outer;
  LayerOffsets inner;
};

// `length` is the number of contiguous bytes at `data`, 14 at least for a frame to have any header.
void parse(const std::uint8_t* data, std::uint32_t length, PortIndex port, ParsedPacket& out);

}  // namespace berth::soft
