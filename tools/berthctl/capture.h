// Frames out of a packet capture (pcap or pcapng).
#pragma once

#include "base/error.h"

#include <cstddef>
#include <string>

namespace berth::ctl {

// The bytes of frame `number`, counted from 1. NOT_FOUND (NO_SUCH_FRAME), INVALID_ARGUMENT (BAD_CAPTURE: no
// capture, or not one of Ethernet).
Result<std::string> read_capture(const std::string& file, std::size_t number);

}  // namespace berth::ctl
