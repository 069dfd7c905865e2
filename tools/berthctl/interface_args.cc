#include "tools/berthctl/interface_args.h"

#include <charconv>
#include <concepts>

#include <fmt/format.h>

namespace berth::ctl {
namespace {

std::unexpected<Error> not_understood(std::string_view part) {
  return fail(Code::kInvalidArgument, "MALFORMED_INTERFACE",
              fmt::format("\"{}\" is none of vpc=, ip=, allocate=, mac=, mtu=, class=, policy-group=, near=, "
                          "max-rate-from-vm=, max-rate-to-vm=",
                          part));
}

template <std::unsigned_integral T>
bool parse_number(std::string_view text, T& value, std::string_view& rest) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  rest = text.substr(static_cast<std::size_t>(end - text.data()));
  return error == std::errc();
}

bool parse_rate(std::string_view text, std::uint64_t& rate) {
  std::string_view unit;
  if (!parse_number(text, rate, unit)) return false;
  if (unit.empty()) return true;
  const auto factor = rate_units().find(std::string(unit));
  if (factor == rate_units().end()) return false;
  rate *= factor->second;
  return true;
}

bool parse_part(std::string_view name, std::string_view value, InterfaceArgs& args) {
  std::string_view rest;
  if (name == "vpc") {
    args.vpc = value;
  } else if (name == "ip") {
    args.ips.emplace_back(value);
  } else if (name == "allocate") {
    args.allocate.emplace_back(value);
  } else if (name == "policy-group") {
    args.policy_groups.emplace_back(value);
  } else if (name == "mac") {
    args.mac = value;
  } else if (name == "near") {
    args.near = value;
  } else if (name == "mtu") {
    return parse_number(value, args.mtu_bytes, rest) && rest.empty();
  } else if (name == "max-rate-from-vm") {
    return parse_rate(value, args.max_rate_from_vm);
  } else if (name == "max-rate-to-vm") {
    return parse_rate(value, args.max_rate_to_vm);
  } else if (const auto found = network_classes().find(std::string(value));
             name == "class" && found != network_classes().end()) {
    args.network_class = found->second;
  } else {
    return false;
  }
  return true;
}

}  // namespace

const std::map<std::string, std::uint64_t>& rate_units() {
  static const std::map<std::string, std::uint64_t> units = {
      {"kbit", 1'000}, {"Mbit", 1'000'000}, {"Gbit", 1'000'000'000}};
  return units;
}

const std::map<std::string, northbound::v1::NetworkClass>& network_classes() {
  using namespace northbound::v1;
  static const std::map<std::string, NetworkClass> classes = {
      {"compute", COMPUTE}, {"converged", CONVERGED}, {"storage", STORAGE}, {"management", MANAGEMENT}};
  return classes;
}

Result<InterfaceArgs> parse_interface(std::string_view text) {
  InterfaceArgs args;
  while (!text.empty()) {
    const std::string_view part = text.substr(0, text.find(','));
    text.remove_prefix(std::min(part.size() + 1, text.size()));
    const std::size_t equals = part.find('=');
    if (equals == std::string_view::npos ||
        !parse_part(part.substr(0, equals), part.substr(equals + 1), args))
      return not_understood(part);
  }
  return args;
}

}  // namespace berth::ctl
