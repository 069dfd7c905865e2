#include "agent/vpc_store.h"

#include "tests/fakes/whole_host.h"

#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>

namespace berth::agent {
namespace {

using testing::ip;
using testing::mac;

std::shared_ptr<const dataplane::VpcSet> with_mapping(const dataplane::Mapping& mapping) {
  auto vpc = testing::make_vpc("blue", 7001);
  vpc.mappings = {mapping};
  auto set = std::make_shared<dataplane::VpcSet>();
  set->emplace(vpc.id, std::make_shared<const dataplane::Vpc>(vpc));
  return set;
}

// Who is admitted is compared with what was accepted last, and with nothing older.
TEST(VpcStore, MappingsAreThoseOfTheLastAcceptedPush) {
  asio::io_context io;
  VpcStore store(io.get_executor());
  const dataplane::Mapping first{ip("10.1.0.9"), mac("02:00:00:00:01:09"), ip("192.0.2.2")};
  const dataplane::Mapping second{ip("10.1.0.8"), mac("02:00:00:00:01:08"), ip("192.0.2.2")};
  const VpcId blue = VpcId::trusted("blue");
  const auto find = [&](const dataplane::Mapping& mapping) {
    const std::vector ips = {mapping.ip};
    return store.mappings_of(blue).find(ips, {}).size();
  };
  store.stage(with_mapping(first));
  store.accept(1);
  EXPECT_EQ(find(first), 1U);
  store.stage(with_mapping(second));
  EXPECT_EQ(find(first), 1U) << "nobody has accepted the second one yet";
  store.accept(2);
  EXPECT_EQ(find(first), 0U);
  EXPECT_EQ(find(second), 1U);
  EXPECT_EQ(store.mappings_of(blue).find({}, second.mac), std::vector{second});
}

TEST(VpcStore, APolicyAndAGroupGetTheNextNumberWhenTheyAreOthers) {
  asio::io_context io;
  VpcStore store(io.get_executor());
  auto vpc = testing::make_vpc_with_policy();
  const auto group = [&](const char* id) {
    return dataplane::PolicyGroup{.id = dataplane::PolicyGroupId::trusted(id), .rules = vpc.policy};
  };
  vpc.policy_groups = {group("a"), group("b")};
  const auto push = [&] {
    dataplane::Vpc told = vpc;  // a controller knows no versions
    dataplane::VpcSet set{{vpc.id, std::make_shared<const dataplane::Vpc>(std::move(told))}};
    store.stage(store.number(set));
    store.accept(store.version() + 1);
    const dataplane::Vpc& now = *store.find(vpc.id);
    std::vector<int> versions = {now.policy_version};
    for (const auto& one : now.policy_groups) versions.push_back(one.version);
    return versions;
  };
  using Versions = std::vector<int>;
  EXPECT_EQ(push(), (Versions{0, 0, 0}));
  vpc.policy_groups[1].rules.pop_back();
  EXPECT_EQ(push(), (Versions{0, 0, 1}));
  vpc.policy.pop_back();
  std::swap(vpc.policy_groups[0], vpc.policy_groups[1]);
  EXPECT_EQ(push(), (Versions{1, 1, 0})) << "known by their ids";
  vpc.policy_groups.push_back(group("c"));
  EXPECT_EQ(push(), (Versions{1, 1, 0, 0}));
  vpc.subnets.pop_back();
  EXPECT_EQ(push(), (Versions{2, 1, 0, 0})) << "for another family";
}

}  // namespace
}  // namespace berth::agent
