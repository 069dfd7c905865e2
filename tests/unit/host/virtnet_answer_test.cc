#include "host/hotplug/virtnet_answer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace berth::host {
namespace {

using ::testing::HasSubstr;

TEST(VirtnetAnswer, HotplugOfOldAndNewControllers) {
  const auto old_one = parse_virtnet_hotplug(
      R"({"bdf": "84:0.0", "id": 1, "transitional": 0, "sf_rep_net_device": "en3f0pf0sf1001",
          "mac": "0C:C4:7A:FF:22:93"})");
  ASSERT_TRUE(old_one) << old_one.error().message;
  EXPECT_EQ(old_one->address.str(), "0000:84:00.0");
  EXPECT_EQ(old_one->id, "1");
  EXPECT_EQ(old_one->mac.str(), "0c:c4:7a:ff:22:93");
  const auto new_one = parse_virtnet_hotplug(
      R"({"bdf": "15:00.2", "vuid": "MT2151X03152VNETS1D0F0", "id": 3, "transitional": 0,
          "mac": "0C:C4:7A:FF:22:93", "errno": 0, "errstr": "Success"})");
  ASSERT_TRUE(new_one);
  EXPECT_EQ(new_one->address.str(), "0000:15:00.2");
}

TEST(VirtnetAnswer, ARefusalIsInTheControllersWords) {
  const auto refused = parse_virtnet_hotplug(R"({"errno": -22, "errstr": "no more hotplug devices"})");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason, "VIRTNET_REFUSED");
  EXPECT_THAT(refused.error().message, HasSubstr("no more hotplug devices"));
  EXPECT_EQ(parse_virtnet_unplug(R"({"errno": 1})").error().reason, "VIRTNET_REFUSED");
  EXPECT_TRUE(parse_virtnet_unplug(R"({"errno": 0, "errstr": "Success"})"));
}

TEST(VirtnetAnswer, AListNamesTheHotPluggedOnly) {
  const auto devices = parse_virtnet_list(R"({"controller": {"emulation_manager": "mlx5_0"}, "devices": [
    {"pf_id": 0, "function_type": "static PF", "pci_bdf": "14:00.2"},
    {"pf_id": 4, "function_type": "hotplug PF", "pci_bdf": "0000:15:00.0", "mac": "02:00:00:00:01:05"}]})");
  ASSERT_TRUE(devices) << devices.error().message;
  ASSERT_EQ(devices->size(), 1U);
  EXPECT_EQ(devices->front().id, "4");
}

TEST(VirtnetAnswer, RubbishIsNamed) {
  for (const char* text :
       {"", "[]", "Traceback (most recent call last):", "{}", R"({"bdf": "84:0.0", "id": 1})",
        R"({"bdf": "../..", "id": 1, "mac": "02:00:00:00:01:05"})",
        R"({"bdf": "84:0", "id": 1, "mac": "02:00:00:00:01:05"})",
        R"({"bdf": "84:0.9", "id": 1, "mac": "02:00:00:00:01:05"})",
        R"({"bdf": "1:2:3:4.0", "id": 1, "mac": "02:00:00:00:01:05"})",
        R"({"bdf": "84:0.0", "id": "1 -x", "mac": "02:00:00:00:01:05"})"}) {
    const auto answer = parse_virtnet_hotplug(text);
    ASSERT_FALSE(answer) << text;
    EXPECT_EQ(answer.error().reason, "VIRTNET_ANSWER") << text;
  }
  EXPECT_EQ(parse_virtnet_list("{}").error().reason, "VIRTNET_ANSWER");
  EXPECT_EQ(parse_virtnet_list(R"({"devices": [1]})").error().reason, "VIRTNET_ANSWER");
}

}  // namespace
}  // namespace berth::host
