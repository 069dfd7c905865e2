#include "host/preflight/preflight.h"

#include <array>
#include <cstdio>
#include <memory>
#include <sys/timex.h>

#include <boost/json.hpp>
#include <fmt/format.h>

namespace berth::host::preflight {
namespace {

// iproute2's own JSON. The address has been parsed, so it cannot be more than an address.
std::optional<std::string> ask_devlink(const PciAddress& pf) {
  constexpr std::size_t kMost = 65536;
  const std::string command = fmt::format("devlink -j dev eswitch show pci/{} 2>/dev/null", pf);
  const std::unique_ptr<FILE, int (*)(FILE*)> child(::popen(command.c_str(), "r"), ::pclose);
  if (!child) return std::nullopt;
  std::string output(kMost, '\0');
  output.resize(std::fread(output.data(), 1, output.size(), child.get()));
  return parse_eswitch_mode(output);
}

std::optional<bool> ask_kernel_clock() {
  timex clock{};
  const int state = ::adjtimex(&clock);
  if (state < 0) return std::nullopt;
  return state != TIME_ERROR && (clock.status & STA_UNSYNC) == 0;
}

}  // namespace

std::string verdict_name(Verdict verdict) {
  switch (verdict) {
    case Verdict::kGood:
      return "good";
    case Verdict::kBad:
      return "bad";
    case Verdict::kUnknown:
      return "unknown";
    case Verdict::kNotApplicable:
      return "not applicable";
  }
  return "unknown";
}

std::vector<Finding> check_host(const Host& host) {
  constexpr std::array kChecks = {&check_iommu,
                                  &check_sriov,
                                  &check_vfio,
                                  &check_hugepages,
                                  &check_switchdev,
                                  &check_firmware,
                                  &check_dpdk,
                                  &check_isolation,
                                  &check_ats,
                                  &check_representors,
                                  &check_foreign_managers,
                                  &check_clock};
  std::vector<Finding> all;
  for (const auto check : kChecks) {
    for (Finding& finding : check(host)) all.push_back(std::move(finding));
  }
  return all;
}

Probes probes_of_this_machine() {
  return {.eswitch_mode = ask_devlink, .is_clock_synchronised = ask_kernel_clock};
}

std::optional<std::string> parse_eswitch_mode(const std::string& text) {
  boost::system::error_code error;
  const auto value = boost::json::parse(text, error);
  const auto* devices = error || !value.is_object() ? nullptr : value.get_object().if_contains("dev");
  if (devices == nullptr || !devices->is_object() || devices->get_object().empty()) return std::nullopt;
  const auto& device = devices->get_object().begin()->value();
  const auto* mode = device.is_object() ? device.get_object().if_contains("mode") : nullptr;
  if (mode == nullptr || !mode->is_string()) return std::nullopt;
  return std::string(mode->get_string());
}

}  // namespace berth::host::preflight
