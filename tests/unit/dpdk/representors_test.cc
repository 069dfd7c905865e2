// Which ethdev is which function: the software eSwitch's shape, and mlx5's as its driver encodes it
// (drivers/net/mlx5/mlx5.h, MLX5_REPRESENTOR_ID). No mlx5 device was asked.
#include "dataplane/dpdk/representors.h"

#include "tests/unit/soft/switch_harness.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace berth::dataplane::dpdk {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr std::uint32_t kMlx5Uplink = 0xffff;
constexpr std::uint32_t kHostPf = 0xfff;
// Types as of DPDK's rte_eth_representor_type.
constexpr std::uint32_t kVf = 1;
constexpr std::uint32_t kSf = 2;

constexpr std::uint32_t mlx5_id(std::uint32_t pf, std::uint32_t type, std::uint32_t number) {
  return (pf << 14U) + (type << 12U) + number;
}

// What mlx5 says of two PFs: VFs, the host PF among their numbers, SFs and the same again.
std::vector<RepresentorRange> mlx5_ranges() {
  std::vector<RepresentorRange> ranges;
  for (const int pf : {0, 1}) {
    const auto number = static_cast<std::uint32_t>(pf);
    for (const auto& [kind, type] :
         {std::pair{RepresentorKind::kVf, kVf}, std::pair{RepresentorKind::kSf, kSf}}) {
      const auto first = mlx5_id(number, type, 0);
      const auto last = mlx5_id(number, type, kHostPf);
      ranges.push_back({.kind = kind, .pf = pf, .first = 0, .id_base = first, .id_end = last});
      ranges.push_back({.kind = kind, .pf = pf, .first = 0xffff, .id_base = last, .id_end = last});
    }
  }
  return ranges;
}

struct Mlx5 {
  static constexpr std::uint16_t kDomain = 3;
  SwitchFacts facts{
      .uplink = {.ethdev_port_id = 0, .name = "0000:3b:00.0", .domain = kDomain, .id = kMlx5Uplink},
      .ranges = mlx5_ranges(),
      .ports = {}};
  Mlx5() { facts.ports.push_back(facts.uplink); }
  Mlx5& add(std::uint16_t ethdev, std::uint32_t id, std::uint16_t domain = kDomain) {
    facts.ports.push_back(
        {.ethdev_port_id = ethdev, .name = "ethdev" + std::to_string(ethdev), .domain = domain, .id = id});
    return *this;
  }
};

TEST(Representors, VfsAreFoundByTheirIdsInWhateverOrderTheyCome) {
  Mlx5 nic;
  nic.add(5, mlx5_id(0, kVf, 1)).add(4, mlx5_id(0, kVf, 2)).add(9, mlx5_id(0, kVf, 0));
  const auto found = find_functions(nic.facts, 3);
  ASSERT_TRUE(found) << found.error().message;
  EXPECT_THAT(*found, ElementsAre(9, 5, 4));
}

TEST(Representors, MoreThanAskedForAreLeftAlone) {
  Mlx5 nic;
  nic.add(1, mlx5_id(0, kVf, 0)).add(2, mlx5_id(0, kVf, 1)).add(3, mlx5_id(0, kVf, 126));
  EXPECT_THAT(*find_functions(nic.facts, 1), ElementsAre(1));
}

TEST(Representors, AMissingVfIsNamed) {
  Mlx5 nic;
  nic.add(1, mlx5_id(0, kVf, 0)).add(2, mlx5_id(0, kVf, 2));
  const auto found = find_functions(nic.facts, 3);
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().reason, "FUNCTION_MISSING");
  EXPECT_THAT(found.error().message, HasSubstr("VF 1"));
}

TEST(Representors, TwoOfTheSameAreNamed) {
  Mlx5 nic;
  nic.add(1, mlx5_id(0, kVf, 0)).add(7, mlx5_id(0, kVf, 0));
  const auto found = find_functions(nic.facts, 1);
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().reason, "FUNCTION_AMBIGUOUS");
  EXPECT_THAT(found.error().message, HasSubstr("ethdev1 and ethdev7"));
}

// Each of them would be VF 0 if one thing of it were not looked at.
TEST(Representors, WhatIsNoVfOfThisPfIsNone) {
  for (const auto& [id, domain] :
       {std::pair{mlx5_id(0, kSf, 0), Mlx5::kDomain}, std::pair{mlx5_id(0, kVf, kHostPf), Mlx5::kDomain},
        std::pair{mlx5_id(1, kVf, 0), Mlx5::kDomain}, std::pair{mlx5_id(3, kVf, 0), Mlx5::kDomain},
        std::pair{mlx5_id(0, kVf, 0), std::uint16_t{4}}, std::pair{kMlx5Uplink, Mlx5::kDomain}}) {
    Mlx5 nic;
    nic.add(1, id, domain);
    const auto found = find_functions(nic.facts, 1);
    ASSERT_FALSE(found) << id;
    EXPECT_EQ(found.error().reason, "FUNCTION_MISSING");
    nic.add(2, mlx5_id(0, kVf, 0));
    EXPECT_THAT(*find_functions(nic.facts, 1), ElementsAre(2)) << id;
  }
}

// Of a bond, or of a multiport eSwitch.
TEST(Representors, TheSecondPfOfAnEswitchHasItsOwn) {
  Mlx5 nic;
  nic.facts.pf = 1;
  nic.add(1, mlx5_id(0, kVf, 0)).add(2, mlx5_id(1, kVf, 0));
  EXPECT_THAT(*find_functions(nic.facts, 1), ElementsAre(2));
}

TEST(Representors, TheHostPfIsNotTheLastVf) {
  Mlx5 nic;
  for (std::uint16_t vf = 0; vf < kHostPf; ++vf)
    nic.add(static_cast<std::uint16_t>(vf + 1), mlx5_id(0, kVf, vf));
  nic.add(5000, mlx5_id(0, kVf, kHostPf));
  EXPECT_TRUE(find_functions(nic.facts, kHostPf));
  EXPECT_FALSE(find_functions(nic.facts, kHostPf + 1));
}

TEST(Representors, TheSoftwareEswitchIsReadTheSameWay) {
  const soft::test::SwitchHarness net(2);
  const soft::test::SwitchHarness other(1);  // a switch domain of its own
  const auto facts = read_switch(net.name());
  ASSERT_TRUE(facts) << facts.error().message;
  EXPECT_EQ(facts->uplink.ethdev_port_id, net.ethdev(0));
  EXPECT_GE(facts->ports.size(), 5U) << "the other switch's are seen, too";
  const auto found = find_functions(*facts, 2);
  ASSERT_TRUE(found) << found.error().message;
  EXPECT_THAT(*found, ElementsAre(net.ethdev(1), net.ethdev(2)));
  EXPECT_EQ(find_functions(*facts, 3).error().reason, "FUNCTION_MISSING");
}

TEST(Representors, ARepresentorIsNotTakenForTheUplink) {
  const soft::test::SwitchHarness net(1);
  EXPECT_EQ(read_switch(net.name() + "_representor_vf0").error().reason, "NOT_AN_ESWITCH");
  EXPECT_FALSE(has_ethdev("0000:3b:00.0"));
  EXPECT_EQ(read_switch("0000:3b:00.0").error().reason, "PORT_FAILED");
}

}  // namespace
}  // namespace berth::dataplane::dpdk
