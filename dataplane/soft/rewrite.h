// Sets header fields of a packet and keeps IP, TCP, UDP and ICMPv6 checksums right (RFC 1624).
//
// A modification is stored as a packed byte string (`append_modify`), so that a rule's actions lie beside
// its counters; `apply_modifies` walks such a string. Only the outermost headers are written.
#pragma once

#include "dataplane/soft/action_list.h"
#include "dataplane/soft/parser.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace berth::soft {

// Field (1 byte) and value; a tag has index, value and mask (host order) instead.
void append_modify(const Modify& modify, std::vector<std::uint8_t>& packed);

// Reads the packed form back, for dumps.
std::vector<Modify> unpack_modifies(std::span<const std::uint8_t> packed);

// `frame` is the first byte of the packet that was parsed into `parsed`; both are updated.
void apply_modifies(std::span<const std::uint8_t> packed, std::uint8_t* frame, ParsedPacket& parsed);

}  // namespace berth::soft
