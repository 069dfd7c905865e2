// Ports of an eSwitch as the pipeline sees them: the uplink (the wire) and functions (one a VM).
// The number is Berth's own; a backend translates it (DPDK: ethdev port id of the representor).
#pragma once

#include <compare>
#include <cstdint>

#include <fmt/format.h>

namespace berth::dataplane {

class EswitchPort {
 public:
  constexpr EswitchPort() = default;  // the uplink
  static constexpr EswitchPort uplink() { return EswitchPort(); }
  static constexpr EswitchPort function(std::uint16_t index) {
    return EswitchPort(static_cast<std::uint16_t>(index + 1));
  }

  constexpr bool is_uplink() const { return number_ == 0; }
  // Only for functions: 0 is vf0.
  constexpr std::uint16_t function_index() const { return static_cast<std::uint16_t>(number_ - 1); }
  // 0 is the uplink, n+1 is function n. Also the value of the pipeline's destination tag.
  constexpr std::uint16_t number() const { return number_; }
  constexpr auto operator<=>(const EswitchPort&) const = default;

 private:
  explicit constexpr EswitchPort(std::uint16_t number) : number_(number) {}
  std::uint16_t number_ = 0;
};

}  // namespace berth::dataplane

template <>
struct fmt::formatter<berth::dataplane::EswitchPort> : fmt::formatter<std::string_view> {
  auto format(berth::dataplane::EswitchPort port, format_context& ctx) const {
    return port.is_uplink() ? fmt::format_to(ctx.out(), "uplink")
                            : fmt::format_to(ctx.out(), "vf{}", port.function_index());
  }
};
