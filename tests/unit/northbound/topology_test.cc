#include "northbound/topology.h"

#include "tests/fakes/run_task.h"
#include "tests/fakes/sysfs_tree.h"
#include "tools/berthctl/topology_text.h"

#include <gtest/gtest.h>

namespace berth::northbound {
namespace {

struct Host {
  explicit Host(const std::string& name)
      : tree(std::string(BERTH_TOPOLOGY_TREES) + "/" + name + ".tree"), view(tree.root()) {}
  asio::io_context io;
  testing::SysfsTree tree;
  agent::TopologyView view;
};

TEST(TopologyMessage, SaysWhatTheHostHas) {
  Host hgx("hgx");
  const auto message = to_message(testing::run_until_done(hgx.io, hgx.view.read()).value());
  ASSERT_EQ(message.devices_size(), 31);
  const auto& gpu = message.devices(3);
  EXPECT_EQ(gpu.address(), "0000:18:00.0");
  EXPECT_EQ(gpu.kind(), v1::PciDevice::GPU);
  EXPECT_EQ(gpu.ats(), v1::ON);
  EXPECT_EQ(gpu.bridges_size(), 3);
  EXPECT_EQ(gpu.bridges(2).acs_control(), 0x5dU);
  EXPECT_EQ(gpu.distances_size(), 27);
  EXPECT_EQ(gpu.distances(3).level(), v1::Distance::SELF);
  EXPECT_EQ(gpu.distances(4).level(), v1::Distance::PIX);
  EXPECT_EQ(gpu.distances(26).level(), v1::Distance::SYS);
  const auto& vf = message.devices(5);
  EXPECT_EQ(vf.physical_function(), "0000:19:00.0");
  EXPECT_EQ(vf.distances_size(), 0);
}

TEST(TopologyMessage, UnknownNodeIsNotSet) {
  Host desktop("desktop");
  const auto message = to_message(testing::run_until_done(desktop.io, desktop.view.read()).value());
  for (const auto& device : message.devices()) EXPECT_FALSE(device.has_numa_node()) << device.address();
}

TEST(TopologyView, PlansFromWhatIsThere) {
  Host hgx("hgx");
  const auto gpu = host::PciAddress::parse("gpu", "0000:18:00.0").value();
  const auto plan = testing::run_until_done(hgx.io, hgx.view.plan({gpu}, 1));
  ASSERT_TRUE(plan);
  EXPECT_EQ(plan->qemu.size(), 12U);
  const auto none = testing::run_until_done(hgx.io, hgx.view.plan({{}}, 1));
  EXPECT_EQ(none.error().reason, "DEVICE_UNKNOWN");
}

// What berthctl prints, beside nvidia-smi topo -m.
TEST(TopologyText, OfADesktop) {
  Host desktop("desktop");
  const auto message = to_message(testing::run_until_done(desktop.io, desktop.view.read()).value());
  const std::string text = ctl::format_topology(message);
  EXPECT_EQ(
      text.substr(0, text.find("\nX    self")),
      "        GPU0   NIC0   NIC1   NIC2   NVME0  NUMA\n"
      "GPU0    X      PHB    PHB    PHB    PHB    N/A\n"
      "NIC0    PHB    X      PHB    PHB    PHB    N/A\n"
      "NIC1    PHB    PHB    X      PHB    PHB    N/A\n"
      "NIC2    PHB    PHB    PHB    X      PHB    N/A\n"
      "NVME0   PHB    PHB    PHB    PHB    X      N/A\n"
      "\n"
      "GPU0    0000:01:00.0 10de:2684 pci0000:00, 2.5 GT/s PCIe x16 (of 16.0 GT/s PCIe x16), IOMMU group "
      "12, ACS unknown, ATS unknown\n"
      "NIC0    0000:00:1f.6 8086:125c pci0000:00, link unknown, IOMMU group 5, ACS absent, ATS unknown, "
      "eno1\n"
      "NIC1    0000:03:00.0 8086:1572 pci0000:00, 8.0 GT/s PCIe x4 (of 8.0 GT/s PCIe x8), IOMMU group 14, "
      "ACS unknown, ATS unknown, enp3s0\n"
      "NIC2    0000:05:01.0 8086:100e pci0000:00, link unknown, IOMMU group 17, ACS unknown, ATS unknown, "
      "enp5s1\n"
      "NVME0   0000:02:00.0 144d:a80c pci0000:00, 16.0 GT/s PCIe x4, IOMMU group 13, ACS unknown, ATS "
      "unknown\n");
}

}  // namespace
}  // namespace berth::northbound
