#include "base/ids.h"

#include "base/mac_address.h"

#include <gtest/gtest.h>

namespace berth {
namespace {

TEST(TextId, AcceptsLettersDigitsAndInnerPunctuation) {
  for (const char* good : {"vm-1", "A", "0", "tenant.blue_7"}) EXPECT_TRUE(VmId::parse("vm", good)) << good;
}

TEST(TextId, RefusesEverythingElseAndNamesTheField) {
  for (const std::string& bad : {std::string(), std::string("-vm"), std::string("a b"), std::string("a/b"),
                                 std::string("a\0b", 3), std::string(64, 'x')}) {
    const auto id = VmId::parse("vm", bad);
    ASSERT_FALSE(id) << bad;
    EXPECT_EQ(id.error().code, Code::kInvalidArgument);
    EXPECT_EQ(id.error().reason, "MALFORMED_ID");
    ASSERT_EQ(id.error().violations.size(), 1U);
    EXPECT_EQ(id.error().violations[0].field, "vm");
  }
}

TEST(Vni, ZeroAndMoreThan24BitsAreRefused) {
  EXPECT_FALSE(Vni::parse("vni", 0));
  EXPECT_FALSE(Vni::parse("vni", 0x1000000));
  EXPECT_EQ(Vni::parse("vni", 0xFFFFFF)->value(), 0xFFFFFFU);
}

TEST(MacAddress, RoundTripsThroughText) {
  const auto mac = MacAddress::parse("mac", "02:aB:00:00:00:7f");
  ASSERT_TRUE(mac);
  EXPECT_EQ(mac->str(), "02:ab:00:00:00:7f");
  EXPECT_FALSE(mac->is_multicast());
}

TEST(MacAddress, RefusesMalformedText) {
  for (const char* bad : {"", "02:00:00:00:00", "02:00:00:00:00:0g", "02-00-00-00-00-01",
                          "02:00:00:00:00:01 ", "0200:00:00:00:001"}) {
    EXPECT_FALSE(MacAddress::parse("mac", bad)) << bad;
  }
}

}  // namespace
}  // namespace berth
