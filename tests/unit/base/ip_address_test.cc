#include "base/ip_address.h"

#include <gtest/gtest.h>

namespace berth {
namespace {

IpPrefix prefix(std::string_view text) {
  return IpPrefix::parse("prefix", text).value();
}
IpAddress ip(std::string_view text) {
  return IpAddress::parse("ip", text).value();
}

TEST(IpAddress, RoundTripsThroughText) {
  for (const char* text : {"0.0.0.0", "10.1.0.5", "255.255.255.255", "::", "2001:db8::1"}) {
    EXPECT_EQ(ip(text).str(), text);
  }
}

TEST(IpAddress, RefusesMalformedText) {
  for (const std::string& bad :
       {std::string(), std::string("10.1.0"), std::string("10.1.0.256"), std::string("10.1.0.5\0x", 10),
        std::string("fe80::1%eth0"), std::string("x")}) {
    EXPECT_FALSE(IpAddress::parse("ip", bad)) << bad;
  }
}

TEST(IpPrefix, ContainsItsOwnAddressesOnly) {
  EXPECT_TRUE(prefix("10.1.0.0/24").contains(ip("10.1.0.255")));
  EXPECT_FALSE(prefix("10.1.0.0/24").contains(ip("10.1.1.0")));
  EXPECT_FALSE(prefix("0.0.0.0/0").contains(ip("::1")));
  EXPECT_TRUE(prefix("10.1.0.0/16").contains(prefix("10.1.7.0/24")));
  EXPECT_FALSE(prefix("10.1.7.0/24").contains(prefix("10.1.0.0/16")));
}

TEST(IpPrefix, KnowsItsMaskAndLastAddress) {
  EXPECT_EQ(prefix("10.1.0.0/20").mask().str(), "255.255.240.0");
  EXPECT_EQ(prefix("10.1.0.0/20").last_address().str(), "10.1.15.255");
  EXPECT_EQ(prefix("2001:db8::/33").mask().str(), "ffff:ffff:8000::");
}

TEST(IpPrefix, RefusesHostBitsAndWrongLengths) {
  for (const char* bad : {"10.1.0.1/24", "10.1.0.0", "10.1.0.0/33", "10.1.0.0/-1", "10.1.0.0/", "::/129"}) {
    EXPECT_FALSE(IpPrefix::parse("prefix", bad)) << bad;
  }
}

}  // namespace
}  // namespace berth
