// How it is said that DPDK refused something of an ethdev.
#pragma once

#include "base/error.h"

#include <string_view>

#include <fmt/format.h>
#include <rte_errno.h>

namespace berth::dataplane::dpdk {

// `code`: negative errno. UNAVAILABLE (PORT_FAILED).
inline std::unexpected<Error> port_failed(std::string_view ethdev, std::string_view what, int code) {
  return fail(Code::kUnavailable, "PORT_FAILED",
              fmt::format("{}: {}: {}", ethdev, what, rte_strerror(-code)));
}

}  // namespace berth::dataplane::dpdk
