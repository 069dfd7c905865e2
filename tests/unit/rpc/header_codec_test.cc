#include "rpc/core/header_codec.h"

#include <gtest/gtest.h>

namespace berth::rpc::core {
namespace {

using namespace std::chrono_literals;

TEST(PercentCoding, LeavesPrintableAsciiAndEscapesTheRest) {
  EXPECT_EQ(percent_encode("vm-7: 50% of ü\n"), "vm-7: 50%25 of %C3%BC%0A");
}
TEST(PercentCoding, DecodesWhatItEncoded) {
  std::string every_byte;
  for (int c = 0; c < 256; ++c) every_byte += static_cast<char>(c);
  EXPECT_EQ(percent_decode(percent_encode(every_byte)), every_byte);
}
TEST(PercentCoding, KeepsMalformedEscapes) {
  EXPECT_EQ(percent_decode("100% %zz %4"), "100% %zz %4");
  EXPECT_EQ(percent_decode("%41"), "A");
}

TEST(Base64, RoundTripsEveryLength) {
  std::string bytes;
  for (int i = 0; i < 70; ++i) {
    EXPECT_EQ(base64_decode(base64_encode(bytes)), bytes);
    bytes += static_cast<char>(i * 37);
  }
}
TEST(Base64, TakesPaddingAndRefusesOtherCharacters) {
  EXPECT_EQ(base64_decode("aGk="), "hi");
  EXPECT_EQ(base64_decode("aGk"), "hi");
  EXPECT_EQ(base64_decode("aG k"), std::nullopt);
  EXPECT_EQ(base64_decode("a"), std::nullopt);
}

TEST(Timeout, KnowsEveryUnit) {
  EXPECT_EQ(parse_timeout("7H"), 7h);
  EXPECT_EQ(parse_timeout("7M"), 7min);
  EXPECT_EQ(parse_timeout("7S"), 7s);
  EXPECT_EQ(parse_timeout("7m"), 7ms);
  EXPECT_EQ(parse_timeout("7u"), 7us);
  EXPECT_EQ(parse_timeout("7n"), 7ns);
}
TEST(Timeout, CutsWhatWouldOverflow) {
  const auto longest = parse_timeout("99999999H");
  ASSERT_TRUE(longest);
  EXPECT_GT(*longest, 24h * 365);
}
TEST(Timeout, RefusesWhatIsNotATimeout) {
  for (const char* bad : {"", "S", "1", "1s", "-1S", "1 S", "123456789S", "1.5S", "S1"}) {
    EXPECT_EQ(parse_timeout(bad), std::nullopt) << bad;
  }
}
TEST(Timeout, FormatsWithinEightDigitsAndNeverTooShort) {
  EXPECT_EQ(format_timeout(5s), "5000000u");
  EXPECT_EQ(format_timeout(-1s), "1n");
  for (const std::chrono::nanoseconds timeout : {1ns, 99'999'999ns, 100'000'001ns, 3'600'000'000'001ns}) {
    const auto parsed = parse_timeout(format_timeout(timeout));
    ASSERT_TRUE(parsed);
    EXPECT_GE(*parsed, timeout);
    EXPECT_LE(*parsed - timeout, timeout / 1000 + 1ns);
  }
}

}  // namespace
}  // namespace berth::rpc::core
