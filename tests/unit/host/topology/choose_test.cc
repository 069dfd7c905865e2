// Which NIC a VM gets a function of, on the recorded host with eight GPUs and eight NICs.
#include "host/topology/choose.h"

#include "host/topology/places.h"
#include "tests/fakes/sysfs_tree.h"

#include <algorithm>
#include <random>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace berth::host::topology {
namespace {

using ::testing::ElementsAre;

PciAddress pci(std::string_view text) {
  return PciAddress::parse("pci", text).value();
}

class ChoosePf : public ::testing::Test {
 protected:
  ChoosePf() {
    for (const Device& device : whole.devices) {
      if (device.physical_function || device.address.bus < 0x10) continue;  // the first buses: management
      if (device.kind == Kind::kGpu) gpus.push_back(device.address);
      if (device.kind == Kind::kNic) nics.push_back({.pf = device.address, .count = 2});
    }
  }
  // A VM with these devices comes, and takes a function.
  std::optional<PciAddress> take(const std::vector<PciAddress>& near) {
    const auto chosen = choose_pf(whole, nics, near);
    if (!chosen) return std::nullopt;
    distances = chosen->distances;
    --std::ranges::find(nics, chosen->pf, &FreeFunctions::pf)->count;
    return chosen->pf;
  }
  void fill(const std::vector<std::string_view>& full) {
    for (const auto pf : full) std::ranges::find(nics, pci(pf), &FreeFunctions::pf)->count = 0;
  }

  testing::SysfsTree tree{std::string(BERTH_TOPOLOGY_TREES) + "/hgx.tree"};
  Topology whole = read_topology(tree.root()).value();
  std::vector<PciAddress> gpus;
  std::vector<FreeFunctions> nics;
  std::vector<Distance> distances;
};

TEST_F(ChoosePf, AVmWithGpuKGetsAFunctionOfNicK) {
  ASSERT_EQ(gpus.size(), 8U);
  ASSERT_EQ(nics.size(), 8U);
  const auto all = nics;
  for (std::size_t k = 0; k < gpus.size(); ++k) {
    EXPECT_EQ(take({gpus[k]}), all[k].pf) << "GPU " << k;
    EXPECT_THAT(distances, ElementsAre(Distance::kPix)) << "GPU " << k;
  }
}

// Two GPUs and two NICs share a switch: whoever comes first gets the first NIC, and the other one the other.
TEST_F(ChoosePf, InWhateverOrderTheVmsComeEachHasANicOfItsOwnSwitch) {
  std::mt19937 random(1);
  const auto all = nics;
  for (int round = 0; round < 20; ++round) {
    nics = all;
    std::ranges::shuffle(gpus, random);
    std::set<PciAddress> taken;
    for (const PciAddress& gpu : gpus) {
      taken.insert(take({gpu}).value());
      EXPECT_THAT(distances, ElementsAre(Distance::kPix)) << gpu.str();
    }
    EXPECT_EQ(taken.size(), gpus.size());
  }
}

TEST_F(ChoosePf, WhereTheNearestIsFullTheNextByDistanceIsTaken) {
  const PciAddress gpu = pci("0000:18:00.0");
  fill({"0000:19:00.0"});
  EXPECT_EQ(take({gpu}), pci("0000:1c:00.0")) << "of the same switch";
  fill({"0000:1c:00.0"});
  EXPECT_EQ(take({gpu}), pci("0000:3b:00.0")) << "of the same socket";
  EXPECT_THAT(distances, ElementsAre(Distance::kNode));
  fill({"0000:3b:00.0", "0000:3e:00.0"});
  EXPECT_EQ(take({gpu}), pci("0000:9b:00.0")) << "of the other socket";
  EXPECT_THAT(distances, ElementsAre(Distance::kSys));
  for (auto& nic : nics) nic.count = 0;
  EXPECT_EQ(take({gpu}), std::nullopt);
}

TEST_F(ChoosePf, OfSeveralGpusTheFarthestCountsFirstThenTheSum) {
  // One GPU behind the first switch, two behind the second.
  const std::vector<PciAddress> near = {pci("0000:18:00.0"), pci("0000:3a:00.0"), pci("0000:3d:00.0")};
  EXPECT_EQ(take(near), pci("0000:3b:00.0")) << "the worst is NODE everywhere, two are PIX here";
  EXPECT_THAT(distances, ElementsAre(Distance::kNode, Distance::kPix, Distance::kPix));
  nics = {{.pf = pci("0000:19:00.0"), .count = 1}, {.pf = pci("0000:01:00.0"), .count = 1}};
  const std::vector<PciAddress> apart = {pci("0000:18:00.0"), pci("0000:3a:00.0")};
  EXPECT_EQ(take(apart), pci("0000:19:00.0"));
  nics = {{.pf = pci("0000:9b:00.0"), .count = 9}, {.pf = pci("0000:01:00.0"), .count = 1}};
  EXPECT_EQ(take(apart), pci("0000:01:00.0")) << "NODE and NODE before SYS and SYS, whatever is free";
}

TEST_F(ChoosePf, TiesGoToTheMostFreeThenToTheLowestAddress) {
  nics = {{.pf = pci("0000:1c:00.0"), .count = 2}, {.pf = pci("0000:19:00.0"), .count = 1}};
  EXPECT_EQ(take({pci("0000:18:00.0")}), pci("0000:1c:00.0"));
  EXPECT_EQ(take({pci("0000:18:00.0")}), pci("0000:19:00.0")) << "one each";
  EXPECT_EQ(take({}), pci("0000:1c:00.0")) << "without anything near, too";
}

TEST_F(ChoosePf, WhatIsNotKnownIsFarAndNothingIsMadeUp) {
  EXPECT_EQ(take({pci("0000:ee:00.0")}), nics[0].pf);
  EXPECT_THAT(distances, ElementsAre(Distance::kSys));
  nics = {{.pf = pci("0000:ef:00.0"), .count = 1}};
  EXPECT_EQ(take({pci("0000:18:00.0")}), pci("0000:ef:00.0")) << "unknown, but free";
  nics.clear();
  EXPECT_EQ(take({pci("0000:18:00.0")}), std::nullopt);
}

TEST_F(ChoosePf, IsToldInTheWordsOfNvidiaSmi) {
  const std::vector<PciAddress> near = {pci("0000:9a:00.0"), pci("0000:18:00.0"), pci("0000:1b:00.0")};
  const auto chosen = choose_pf(whole, nics, near).value();
  EXPECT_EQ(describe(chosen, near), "PIX to 0000:18:00.0 0000:1b:00.0, SYS to 0000:9a:00.0");
  EXPECT_EQ(describe(choose_pf(whole, nics, {}).value(), {}), "");
}

// What is read for an attach says the same as the whole topology.
TEST_F(ChoosePf, APartOfTheTopologyHasTheSameDistances) {
  std::vector<PciAddress> some = gpus;
  for (const auto& nic : nics) some.push_back(nic.pf);
  some.push_back(gpus[0]);              // twice
  some.push_back(pci("0000:ee:00.0"));  // not there
  const Topology part = read_places(PciTree(tree.root() / "sys"), some);
  ASSERT_EQ(part.devices.size(), 16U);
  for (const Device& one : part.devices) {
    for (const Device& other : part.devices) {
      EXPECT_EQ(distance(part, one, other),
                distance(whole, *whole.find(one.address), *whole.find(other.address)))
          << one.address.str() << " " << other.address.str();
    }
  }
}

}  // namespace
}  // namespace berth::host::topology
