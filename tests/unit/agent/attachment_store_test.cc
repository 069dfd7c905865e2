#include "agent/attachment_store.h"

#include "tests/fakes/intents.h"

#include <gtest/gtest.h>

namespace berth::agent {
namespace {

Interface make_port(const std::string& vpc, std::uint8_t number) {
  return {.intent = testing::make_interface(vpc, number), .function = {.index = number}};
}

Attachment make(const std::string& id, const std::string& vpc, std::uint8_t number) {
  return {.id = AttachmentId::trusted(id),
          .vm = VmId::trusted("vm-" + std::to_string(number)),
          .interfaces = {make_port(vpc, number)}};
}

std::vector<std::string> ids(const std::vector<PortOwner>& owners) {
  std::vector<std::string> found;
  for (const PortOwner& one : owners) found.push_back(one.attachment->id.str());
  return found;
}

using Ids = std::vector<std::string>;

class AttachmentStoreTest : public ::testing::Test {
 protected:
  AttachmentStoreTest() {
    store.insert(make("att-b", "blue", 2));
    store.insert(make("att-a", "blue", 1));
    store.insert(make("att-c", "red", 3));
  }
  AttachmentStore store;
};

TEST_F(AttachmentStoreTest, FindsByPortAndByVpcInOrderOfPorts) {
  EXPECT_EQ(store.find_port(dataplane::EswitchPort::function(3))->attachment->id.str(), "att-c");
  EXPECT_FALSE(store.find_port(dataplane::EswitchPort::function(4)));
  EXPECT_EQ(ids(store.list_in(VpcId::trusted("blue"))), (Ids{"att-a", "att-b"}));
  store.erase(AttachmentId::trusted("att-b"));
  EXPECT_FALSE(store.find_port(dataplane::EswitchPort::function(2)));
  EXPECT_EQ(ids(store.list_in(VpcId::trusted("blue"))), (Ids{"att-a"}));
}

// Numbers of policy sets, of interfaces with such groups.
TEST_F(AttachmentStoreTest, InterfacesWithTheSameGroupsShareASet) {
  const auto insert = [&](std::uint8_t number, const std::string& vpc,
                          const std::vector<std::string>& groups) {
    Attachment attachment = make(fmt::format("att-{}", number), vpc, number);
    for (const std::string& group : groups)
      attachment.interfaces[0].intent.policy_groups.push_back(dataplane::PolicyGroupId::trusted(group));
    store.insert(attachment);
    return store.find(attachment.id)->interfaces[0].policy_set;
  };
  const auto erase = [&](int number) { store.erase(AttachmentId::trusted(fmt::format("att-{}", number))); };
  EXPECT_EQ(insert(10, "blue", {}), 0U);
  EXPECT_EQ(insert(11, "blue", {"a", "b"}), 1U);
  EXPECT_EQ(insert(12, "blue", {"b", "a"}), 1U);
  EXPECT_EQ(insert(13, "blue", {"a"}), 2U);
  EXPECT_EQ(insert(14, "red", {"a", "b"}), 3U) << "those of another VPC are others";
  EXPECT_EQ(ids(store.list_with_policy_set(1)), (Ids{"att-11", "att-12"}));
  erase(11);
  EXPECT_EQ(insert(15, "blue", {"c"}), 4U);
  EXPECT_EQ(ids(store.list_with_policy_set(1)), (Ids{"att-12"}));
  erase(12);
  EXPECT_TRUE(store.list_with_policy_set(1).empty());
  EXPECT_EQ(insert(16, "blue", {"b", "a"}), 1U) << "a number that nobody has";
  EXPECT_EQ(store.find_policy_set(store.find(AttachmentId::trusted("att-16"))->interfaces[0].intent), 1U);
}

// As they come from the disk, in any order: their rules are in the eSwitch under these numbers.
TEST_F(AttachmentStoreTest, AnInterfaceKeepsTheSetThatItHas) {
  Attachment saved = make("att-s", "blue", 5);
  saved.interfaces[0].intent.policy_groups = {dataplane::PolicyGroupId::trusted("a")};
  Attachment added = saved;
  saved.interfaces[0].policy_set = 7;
  store.insert(saved);
  added.id = AttachmentId::trusted("att-t");
  added.interfaces[0].function.index = 6;
  store.insert(added);
  EXPECT_EQ(ids(store.list_with_policy_set(7)), (Ids{"att-s", "att-t"}));
}

TEST_F(AttachmentStoreTest, EveryInterfaceHasItsPortAndItsPlaceInItsVpc) {
  Attachment several = make("att-s", "blue", 5);
  several.interfaces.push_back(make_port("blue", 6));
  several.interfaces.push_back(make_port("red", 7));
  store.insert(several);
  EXPECT_EQ(ids(store.list_in(VpcId::trusted("blue"))), (Ids{"att-a", "att-b", "att-s", "att-s"}));
  EXPECT_EQ(ids(store.list_in(VpcId::trusted("red"))), (Ids{"att-c", "att-s"}));
  const auto owner = store.find_port(dataplane::EswitchPort::function(7));
  EXPECT_EQ(owner->interface, &owner->attachment->interfaces[2]);
  store.erase(several.id);
  EXPECT_EQ(ids(store.list_in(VpcId::trusted("blue"))), (Ids{"att-a", "att-b"}));
  EXPECT_FALSE(store.find_port(dataplane::EswitchPort::function(7)));
}

TEST_F(AttachmentStoreTest, PagesBeginBehindAnIdAndLeaveOutWhatIsNotAskedFor) {
  const auto is_not_b = [](const Attachment& one) { return one.id.str() != "att-b"; };
  const auto all = store.list_after(AttachmentId(), 9, is_not_b);
  ASSERT_EQ(all.size(), 2U);
  EXPECT_EQ(all[1].id.str(), "att-c");
  EXPECT_EQ(store.list_after(AttachmentId(), 1, is_not_b).size(), 1U);
  EXPECT_EQ(store.list_after(AttachmentId::trusted("att-a"), 9, is_not_b).front().id.str(), "att-c");
  EXPECT_TRUE(store.list_after(AttachmentId::trusted("att-c"), 9, is_not_b).empty());
}

TEST_F(AttachmentStoreTest, RivalsShareVmAddressOrMacInOneVpc) {
  const auto nobody = VmId::trusted("vm-9");
  InterfaceIntent intent = testing::make_interface("blue", 9);
  EXPECT_EQ(ids(store.rivals_of(nobody, intent)), Ids{});
  const auto one = VmId::trusted("vm-1");
  EXPECT_EQ(ids(store.rivals_of(one, intent)), (Ids{"att-a"}));
  intent.ips = {IpAddress::v4(0x0A010002U)};
  EXPECT_EQ(ids(store.rivals_of(one, intent)), (Ids{"att-a", "att-b"}));
  intent = testing::make_interface("blue", 9);
  intent.mac = {{0x02, 0, 0, 0, 1, 2}};
  EXPECT_EQ(ids(store.rivals_of(nobody, intent)), (Ids{"att-b"}));
  EXPECT_EQ(ids(store.rivals_of(one, testing::make_interface("green", 1))), Ids{});
}

// Its addresses may have gone to somebody else, while it waits for its guest to let go.
TEST_F(AttachmentStoreTest, WhoIsWithdrawnIsNoRivalAndLeavesItsSuccessorAlone) {
  const auto vm = VmId::trusted("vm-1");
  const auto intent = testing::make_interface("blue", 1);
  store.find(AttachmentId::trusted("att-a"))->is_withdrawn = true;
  EXPECT_EQ(ids(store.rivals_of(vm, intent)), Ids{});
  Attachment successor = make("att-z", "blue", 1);
  successor.interfaces[0].function.index = 7;
  store.insert(successor);
  EXPECT_EQ(ids(store.rivals_of(vm, intent)), (Ids{"att-z"}));
  store.erase(AttachmentId::trusted("att-a"));
  EXPECT_EQ(ids(store.rivals_of(vm, intent)), (Ids{"att-z"}));
}

// Both of its sets are an interface's while it is updated; with the end of the update one of them is.
TEST_F(AttachmentStoreTest, AnInterfaceThatIsUpdatedIsInBothOfItsSets) {
  const auto named = [](const std::vector<std::string>& names) {
    std::vector<dataplane::PolicyGroupId> ids;
    for (const std::string& name : names) ids.push_back(dataplane::PolicyGroupId::trusted(name));
    return ids;
  };
  for (const std::uint8_t number : std::initializer_list<std::uint8_t>{10, 11}) {
    Attachment attachment = make(fmt::format("att-{}", number), "blue", number);
    attachment.interfaces[0].intent.policy_groups = named({"a"});
    store.insert(attachment);
  }
  const auto id = AttachmentId::trusted("att-10");
  const auto begin = [&](const std::vector<std::string>& groups) {
    store.find(id)->update.emplace();
    store.find(id)->interfaces[0].other = InterfaceValues{.policy_groups = named(groups)};
    store.join_other_sets(id);
    return store.find(id)->interfaces[0].other->policy_set;
  };
  EXPECT_EQ(begin({"b"}), 2U) << "the lowest that nobody has";
  EXPECT_EQ(ids(store.list_with_policy_set(1)), (Ids{"att-10", "att-11"}));
  EXPECT_EQ(ids(store.list_with_policy_set(2)), (Ids{"att-10"}));
  store.end_update(id);
  EXPECT_EQ(ids(store.list_with_policy_set(1)), (Ids{"att-10", "att-11"})) << "it was taken back";
  EXPECT_EQ(ids(store.list_with_policy_set(2)), Ids());
  EXPECT_FALSE(store.find(id)->interfaces[0].other);

  EXPECT_EQ(begin({"b"}), 2U);
  keep_values(*store.find(id));
  store.end_update(id);
  EXPECT_EQ(ids(store.list_with_policy_set(1)), (Ids{"att-11"})) << "it was kept";
  EXPECT_EQ(ids(store.list_with_policy_set(2)), (Ids{"att-10"}));
  EXPECT_EQ(store.find(id)->interfaces[0].policy_set, 2U);

  EXPECT_EQ(begin({"b"}), 2U) << "another rate, and the same groups";
  keep_values(*store.find(id));
  store.end_update(id);
  EXPECT_EQ(ids(store.list_with_policy_set(2)), (Ids{"att-10"}));
  EXPECT_EQ(begin({}), 0U);
  keep_values(*store.find(id));
  store.end_update(id);
  EXPECT_EQ(ids(store.list_with_policy_set(2)), Ids());
  EXPECT_EQ(store.find(id)->interfaces[0].policy_set, 0U);
}

}  // namespace
}  // namespace berth::agent
