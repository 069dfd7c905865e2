#include "base/ip_range.h"

#include <limits>

#include <gtest/gtest.h>

namespace berth {
namespace {

IpAddress ip(std::string_view text) {
  return IpAddress::parse("ip", text).value();
}
IpRange range(std::string_view text) {
  return IpRange::parse("range", text).value();
}

TEST(IpRange, APrefixIsARangeToo) {
  EXPECT_EQ(range("10.1.0.64/26"), range("10.1.0.64-10.1.0.127"));
  EXPECT_EQ(range("2001:db8::/126").str(), "2001:db8::-2001:db8::3");
  EXPECT_EQ(range("10.1.0.5-10.1.0.5").count(), 1U);
}

TEST(IpRange, WhatIsNoneIsRefused) {
  for (const char* text : {"", "10.1.0.5", "10.1.0.5-", "-10.1.0.5", "10.1.0.6-10.1.0.5",
                           "10.1.0.5-2001:db8::1", "10.1.0.5/24", "10.1.0.0-10.1.0.5-10.1.0.9"}) {
    const auto parsed = IpRange::parse("host_blocks", text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_EQ(parsed.error().reason, "MALFORMED_RANGE");
  }
}

TEST(IpRange, HoldsItsEndsAndNothingBesideThem) {
  const IpRange some = range("10.1.0.250-10.1.1.5");
  for (const char* inside : {"10.1.0.250", "10.1.0.255", "10.1.1.0", "10.1.1.5"})
    EXPECT_TRUE(some.contains(ip(inside))) << inside;
  for (const char* outside : {"10.1.0.249", "10.1.1.6", "::"})
    EXPECT_FALSE(some.contains(ip(outside))) << outside;
  EXPECT_TRUE(some.overlaps(range("10.1.1.5-10.1.1.9")));
  EXPECT_FALSE(some.overlaps(range("10.1.1.6-10.1.1.9")));
  EXPECT_FALSE(some.overlaps(range("::/0")));
}

TEST(IpRange, Counts) {
  EXPECT_EQ(range("10.1.0.250-10.1.1.5").count(), 12U);
  EXPECT_EQ(range("0.0.0.0/0").count(), 1ULL << 32U);
  EXPECT_EQ(range("2001:db8::ffff-2001:db8::1:0").count(), 2U);
  EXPECT_EQ(range("2001:db8::/65").count(), 1ULL << 63U);
  for (const char* most : {"2001:db8::/64", "::/0"})
    EXPECT_EQ(range(most).count(), std::numeric_limits<std::uint64_t>::max()) << most;
}

TEST(NextAddress, CarriesAndEnds) {
  EXPECT_EQ(next_address(ip("10.1.0.255")), ip("10.1.1.0"));
  EXPECT_EQ(next_address(ip("2001:db8::ffff")), ip("2001:db8::1:0"));
  EXPECT_EQ(next_address(ip("255.255.255.255")), std::nullopt);
  EXPECT_EQ(next_address(range("::/0").last()), std::nullopt);
}

}  // namespace
}  // namespace berth
