// Every finding of the doctor, on hosts that have the fault and on hosts that have not.
#include "host/preflight/preflight.h"

#include "tests/fakes/sysfs_tree.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace berth::host::preflight {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::Each;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;

// A host of tests/unit/host/topology, to which a test adds what it is about.
struct Case {
  explicit Case(const std::string& name = "hgx")
      : tree(std::string(BERTH_TOPOLOGY_TREES) + "/" + name + ".tree"),
        host{.root = tree.root(), .probes = {}} {}
  void write(const std::string& file, const std::string& text) { tree.write(file, text); }
  void write_of_nic(const std::string& file, const std::string& text) {
    std::ofstream(tree.device("0000:19:00.0") / file) << text << "\n";
  }
  void make_sriov(const std::string& vfs) {
    write_of_nic("sriov_totalvfs", "16");
    write_of_nic("sriov_numvfs", vfs);
    write_of_nic("sriov_drivers_autoprobe", "0");
  }
  void add_representor(const std::string& name, const std::string& disable_ipv6) {
    write("sys/class/net/" + name + "/phys_port_name", "pf0vf3\n");
    write("proc/sys/net/ipv6/conf/" + name + "/disable_ipv6", disable_ipv6 + "\n");
  }

  testing::SysfsTree tree;
  Host host;
};

::testing::Matcher<const Finding&> finding(Verdict verdict, const std::string& what,
                                           const std::string& cure = "") {
  return AllOf(Field(&Finding::verdict, verdict), Field(&Finding::what, HasSubstr(what)),
               Field(&Finding::cure, HasSubstr(cure)));
}

TEST(Preflight, Iommu) {
  Case off("hgx");
  std::filesystem::remove_all(off.tree.root() / "sys/kernel/iommu_groups");
  off.write("proc/cmdline", "BOOT_IMAGE=/vmlinuz quiet\n");
  EXPECT_THAT(check_iommu(off.host), Contains(finding(Verdict::kBad, "off", "intel_iommu=on iommu=pt")));
  off.write("proc/cmdline", "quiet intel_iommu=on\n");
  EXPECT_THAT(check_iommu(off.host), Contains(finding(Verdict::kBad, "although", "VT-d")));
  off.write("proc/cpuinfo", "vendor_id : AuthenticAMD\n");
  EXPECT_THAT(check_iommu(off.host), Contains(finding(Verdict::kBad, "off", "AMD-Vi")));
  EXPECT_THAT(check_iommu(Case("hgx").host), Each(finding(Verdict::kGood, "groups")));
}

TEST(Preflight, HostWithNothingToPassThroughNeedsNoIommu) {
  Case host("desktop");
  std::filesystem::remove_all(host.tree.root() / "sys/kernel/iommu_groups");
  EXPECT_THAT(check_iommu(host.host), Each(finding(Verdict::kBad, "off")));  // it has a GPU
  std::filesystem::remove(host.tree.device("0000:01:00.0"));
  EXPECT_THAT(check_iommu(host.host), Each(finding(Verdict::kNotApplicable, "off")));
  EXPECT_THAT(check_vfio(host.host), Each(finding(Verdict::kNotApplicable, "")));
}

TEST(Preflight, Sriov) {
  Case host;
  EXPECT_THAT(check_sriov(host.host), Each(finding(Verdict::kNotApplicable, "no NIC with SR-IOV")));
  host.make_sriov("0");
  EXPECT_THAT(check_sriov(host.host), Each(finding(Verdict::kBad, "0000:19:00.0 has 0 of 16", "echo 16 > ")));
  host.make_sriov("16");
  EXPECT_THAT(check_sriov(host.host), Each(finding(Verdict::kGood, "16 of 16")));
  host.write_of_nic("sriov_drivers_autoprobe", "1");
  EXPECT_THAT(check_sriov(host.host), Contains(finding(Verdict::kBad, "host's drivers", "autoprobe")));
}

TEST(Preflight, Vfio) {
  Case host;
  EXPECT_THAT(check_vfio(host.host),
              Contains(finding(Verdict::kBad, "vfio_pci is not loaded", "modprobe vfio-pci")));
  host.write("sys/module/vfio_pci/refcnt", "0\n");
  EXPECT_THAT(check_vfio(host.host), Contains(finding(Verdict::kBad, "vfio_iommu_type1")));
  host.write("sys/module/vfio_iommu_type1/refcnt", "0\n");
  EXPECT_THAT(check_vfio(host.host), Each(finding(Verdict::kGood, "there")));
}

TEST(Preflight, Hugepages) {
  Case host;
  EXPECT_THAT(check_hugepages(host.host), Each(finding(Verdict::kBad, "none", "nr_hugepages")));
  host.write("sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages", "0\n");
  EXPECT_THAT(check_hugepages(host.host), Each(finding(Verdict::kBad, "none")));
  host.write("sys/kernel/mm/hugepages/hugepages-1048576kB/nr_hugepages", "8\n");
  host.write("sys/kernel/mm/hugepages/hugepages-1048576kB/free_hugepages", "3\n");
  EXPECT_THAT(check_hugepages(host.host), Each(finding(Verdict::kGood, "8 pages, 3 free")));
}

TEST(Preflight, Switchdev) {
  Case host;
  EXPECT_THAT(check_switchdev(host.host), Each(finding(Verdict::kNotApplicable, "no NIC")));
  host.make_sriov("4");
  EXPECT_THAT(check_switchdev(host.host),
              Each(finding(Verdict::kUnknown, "0000:19:00.0", "devlink dev eswitch show")));
  std::string mode = "legacy";
  std::vector<PciAddress> asked;
  host.host.probes.eswitch_mode = [&](const PciAddress& pf) {
    asked.push_back(pf);
    return std::optional(mode);
  };
  EXPECT_THAT(check_switchdev(host.host), Each(finding(Verdict::kBad, "legacy", "mode switchdev")));
  mode = "switchdev";
  EXPECT_THAT(check_switchdev(host.host), Each(finding(Verdict::kGood, "switchdev")));
  EXPECT_THAT(asked, Each(PciAddress{0, 0x19, 0, 0}));
}

TEST(Preflight, EswitchModeIsReadFromDevlinksJson) {
  EXPECT_EQ(
      parse_eswitch_mode(
          R"({"dev":{"pci/0000:19:00.0":{"mode":"switchdev","inline-mode":"none","encap-mode":"basic"}}})"),
      "switchdev");
  for (const char* text : {"", "{}", "[]", R"({"dev":{}})", R"({"dev":7})", R"({"dev":{"pci/x":{"mode":1}}})",
                           "kernel answers: Operation not permitted"})
    EXPECT_EQ(parse_eswitch_mode(text), std::nullopt) << text;
}

TEST(Preflight, FirmwareIsSaidToBeUnknown) {
  Case host;
  EXPECT_THAT(check_firmware(host.host), Each(finding(Verdict::kNotApplicable, "no ConnectX")));
  host.make_sriov("4");
  std::filesystem::create_directories(host.tree.device("0000:19:00.0") / "infiniband/mlx5_0");
  host.write_of_nic("infiniband/mlx5_0/fw_ver", "28.39.1002");
  EXPECT_THAT(check_firmware(host.host),
              Each(finding(Verdict::kUnknown, "28.39.1002", "mlxconfig -d 0000:19:00.0 query")));
}

TEST(Preflight, WhatOpensAConnectXsEswitch) {
  Case host;
  EXPECT_THAT(check_dpdk(host.host), Each(finding(Verdict::kNotApplicable, "no ConnectX")));
  host.make_sriov("4");
  EXPECT_THAT(check_dpdk(host.host),
              AllOf(Contains(finding(Verdict::kBad, "0000:19:00.0 has no verbs", "modprobe -a mlx5_ib")),
                    Contains(finding(Verdict::kUnknown, "not where Debian has it", "librte-net-mlx5"))));
  std::filesystem::create_directories(host.tree.device("0000:19:00.0") / "infiniband_verbs/uverbs0");
  host.write("usr/lib/x86_64-linux-gnu/dpdk/pmds-23.0/librte_net_mlx5.so.23", "");
  EXPECT_THAT(check_dpdk(host.host), AllOf(SizeIs(2), Each(Field(&Finding::verdict, Verdict::kGood))));
}

TEST(Preflight, Isolation) {
  EXPECT_THAT(check_isolation(Case("hgx").host), Each(finding(Verdict::kGood, "on at every port")));
  EXPECT_THAT(check_isolation(Case("desktop").host), Contains(finding(Verdict::kUnknown, "ports", "root")));

  Case off("hgx");
  const auto port = off.tree.root() / "sys/devices/pci0000:15/0000:15:01.0/0000:16:00.0/0000:17:01.0/config";
  std::fstream config(port, std::ios::in | std::ios::out | std::ios::binary);
  config.seekp(0x150 + 6);
  config.put('\0');
  config.close();
  EXPECT_THAT(check_isolation(off.host), Contains(finding(Verdict::kBad, "0000:17:01.0", "ACS")));

  Case shared("hgx");
  const auto vf = shared.tree.device("0000:19:00.2") / "iommu_group";
  const auto target = std::filesystem::read_symlink(shared.tree.device("0000:19:00.3") / "iommu_group");
  std::filesystem::remove(vf);
  std::filesystem::create_symlink(target, vf);
  EXPECT_THAT(check_isolation(shared.host),
              Contains(finding(Verdict::kBad, "0000:19:00.2, 0000:19:00.3", "pcie_acs_override")));
}

TEST(Preflight, Ats) {
  EXPECT_THAT(check_ats(Case("hgx").host),
              AllOf(SizeIs(2),
                    Each(finding(Verdict::kBad, "0000:01:00.", "ATS_ENABLED=true"))));  // the two mgmt ports
  EXPECT_THAT(check_ats(Case("desktop").host),
              Contains(finding(Verdict::kUnknown, "0000:03:00.0", "ATSCtl")));
  Case host("hgx");
  for (const char* port : {"0000:01:00.0", "0000:01:00.1"})
    std::filesystem::remove(host.tree.root() / "sys/bus/pci/devices" / port);
  EXPECT_THAT(check_ats(host.host), Each(finding(Verdict::kGood, "every NIC")));
}

TEST(Preflight, Representors) {
  Case host;
  EXPECT_THAT(check_representors(host.host), Each(finding(Verdict::kNotApplicable, "none")));
  host.write("sys/class/net/eth0/phys_port_name", "p0\n");  // the uplink is none
  EXPECT_THAT(check_representors(host.host), Each(finding(Verdict::kNotApplicable, "none")));
  host.add_representor("eth4", "1");
  EXPECT_THAT(check_representors(host.host), Each(finding(Verdict::kGood, "1, none bridged")));
  host.add_representor("eth4", "0");
  EXPECT_THAT(check_representors(host.host),
              Each(finding(Verdict::kBad, "eth4 speaks IPv6", "disable_ipv6=1")));
  host.add_representor("eth4", "1");
  std::filesystem::create_symlink("../br0", host.tree.root() / "sys/class/net/eth4/master");
  EXPECT_THAT(check_representors(host.host), Each(finding(Verdict::kBad, "eth4 is in br0", "nomaster")));
}

TEST(Preflight, ForeignManagers) {
  Case host;
  EXPECT_THAT(check_foreign_managers(host.host), Each(finding(Verdict::kGood, "nobody")));
  host.write("run/NetworkManager/devices/2", "");
  EXPECT_THAT(check_foreign_managers(host.host),
              Each(finding(Verdict::kBad, "NetworkManager", "unmanaged-devices")));
  host.write("etc/NetworkManager/conf.d/berth.conf", "[keyfile]\nunmanaged-devices=driver:mlx5_core\n");
  EXPECT_THAT(check_foreign_managers(host.host), Each(finding(Verdict::kGood, "nobody")));
  host.write("etc/systemd/network/10-pf.network", "[Match]\nName=eth0\n[SR-IOV]\nVirtualFunction=0\n");
  EXPECT_THAT(check_foreign_managers(host.host), Each(finding(Verdict::kBad, "10-pf.network", "[SR-IOV]")));
  host.write("etc/sriov-operator/sriov-interface-config.yaml", "");
  EXPECT_THAT(check_foreign_managers(host.host), Contains(finding(Verdict::kBad, "sriov-network-operator")));
}

TEST(Preflight, Clock) {
  Case host;
  EXPECT_THAT(check_clock(host.host), Each(finding(Verdict::kUnknown, "", "timedatectl")));
  std::optional<bool> synchronised = false;
  host.host.probes.is_clock_synchronised = [&] { return synchronised; };
  EXPECT_THAT(check_clock(host.host), Each(finding(Verdict::kBad, "not synchronised", "timesyncd")));
  synchronised = true;
  EXPECT_THAT(check_clock(host.host), Each(finding(Verdict::kGood, "synchronised")));
}

TEST(Preflight, EmptyRootIsNoCrashAndNothingBadHasNoCure) {
  Host nowhere{.root = "/nonexistent", .probes = {}};
  const Case hgx("hgx");
  for (const Host& host : {nowhere, hgx.host}) {
    for (const Finding& found : check_host(host)) {
      const bool needs_cure = found.verdict == Verdict::kBad || found.verdict == Verdict::kUnknown;
      EXPECT_EQ(found.cure.empty(), !needs_cure) << found.check << ": " << found.what;
      EXPECT_THAT(found.what + found.cure, Not(HasSubstr("\n")));
    }
  }
}

}  // namespace
}  // namespace berth::host::preflight
