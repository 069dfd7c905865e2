// What the kernel must have been started and loaded with.
#include "host/preflight/files.h"
#include "host/preflight/preflight.h"

#include <fmt/format.h>

namespace berth::host::preflight {

namespace fs = std::filesystem;

namespace {

std::vector<Finding> nothing_to_pass(const std::string& check, const std::string& state) {
  return {
      {check, Verdict::kNotApplicable, state + "; no NIC with SR-IOV and no GPU is there to pass through"}};
}

}  // namespace

std::vector<Finding> check_iommu(const Host& host) {
  const auto groups = list_folder(host.root / "sys/kernel/iommu_groups");
  if (!groups.empty()) return {{"iommu", Verdict::kGood, fmt::format("on, {} groups", groups.size())}};
  if (!has_passthrough(host.root)) return nothing_to_pass("iommu", "off");
  const bool is_amd = read_file(host.root / "proc/cpuinfo").contains("AuthenticAMD");
  const std::string option = is_amd ? "iommu=pt" : "intel_iommu=on iommu=pt";
  const bool is_asked =
      read_file(host.root / "proc/cmdline").contains(is_amd ? "iommu=pt" : "intel_iommu=on");
  const std::string in_firmware =
      fmt::format("turn {} on in the firmware's setup", is_amd ? "AMD-Vi" : "VT-d");
  return {{"iommu", Verdict::kBad, is_asked ? "off, although the kernel was asked for it" : "off",
           is_asked ? in_firmware
                    : fmt::format("add {} to the kernel's command line, and {}", option, in_firmware)}};
}

std::vector<Finding> check_vfio(const Host& host) {
  if (!has_passthrough(host.root)) return nothing_to_pass("vfio", "not looked for");
  std::vector<Finding> findings;
  for (const char* module : {"vfio_pci", "vfio_iommu_type1"}) {
    const bool is_loaded = fs::exists(host.root / "sys/module" / module);
    std::string command = module;
    if (command == "vfio_pci") command = "vfio-pci";
    findings.push_back(
        {"vfio", is_loaded ? Verdict::kGood : Verdict::kBad,
         fmt::format("module {} is {}", module, is_loaded ? "there" : "not loaded"),
         is_loaded ? "" : fmt::format("modprobe {0}; echo {0} > /etc/modules-load.d/{0}.conf", command)});
  }
  return findings;
}

std::vector<Finding> check_hugepages(const Host& host) {
  std::uint64_t all = 0;
  std::uint64_t free = 0;
  for (const fs::path& size : list_folder(host.root / "sys/kernel/mm/hugepages")) {
    all += read_count(size / "nr_hugepages");
    free += read_count(size / "free_hugepages");
  }
  if (all == 0)
    return {{"hugepages", Verdict::kBad, "none",
             "echo 1024 > /sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages, or hugepages= at boot"}};
  return {{"hugepages", Verdict::kGood, fmt::format("{} pages, {} free", all, free)}};
}

std::vector<Finding> check_clock(const Host& host) {
  const auto synchronised =
      host.probes.is_clock_synchronised ? host.probes.is_clock_synchronised() : std::nullopt;
  if (!synchronised)
    return {{"clock", Verdict::kUnknown, "the kernel does not say", "timedatectl show -p NTPSynchronized"}};
  if (*synchronised) return {{"clock", Verdict::kGood, "synchronised"}};
  return {{"clock", Verdict::kBad, "not synchronised: certificates and timelines will not be believed",
           "systemctl enable --now systemd-timesyncd (or chrony)"}};
}

}  // namespace berth::host::preflight
