#include "agent/address_pool.h"

#include "tests/fakes/whole_host.h"

#include <limits>
#include <set>

#include <gtest/gtest.h>

namespace berth::agent {
namespace {

using testing::ip;
using testing::prefix;

class Pool : public ::testing::Test {
 protected:
  std::string choose() {
    const auto found =
        pool.choose(blue, subnet, [this](const IpAddress& address) { return taken.contains(address); });
    return found ? found->str() : "none";
  }
  void free(const std::string& address) { pool.note_freed({blue, ip(address)}); }

  const VpcId blue = VpcId::trusted("blue");
  dataplane::Subnet subnet{.prefix = prefix("10.1.0.0/29"),
                           .gateway = ip("10.1.0.1"),
                           .host_blocks = {IpRange::parse("", "10.1.0.0/29").value()}};
  std::set<IpAddress> taken;
  AddressPool pool;
};

TEST_F(Pool, NeverGivesNetworkGatewayOrBroadcast) {
  std::vector<std::string> given;
  for (std::string next = choose(); next != "none"; next = choose()) {
    given.push_back(next);
    taken.insert(ip(next));
  }
  EXPECT_EQ(given, (std::vector<std::string>{"10.1.0.2", "10.1.0.3", "10.1.0.4", "10.1.0.5", "10.1.0.6"}));
  EXPECT_EQ(count_in_blocks(subnet), 5U);
}

TEST_F(Pool, WhatWasFreedComesLastAndTheOldestOfThatFirst) {
  free("10.1.0.2");
  free("10.1.0.4");
  free("10.1.0.2");  // again: the last time counts
  taken = {ip("10.1.0.3"), ip("10.1.0.5")};
  EXPECT_EQ(choose(), "10.1.0.6");
  taken.insert(ip("10.1.0.6"));
  EXPECT_EQ(choose(), "10.1.0.4");
  taken.insert(ip("10.1.0.4"));
  EXPECT_EQ(choose(), "10.1.0.2");
  taken.insert(ip("10.1.0.2"));
  EXPECT_EQ(choose(), "none");
}

TEST_F(Pool, AnotherVpcsAddressesAreOthers) {
  pool.note_freed({VpcId::trusted("green"), ip("10.1.0.2")});
  EXPECT_EQ(choose(), "10.1.0.2");
}

TEST_F(Pool, ForgetsTheOldestOfVeryMany) {
  free("10.1.0.2");
  for (std::uint32_t i = 0; i < AddressPool::kMaxFreed - 1; ++i)
    pool.note_freed({blue, IpAddress::v4(0x0A020000 + i)});
  EXPECT_EQ(choose(), "10.1.0.3");
  free("10.1.0.9");
  EXPECT_EQ(choose(), "10.1.0.2");
}

TEST_F(Pool, TakesTheBlocksInTheirOrderAndNothingBeside) {
  subnet.host_blocks = {IpRange::parse("", "10.1.0.5-10.1.0.5").value(),
                        IpRange::parse("", "10.1.0.2-10.1.0.2").value()};
  EXPECT_EQ(choose(), "10.1.0.5");
  taken.insert(ip("10.1.0.5"));
  EXPECT_EQ(choose(), "10.1.0.2");
  taken.insert(ip("10.1.0.2"));
  EXPECT_EQ(choose(), "none");
  EXPECT_EQ(count_in_blocks(subnet), 2U);
  subnet.host_blocks.clear();
  EXPECT_EQ(count_in_blocks(subnet), 0U);
}

TEST_F(Pool, ALargeBlockCostsNoMore) {
  subnet = {.prefix = prefix("2001:db8::/64"),
            .gateway = ip("2001:db8::1"),
            .host_blocks = {IpRange::parse("", "2001:db8::/64").value()}};
  EXPECT_EQ(choose(), "2001:db8::2") << "the first is the routers' anycast address, the second the gateway";
  EXPECT_EQ(count_in_blocks(subnet), std::numeric_limits<std::uint64_t>::max());
}

}  // namespace
}  // namespace berth::agent
