#include "host/netlink/port_name.h"

#include <charconv>
#include <optional>

namespace berth::host {
namespace {

// Takes `prefix` and the decimal number behind it off the front; nothing when the text does not begin so.
std::optional<std::uint32_t> take(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return std::nullopt;
  const std::string_view digits = text.substr(prefix.size());
  std::uint32_t number = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (error != std::errc{}) return std::nullopt;
  text = digits.substr(static_cast<std::size_t>(end - digits.data()));
  return number;
}

}  // namespace

Result<PortName> PortName::parse(std::string_view text) {
  std::string_view rest = text;
  PortName name;
  if (const auto uplink = take(rest, "p")) {
    name.pf = *uplink;
    if (const auto part = take(rest, "s")) name.number = *part + 1;
    if (rest.empty()) return name;
  } else {
    name.controller = take(rest, "c").value_or(0);
    if (const auto pf = take(rest, "pf")) {
      name.kind = PortKind::kPf;
      name.pf = *pf;
      if (const auto vf = take(rest, "vf")) {
        name.kind = PortKind::kVf;
        name.number = *vf;
      } else if (const auto sf = take(rest, "sf")) {
        name.kind = PortKind::kSf;
        name.number = *sf;
      }
      if (rest.empty()) return name;
    }
  }
  return fail(Code::kInvalidArgument, "MALFORMED_PORT_NAME",
              fmt::format("'{}' is not a port name such as p0, pf0vf3 or c1pf0vf3", text));
}

std::string PortName::str() const {
  if (kind == PortKind::kUplink)
    return number == 0 ? fmt::format("p{}", pf) : fmt::format("p{}s{}", pf, number - 1);
  const auto controller_part = controller == 0 ? std::string() : fmt::format("c{}", controller);
  switch (kind) {
    case PortKind::kVf:
      return fmt::format("{}pf{}vf{}", controller_part, pf, number);
    case PortKind::kSf:
      return fmt::format("{}pf{}sf{}", controller_part, pf, number);
    default:
      return fmt::format("{}pf{}", controller_part, pf);
  }
}

}  // namespace berth::host
