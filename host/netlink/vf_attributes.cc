#include "host/netlink/vf_attributes.h"

#include <cerrno>
#include <fstream>
#include <utility>

#include <fmt/format.h>

namespace berth::host {
namespace {

// One attribute to be set, by name; applied in sriov-cni's order: MAC, rate, spoof check, trust.
struct Change {
  std::string name;
  Bytes request;
  bool is_optional = false;  // it asks for what a NIC without the attribute does anyway
};

std::vector<Change> plan_changes(int ifindex, std::uint16_t vf, const VfSettings& now,
                                 const VfSettings& wanted) {
  std::vector<Change> changes;
  if (wanted.mac && now.mac != wanted.mac)
    changes.push_back({"MAC", format_vf_mac_set(ifindex, vf, *wanted.mac)});
  if (wanted.rate && now.rate != wanted.rate)
    changes.push_back({"rate", format_vf_rate_set(ifindex, vf, *wanted.rate)});
  if (wanted.is_spoof_checked && now.is_spoof_checked != wanted.is_spoof_checked) {
    changes.push_back({"spoof check", format_vf_spoof_check_set(ifindex, vf, *wanted.is_spoof_checked),
                       !*wanted.is_spoof_checked});
  }
  if (wanted.is_trusted && now.is_trusted != wanted.is_trusted)
    changes.push_back({"trust", format_vf_trust_set(ifindex, vf, *wanted.is_trusted), !*wanted.is_trusted});
  return changes;
}

// Trust and spoof check that the NIC does not tell are not compared: there, asking for "no" is enough.
std::string difference(const VfSettings& now, const VfSettings& wanted) {
  if (wanted.mac && now.mac != wanted.mac) return "MAC";
  if (wanted.rate && now.rate != wanted.rate) return "rate";
  const auto differs = [](std::optional<bool> is, std::optional<bool> should) {
    return should && is.value_or(false) != *should;
  };
  if (differs(now.is_spoof_checked, wanted.is_spoof_checked)) return "spoof check";
  if (differs(now.is_trusted, wanted.is_trusted)) return "trust";
  return "";
}

Error refused(const NlAnswer& answer, const std::string& what) {
  const bool is_unsupported = answer.error_number == EOPNOTSUPP;
  const bool is_unknown = answer.error_number == ENODEV;
  Error error{.code = is_unknown ? Code::kNotFound : Code::kFailedPrecondition,
              .message = fmt::format("{}: {}", what, answer.refusal()),
              .reason = is_unknown       ? "VF_UNKNOWN"
                        : is_unsupported ? "VF_ATTRIBUTE_UNSUPPORTED"
                                         : "VF_ATTRIBUTE_REFUSED"};
  if (const char* name = strerrorname_np(answer.error_number)) error.metadata["errno"] = name;
  return error;
}

}  // namespace

Result<NetlinkVfAttributes::Vf> NetlinkVfAttributes::find(PciAddress pf, std::uint16_t vf) const {
  const auto folder = root_ / "sys/bus/pci/devices" / pf.str() / "net";
  std::error_code error;
  for (const auto& device : std::filesystem::directory_iterator(folder, error)) {
    std::ifstream file(device.path() / "ifindex");
    int ifindex = 0;
    if (file >> ifindex) return Vf{ifindex, vf, fmt::format("VF {} of {}", vf, pf)};
  }
  return fail(Code::kNotFound, "VF_UNKNOWN", fmt::format("PF {} has no network device", pf));
}

Task<NlAnswer> NetlinkVfAttributes::ask(Bytes request, std::string what) {
  auto answer = co_await channel_.call(NlProtocol::kRoute, std::move(request), what, kDeadline);
  if (!answer) co_return pass(answer);
  if (answer->is_refused()) co_return std::unexpected(refused(*answer, what));
  co_return std::move(*answer);
}

Task<VfInfo> NetlinkVfAttributes::read_info(Vf vf) {
  const auto answer = co_await ask(format_vfs_get(vf.ifindex), fmt::format("read {}", vf.what));
  if (!answer) co_return pass(answer);
  const auto vfs =
      answer->messages.empty() ? std::map<std::uint32_t, VfInfo>() : parse_vfs(answer->messages.front());
  const auto found = vfs.find(vf.number);
  if (found == vfs.end())
    co_return fail(Code::kNotFound, "VF_UNKNOWN", fmt::format("there is no {}", vf.what));
  co_return found->second;
}

Task<VfSettings> NetlinkVfAttributes::read(PciAddress pf, std::uint16_t vf) {
  const auto found = find(pf, vf);
  if (!found) co_return pass(found);
  const auto info = co_await read_info(*found);
  if (!info) co_return pass(info);
  co_return info->settings;
}

Task<void> NetlinkVfAttributes::ensure(PciAddress pf, std::uint16_t vf, VfSettings settings) {
  const auto found = find(pf, vf);
  if (!found) co_return pass(found);
  auto info = co_await read_info(*found);
  if (!info) co_return pass(info);
  for (Change& change : plan_changes(found->ifindex, vf, info->settings, settings)) {
    const auto answer =
        co_await ask(std::move(change.request), fmt::format("set {} of {}", change.name, found->what));
    if (answer || (change.is_optional && answer.error().reason == "VF_ATTRIBUTE_UNSUPPORTED")) continue;
    co_return pass(answer);
  }
  info = co_await read_info(*found);
  if (!info) co_return pass(info);
  if (const auto name = difference(info->settings, settings); !name.empty()) {
    co_return fail(Code::kFailedPrecondition, "VF_ATTRIBUTE_REFUSED",
                   fmt::format("{} of {} was set, and reads back different", name, found->what));
  }
  co_return Result<void>();
}

Task<void> NetlinkVfAttributes::ensure_guids(PciAddress pf, std::uint16_t vf, VfGuids guids) {
  const auto found = find(pf, vf);
  if (!found) co_return pass(found);
  auto info = co_await read_info(*found);
  if (!info) co_return pass(info);
  if (info->guids == guids) co_return Result<void>();
  const auto answer = co_await ask(format_vf_guids_set(found->ifindex, vf, guids),
                                   fmt::format("set the GUIDs of {}", found->what));
  if (!answer) co_return pass(answer);
  info = co_await read_info(*found);
  if (!info) co_return pass(info);
  if (info->guids == guids) co_return Result<void>();
  co_return fail(Code::kFailedPrecondition, "VF_ATTRIBUTE_REFUSED",
                 fmt::format("the GUIDs of {} were set, and read back different", found->what));
}

}  // namespace berth::host
