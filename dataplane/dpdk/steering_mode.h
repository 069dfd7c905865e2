// mlx5's two engines for rules, by the names that NVIDIA gives them.
#pragma once

#include <cstdint>
#include <string_view>

namespace berth::dataplane::dpdk {

enum class SteeringMode : std::uint8_t {
  kSoftware,  // SWS: one rule at a time; what Debian 12's DPDK offers synchronously (dv_flow_en=1)
  kHardware,  // HWS: templates and queues (dv_flow_en=2)
};

// As configuration files call them; anything but "hws" is "sws".
constexpr SteeringMode steering_called(std::string_view name) {
  return name == "hws" ? SteeringMode::kHardware : SteeringMode::kSoftware;
}

}  // namespace berth::dataplane::dpdk
