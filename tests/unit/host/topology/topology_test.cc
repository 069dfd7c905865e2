#include "host/topology/topology.h"

#include "host/topology/plan.h"
#include "tests/fakes/sysfs_tree.h"

#include <algorithm>
#include <random>

#include <fmt/ranges.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace berth::host::topology {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

PciAddress pci(std::string_view text) {
  return PciAddress::parse("pci", text).value();
}

// A host of tests/unit/host/topology/*.tree, read.
struct Host {
  explicit Host(const std::string& name)
      : tree(std::string(BERTH_TOPOLOGY_TREES) + "/" + name + ".tree"),
        topology(read_topology(tree.root()).value()) {}
  const Device& at(std::string_view address) const { return *topology.find(pci(address)); }
  std::string between(std::string_view one, std::string_view other) const {
    return distance_name(distance(topology, at(one), at(other)));
  }
  std::vector<const Device*> physical(Kind kind) const {
    std::vector<const Device*> found;
    for (const Device& device : topology.devices)
      if (device.kind == kind && !device.physical_function) found.push_back(&device);
    return found;
  }

  testing::SysfsTree tree;
  Topology topology;
};

std::string read_golden(const std::string& name) {
  std::ifstream file(std::string(BERTH_TOPOLOGY_TREES) + "/" + name);
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST(ReadTopology, HgxIsAsItWasBuilt) {
  const Host hgx("hgx");
  EXPECT_EQ(hgx.physical(Kind::kGpu).size(), 8U);
  EXPECT_EQ(hgx.physical(Kind::kNic).size(), 10U);
  EXPECT_EQ(hgx.physical(Kind::kNvme).size(), 9U);
  EXPECT_EQ(hgx.topology.devices.size(), 8U + 10 + 9 + 4);

  const Device& nic = hgx.at("0000:19:00.0");
  EXPECT_EQ(nic.kind, Kind::kNic);
  EXPECT_EQ(nic.vendor, 0x15b3);
  EXPECT_EQ(nic.device, 0x1021);
  EXPECT_EQ(nic.numa_node, 0);
  EXPECT_EQ(nic.root_complex, "pci0000:15");
  EXPECT_EQ(nic.iommu_group, 15U);
  EXPECT_EQ(nic.netdev, "eth0");
  EXPECT_EQ(nic.ats, Capability::kOn);
  EXPECT_EQ(nic.link.speed, "32.0 GT/s PCIe");
  EXPECT_EQ(nic.link.width, 16U);
  std::vector<std::string> way;
  for (const Bridge& bridge : nic.bridges)
    way.push_back(fmt::format("{} {:04x}:{:04x} acs {} {:x}", bridge.address, bridge.vendor, bridge.device,
                              capability_name(bridge.acs), bridge.acs_control));
  EXPECT_THAT(way, ElementsAre("0000:15:01.0 8086:352a acs on 1d", "0000:16:00.0 1000:c030 acs absent 0",
                               "0000:17:01.0 1000:c030 acs on 5d"));
  EXPECT_EQ(switch_of(nic), pci("0000:16:00.0"));
}

TEST(ReadTopology, DegradedLinkShows) {
  const Host hgx("hgx");
  const auto degraded = std::ranges::count_if(
      hgx.topology.devices, [](const Device& device) { return device.link.width < device.link.max_width; });
  EXPECT_EQ(degraded, 1);
}

TEST(ReadTopology, VfHasTheLinkOfItsPf) {
  const Host hgx("hgx");
  const Device& vf = hgx.at("0000:19:00.2");
  EXPECT_EQ(vf.physical_function, pci("0000:19:00.0"));
  EXPECT_EQ(vf.link.width, 16U);
  EXPECT_EQ(vf.netdev, "");
}

TEST(ReadTopology, RepresentorsAreNotThePfsOwnDevice) {
  const Host hgx("hgx");
  const auto net = hgx.tree.device("0000:19:00.0") / "net";
  std::filesystem::create_directories(net / "aaa0");
  std::ofstream(net / "aaa0/phys_port_name") << "pf0vf0\n";
  std::ofstream(net / "eth0/phys_port_name") << "p0\n";
  EXPECT_EQ(read_topology(hgx.tree.root())->find(pci("0000:19:00.0"))->netdev, "eth0");
}

TEST(ReadTopology, WhatIsNotReadableIsUnknownAndNotAbsent) {
  const Host desktop("desktop");
  const Device& gpu = desktop.at("0000:01:00.0");
  EXPECT_EQ(gpu.ats, Capability::kUnknown);
  EXPECT_EQ(gpu.bridges.at(0).acs, Capability::kUnknown);
  EXPECT_EQ(gpu.numa_node, -1);
  EXPECT_FALSE(switch_of(gpu));
}

TEST(ReadTopology, NoBusIsAnError) {
  EXPECT_EQ(read_topology("/nonexistent").error().reason, "NO_PCI_BUS");
}

// Beside `nvidia-smi topo -m`: rows GPUs, columns NICs.
TEST(Distance, HgxAsNvidiaSmiWouldPrintIt) {
  const Host hgx("hgx");
  std::string matrix;
  for (const Device* gpu : hgx.physical(Kind::kGpu)) {
    std::vector<std::string> row;
    for (const Device* nic : hgx.physical(Kind::kNic))
      row.push_back(distance_name(distance(hgx.topology, *gpu, *nic)));
    matrix += fmt::format("{}\n", fmt::join(row, " "));
  }
  EXPECT_EQ(matrix,
            "NODE NODE PIX PIX NODE NODE SYS SYS SYS SYS\n"
            "NODE NODE PIX PIX NODE NODE SYS SYS SYS SYS\n"
            "NODE NODE NODE NODE PIX PIX SYS SYS SYS SYS\n"
            "NODE NODE NODE NODE PIX PIX SYS SYS SYS SYS\n"
            "SYS SYS SYS SYS SYS SYS PIX PIX NODE NODE\n"
            "SYS SYS SYS SYS SYS SYS PIX PIX NODE NODE\n"
            "SYS SYS SYS SYS SYS SYS NODE NODE PIX PIX\n"
            "SYS SYS SYS SYS SYS SYS NODE NODE PIX PIX\n");
}

TEST(Distance, EveryKind) {
  const Host hgx("hgx");
  EXPECT_EQ(hgx.between("0000:18:00.0", "0000:18:00.0"), "X");
  EXPECT_EQ(hgx.between("0000:01:00.0", "0000:01:00.1"), "PIX");  // two functions of one card
  EXPECT_EQ(hgx.between("0000:19:00.2", "0000:19:00.3"), "PIX");
  EXPECT_EQ(hgx.between("0000:01:00.0", "0000:02:00.0"), "PHB");  // two root ports of one host bridge
}

TEST(Distance, CascadedSwitchesArePxb) {
  Host hgx("hgx");
  Device deep = hgx.at("0000:18:00.0");
  deep.address = pci("0000:f0:00.0");
  deep.bridges.push_back({.address = pci("0000:18:00.0")});
  deep.bridges.push_back({.address = pci("0000:18:01.0")});
  EXPECT_EQ(distance(hgx.topology, deep, hgx.at("0000:19:00.0")), Distance::kPxb);
  EXPECT_EQ(distance(hgx.topology, hgx.at("0000:19:00.0"), deep), Distance::kPxb);
}

TEST(Distance, HostWithoutNumaNodesIsOneNode) {
  const Host desktop("desktop");
  EXPECT_EQ(desktop.between("0000:01:00.0", "0000:03:02.0"), "PHB");
  EXPECT_EQ(desktop.between("0000:01:00.0", "0000:05:01.0"), "PHB");
  EXPECT_EQ(desktop.between("0000:00:1f.6", "0000:01:00.0"), "PHB");
}

TEST(Distance, SameBusNumberInAnotherDomainIsElsewhere) {
  const Host host("domains");
  EXPECT_EQ(host.between("0002:01:00.0", "0009:01:00.0"), "NODE");
  EXPECT_EQ(host.between("0002:01:00.0", "0012:01:00.0"), "SYS");
  EXPECT_EQ(host.between("0019:01:00.0", "10000:e1:00.0"), "NODE");
}

TEST(Distance, UnknownNodeOnAHostThatHasSomeIsFar) {
  Host host("domains");
  Device lost = host.at("0002:01:00.0");
  lost.numa_node = -1;
  Device other = host.at("0009:01:00.0");
  other.numa_node = -1;
  EXPECT_EQ(distance(host.topology, lost, other), Distance::kSys);
}

TEST(ConfigSpace, AnyBytesEnd) {
  std::mt19937 random(1);
  std::vector<std::uint8_t> bytes(4096);
  for (int round = 0; round < 1000; ++round) {
    for (auto& byte : bytes) byte = static_cast<std::uint8_t>(random());
    (void)parse_config_space(bytes);
  }
  bytes.assign(4096, 0);
  bytes[0x100] = 1;  // AER, whose next is itself
  bytes[0x103] = 0x10;
  EXPECT_EQ(parse_config_space(bytes).acs, Capability::kAbsent);
  bytes.assign(4096, 0);
  bytes[0x100] = 1;
  bytes[0x102] = 0xC0;  // next: 0xffc, too near the end for a register
  bytes[0x103] = 0xFF;
  bytes[0xFFC] = 0x0D;
  EXPECT_EQ(parse_config_space(bytes).acs, Capability::kAbsent);
}

TEST(ConfigSpace, FunctionThatDoesNotAnswerIsUnknown) {
  EXPECT_EQ(parse_config_space(std::vector<std::uint8_t>(4096, 0xFF)).acs, Capability::kUnknown);
  EXPECT_EQ(parse_config_space(std::vector<std::uint8_t>(256)).ats, Capability::kUnknown);
}

// --- plan

std::string as_lines(const std::vector<std::string>& arguments) {
  std::string lines;
  for (std::size_t i = 0; i + 1 < arguments.size(); i += 2)
    lines += arguments[i] + " " + arguments[i + 1] + "\n";
  return lines;
}

StartArguments planned(const Host& host, const std::vector<std::string_view>& names, unsigned spare) {
  std::vector<PciAddress> devices;
  for (const auto name : names) devices.push_back(pci(name));
  return format_plan(plan_virtual_topology(host.topology, devices, spare).value());
}

TEST(Plan, TwoGpusWithNicAndDriveOnTwoSwitchesOfTwoSockets) {
  const Host hgx("hgx");
  const auto start = planned(
      hgx, {"0000:18:00.0", "0000:19:00.2", "0000:1a:00.0", "0000:9a:00.0", "0000:9b:00.0", "0000:02:00.0"},
      4);
  EXPECT_EQ(as_lines(start.qemu), read_golden("hgx_plan.qemu"));
  EXPECT_EQ(start.libvirt_xml, read_golden("hgx_plan.xml"));
}

TEST(Plan, HostWithoutSwitchesAndNodes) {
  const Host desktop("desktop");
  const auto start = planned(desktop, {"0000:01:00.0", "0000:03:02.0"}, 1);
  EXPECT_EQ(as_lines(start.qemu), read_golden("desktop_plan.qemu"));
}

TEST(Plan, OrderOfTheRequestDoesNotMatter) {
  const Host hgx("hgx");
  EXPECT_EQ(planned(hgx, {"0000:18:00.0", "0000:9a:00.0", "0000:19:00.2"}, 2).qemu,
            planned(hgx, {"0000:19:00.2", "0000:18:00.0", "0000:9a:00.0"}, 2).qemu);
}

TEST(Plan, RefusalsAreNamed) {
  const Host hgx("hgx");
  const auto reason = [&](std::vector<PciAddress> devices, unsigned spare) {
    return plan_virtual_topology(hgx.topology, devices, spare).error().reason;
  };
  EXPECT_EQ(reason({}, 0), "NO_DEVICE");
  EXPECT_EQ(reason({pci("0000:ff:00.0")}, 0), "DEVICE_UNKNOWN");
  EXPECT_EQ(reason({pci("0000:18:00.0"), pci("0000:18:00.0")}, 0), "DEVICE_TWICE");
  EXPECT_EQ(reason({pci("0000:18:00.0")}, kMaxSpare + 1), "TOO_MANY_SPARE");
}

TEST(Plan, BusNumbersRunOut) {
  Host hgx("hgx");
  std::vector<PciAddress> devices;
  for (int i = 0; i < 250; ++i) {
    Device device = hgx.at("0000:01:00.0");
    device.address = pci(fmt::format("0001:{:02x}:00.0", i));
    devices.push_back(device.address);
    hgx.topology.devices.push_back(device);
  }
  EXPECT_EQ(plan_virtual_topology(hgx.topology, devices, 0).error().reason, "BUS_NUMBERS_EXHAUSTED");
  devices.resize(kMaxChassis);
  EXPECT_TRUE(plan_virtual_topology(hgx.topology, devices, 0));
  devices.push_back(pci("0000:01:00.0"));
  EXPECT_EQ(plan_virtual_topology(hgx.topology, devices, 0).error().reason, "PORTS_EXHAUSTED");
}

}  // namespace
}  // namespace berth::host::topology
