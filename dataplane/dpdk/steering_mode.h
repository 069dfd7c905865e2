// mlx5's two engines for rules, by the names that NVIDIA gives them.
#pragma once

#include <cstdint>

namespace berth::dataplane::dpdk {

enum class SteeringMode : std::uint8_t {
  kSoftware,  // SWS: one rule at a time; what Debian 12's DPDK offers synchronously (dv_flow_en=1)
  kHardware,  // HWS: templates and queues (dv_flow_en=2)
};

}  // namespace berth::dataplane::dpdk
