#include "agent/attachment_store.h"

#include <gtest/gtest.h>

namespace berth::agent {
namespace {

Attachment make(const std::string& id, const std::string& vpc, std::uint8_t number) {
  return {.id = AttachmentId::trusted(id),
          .intent = {.request = RequestId::trusted("req-" + id),
                     .vm = VmId::trusted("vm-" + std::to_string(number)),
                     .vpc = VpcId::trusted(vpc),
                     .ips = {IpAddress::v4(0x0A010000U + number)},
                     .mac = {{0x02, 0, 0, 0, 1, number}}},
          .function = {.index = number}};
}

std::vector<std::string> ids(const std::vector<Attachment>& attachments) {
  std::vector<std::string> found;
  for (const Attachment& one : attachments) found.push_back(one.id.str());
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

TEST_F(AttachmentStoreTest, FindsByPortAndByVpcInOrderOfIds) {
  EXPECT_EQ(store.find_port(dataplane::EswitchPort::function(3))->id.str(), "att-c");
  EXPECT_EQ(store.find_port(dataplane::EswitchPort::function(4)), nullptr);
  EXPECT_EQ(ids(store.list_in(VpcId::trusted("blue"))), (Ids{"att-a", "att-b"}));
  store.erase(AttachmentId::trusted("att-b"));
  EXPECT_EQ(store.find_port(dataplane::EswitchPort::function(2)), nullptr);
  EXPECT_EQ(ids(store.list_in(VpcId::trusted("blue"))), (Ids{"att-a"}));
}

TEST_F(AttachmentStoreTest, RivalsShareVmAddressOrMacInOneVpc) {
  AttachIntent intent = make("att-new", "blue", 9).intent;
  EXPECT_EQ(ids(store.rivals_of(intent)), Ids{});
  intent.vm = VmId::trusted("vm-1");
  EXPECT_EQ(ids(store.rivals_of(intent)), (Ids{"att-a"}));
  intent.ips = {IpAddress::v4(0x0A010002U)};
  EXPECT_EQ(ids(store.rivals_of(intent)), (Ids{"att-a", "att-b"}));
  intent = make("att-new", "blue", 9).intent;
  intent.mac = {{0x02, 0, 0, 0, 1, 2}};
  EXPECT_EQ(ids(store.rivals_of(intent)), (Ids{"att-b"}));
  EXPECT_EQ(ids(store.rivals_of(make("att-new", "green", 1).intent)), Ids{});
}

// Its addresses may have gone to somebody else, while it waits for its guest to let go.
TEST_F(AttachmentStoreTest, WhoIsWithdrawnIsNoRivalAndLeavesItsSuccessorAlone) {
  store.find(AttachmentId::trusted("att-a"))->is_withdrawn = true;
  EXPECT_EQ(ids(store.rivals_of(make("att-new", "blue", 1).intent)), Ids{});
  Attachment successor = make("att-z", "blue", 1);
  successor.function.index = 7;
  store.insert(successor);
  EXPECT_EQ(ids(store.rivals_of(successor.intent)), (Ids{"att-z"}));
  store.erase(AttachmentId::trusted("att-a"));
  EXPECT_EQ(ids(store.rivals_of(successor.intent)), (Ids{"att-z"}));
}

}  // namespace
}  // namespace berth::agent
