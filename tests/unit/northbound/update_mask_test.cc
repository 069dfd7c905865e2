// What an update's request becomes: the fields that its mask names, and an error for each that it may not.
#include "northbound/update_mask.h"

#include "northbound/convert.h"

#include <functional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace berth::northbound {
namespace {

v1::UpdateAttachmentRequest request(const std::vector<std::string>& paths) {
  v1::UpdateAttachmentRequest wanted;
  wanted.set_request_id("req-1");
  wanted.mutable_attachment()->set_id("att-1");
  wanted.mutable_attachment()->set_etag("0123");
  v1::Interface& one = *wanted.mutable_attachment()->add_interfaces()->mutable_interface();
  one.set_vpc("blue");
  one.set_mac("02:00:00:00:01:05");
  one.set_max_rate_from_vm(7);
  one.set_max_rate_to_vm(8);
  one.add_policy_groups("web");
  one.set_mtu_bytes(9);
  for (const std::string& path : paths) wanted.mutable_update_mask()->add_paths(path);
  return wanted;
}

TEST(UpdateMask, OnlyWhatItNamesIsWanted) {
  const auto rate = to_intent(request({"interfaces.interface.max_rate_to_vm"}));
  ASSERT_TRUE(rate) << rate.error().message;
  EXPECT_EQ(rate->attachment.str(), "att-1");
  EXPECT_EQ(rate->etag, "0123");
  ASSERT_EQ(rate->interfaces.size(), 1U);
  EXPECT_EQ(rate->interfaces[0].rate_to_vm, 8U);
  EXPECT_FALSE(rate->interfaces[0].rate_from_vm);
  EXPECT_FALSE(rate->interfaces[0].policy_groups);

  auto emptied = request({"interfaces.interface.policy_groups", "interfaces.interface.max_rate_from_vm"});
  emptied.mutable_attachment()->mutable_interfaces(0)->mutable_interface()->clear_policy_groups();
  const auto groups = to_intent(emptied);
  ASSERT_TRUE(groups);
  ASSERT_TRUE(groups->interfaces[0].policy_groups);
  EXPECT_TRUE(groups->interfaces[0].policy_groups->empty()) << "none is a value, too";
  EXPECT_EQ(groups->interfaces[0].rate_from_vm, 7U);
  EXPECT_FALSE(groups->interfaces[0].rate_to_vm);
}

// Every field of an attachment but three. A field that is added is immutable until it is made otherwise.
TEST(UpdateMask, EveryOtherFieldIsImmutable) {
  std::size_t mutable_count = 0;
  std::size_t immutable_count = 0;
  const std::function<void(const google::protobuf::Descriptor&, const std::string&)> try_all =
      [&](const google::protobuf::Descriptor& type, const std::string& prefix) {
        for (int i = 0; i < type.field_count(); ++i) {
          const std::string path = prefix + type.field(i)->name();
          google::protobuf::FieldMask mask;
          mask.add_paths(path);
          const auto parsed = UpdateMask::parse(mask);
          if (parsed) {
            ++mutable_count;
          } else {
            ++immutable_count;
            EXPECT_EQ(parsed.error().reason, "FIELD_IMMUTABLE") << path;
            EXPECT_EQ(parsed.error().violations.at(0).field, "update_mask");
            EXPECT_NE(parsed.error().message.find(path), std::string::npos);
          }
          if (type.field(i)->message_type() != nullptr) try_all(*type.field(i)->message_type(), path + ".");
        }
      };
  try_all(*v1::Attachment::descriptor(), "");
  EXPECT_EQ(mutable_count, 3U);
  EXPECT_GT(immutable_count, 20U);
}

TEST(UpdateMask, WhatIsNoFieldIsMalformed) {
  for (const char* path :
       {"*", "", "rates", "interfaces.max_rate_to_vm", "interfaces.interface.policy_groups."})
    EXPECT_EQ(to_intent(request({path})).error().reason, "MALFORMED_MASK") << path;
  EXPECT_EQ(to_intent(request({})).error().reason, "MASK_EMPTY");
}

}  // namespace
}  // namespace berth::northbound
