// How a rule ends: the packet is dropped, goes to another group, or leaves through a port.
#pragma once

#include <cstdint>

namespace berth::soft {

enum class Fate : std::uint8_t { kDrop, kJump, kPort };

}  // namespace berth::soft
