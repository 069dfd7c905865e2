// What is wrong with this host, before a VM finds out: each check looks at what the kernel shows and says
// what it found and what cures it. Pure over a root folder; what files cannot tell is asked through Probes.
#pragma once

#include "host/pci_address.h"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace berth::host::preflight {

enum class Verdict : std::uint8_t {
  kGood,
  kBad,            // has a cure
  kUnknown,        // could not be told; the cure is how to find out
  kNotApplicable,  // this host has nothing that it is about
};
std::string verdict_name(Verdict verdict);  // "good", "bad", "unknown", "not applicable"

struct Finding {
  std::string check;  // "iommu"; several findings of one check name their device in `what`
  Verdict verdict = Verdict::kGood;
  std::string what;
  std::string cure = {};
};

// What is not in files. An empty function, or nothing returned: unknown.
struct Probes {
  std::function<std::optional<std::string>(const PciAddress& pf)> eswitch_mode;  // "legacy", "switchdev"
  std::function<std::optional<bool>()> is_clock_synchronised;
};

struct Host {
  std::filesystem::path root = "/";
  Probes probes;
};

std::vector<Finding> check_iommu(const Host& host);
std::vector<Finding> check_sriov(const Host& host);
std::vector<Finding> check_vfio(const Host& host);
std::vector<Finding> check_hugepages(const Host& host);
std::vector<Finding> check_switchdev(const Host& host);
std::vector<Finding> check_firmware(const Host& host);
// What opens a ConnectX's eSwitch: DPDK's driver for it, and the kernel's verbs, which that driver stands on.
std::vector<Finding> check_dpdk(const Host& host);
std::vector<Finding> check_isolation(const Host& host);  // ACS, IOMMU groups
std::vector<Finding> check_ats(const Host& host);
std::vector<Finding> check_representors(const Host& host);
std::vector<Finding> check_foreign_managers(const Host& host);
std::vector<Finding> check_clock(const Host& host);

// All of them, in this order.
std::vector<Finding> check_host(const Host& host);

// Of this machine: `devlink` of iproute2 as a child process, if it is installed, and adjtimex(2).
Probes probes_of_this_machine();

// The reply of `devlink -j dev eswitch show pci/...`.
std::optional<std::string> parse_eswitch_mode(const std::string& json);

}  // namespace berth::host::preflight
