#include "rpc/core/inbound.h"

#include "rpc/core/outbound.h"

#include <vector>

#include <gtest/gtest.h>

namespace berth::rpc::core {
namespace {

constexpr Inbound::Options kOptions{.message_bytes = 1 << 20, .window_bytes = 64 << 10};

std::vector<std::uint8_t> framed(std::string message) {
  Outbound out;
  out.append(std::move(message));
  std::vector<std::uint8_t> bytes(out.size());
  EXPECT_EQ(out.read(bytes), bytes.size());
  return bytes;
}

TEST(Inbound, CutsMessagesWhereverTheBytesAreSplit) {
  auto bytes = framed("first");
  for (const auto byte : framed("")) bytes.push_back(byte);
  for (const auto byte : framed("third")) bytes.push_back(byte);
  for (std::size_t step = 1; step <= bytes.size(); ++step) {
    ByteBudget budget(1 << 20);
    Inbound in(kOptions, budget);
    for (std::size_t at = 0; at < bytes.size(); at += step) {
      ASSERT_TRUE(in.push(std::span(bytes).subspan(at, std::min(step, bytes.size() - at))));
    }
    EXPECT_EQ(in.pop()->bytes, "first");
    EXPECT_EQ(in.pop()->bytes, "");
    EXPECT_EQ(in.pop()->bytes, "third");
    EXPECT_FALSE(in.pop());
    EXPECT_FALSE(in.is_inside_message());
  }
}

TEST(Inbound, ASmallMessageGivesItsCreditBackWhenItIsTaken) {
  ByteBudget budget(1 << 20);
  Inbound in(kOptions, budget);
  EXPECT_EQ(in.push(framed("hello")).value(), 0U);
  EXPECT_EQ(in.pop()->credit, 10U);
}

TEST(Inbound, ALargeMessageReservesItsLengthAndGivesCreditAtOnce) {
  ByteBudget budget(1 << 20);
  Inbound in(kOptions, budget);
  const auto bytes = framed(std::string(100'000, 'x'));
  EXPECT_EQ(in.push(std::span(bytes).first(50'000)).value(), 50'000U);
  EXPECT_EQ(budget.used(), 100'000U);
  EXPECT_EQ(in.push(std::span(bytes).subspan(50'000)).value(), 50'005U);
  EXPECT_EQ(in.pop()->credit, 0U);
  EXPECT_EQ(budget.used(), 0U);
}

TEST(Inbound, AMessageThatDoesNotFitIntoTheBudgetStallsUntilItDoes) {
  ByteBudget budget(150'000);
  Inbound first(kOptions, budget);
  Inbound second(kOptions, budget);
  const auto bytes = framed(std::string(100'000, 'x'));
  ASSERT_TRUE(first.push(bytes));
  EXPECT_EQ(second.push(std::span(bytes).first(60'000)).value(), 0U);
  EXPECT_TRUE(second.is_stalled());
  EXPECT_EQ(second.resume(), 0U);
  ASSERT_TRUE(first.pop());
  EXPECT_EQ(second.resume(), 60'000U);
  EXPECT_FALSE(second.is_stalled());
}

TEST(Inbound, RefusesAFourGigabytePrefixWithoutStoringAnything) {
  ByteBudget budget(1 << 20);
  Inbound in(kOptions, budget);
  const std::uint8_t prefix[] = {0, 0xFF, 0xFF, 0xFF, 0xFF};
  const auto pushed = in.push(prefix);
  ASSERT_FALSE(pushed);
  EXPECT_EQ(pushed.error().code, Code::kResourceExhausted);
  EXPECT_EQ(budget.used(), 0U);
}

TEST(Inbound, RefusesAnUnknownFlag) {
  ByteBudget budget(1 << 20);
  Inbound in(kOptions, budget);
  const std::uint8_t prefix[] = {2, 0, 0, 0, 0};
  EXPECT_EQ(in.push(prefix).error().code, Code::kInternal);
}

TEST(Inbound, DropReturnsEverythingItHeld) {
  ByteBudget budget(1 << 20);
  Inbound in(kOptions, budget);
  ASSERT_TRUE(in.push(framed("hello")));
  const auto large = framed(std::string(500'000, 'x'));
  ASSERT_TRUE(in.push(std::span(large).first(1000)));
  EXPECT_EQ(in.drop(), 10U);
  EXPECT_EQ(budget.used(), 0U);
}

TEST(Outbound, GathersSmallAndKeepsLargeMessagesInOrder) {
  Outbound out;
  std::vector<std::uint8_t> expected;
  for (std::size_t size : {3U, 5000U, 0U, 2047U, 2048U, 40'000U, 1U}) {
    for (const auto byte : framed(std::string(size, static_cast<char>('a' + size % 26))))
      expected.push_back(byte);
    out.append(std::string(size, static_cast<char>('a' + size % 26)));
  }
  EXPECT_EQ(out.size(), expected.size());
  std::vector<std::uint8_t> actual(expected.size());
  for (std::size_t at = 0; at < actual.size();)
    at += out.read(std::span(actual).subspan(at).first(std::min<std::size_t>(777, actual.size() - at)));
  EXPECT_EQ(actual, expected);
  EXPECT_EQ(out.size(), 0U);
}

TEST(Outbound, ALongStreamThatNeverRunsDryKeepsOrder) {
  Outbound out;
  std::size_t read = 0;
  std::uint8_t scratch[64 + 5];
  out.append(std::string(64, 'x'));
  for (int i = 0; i < 20'000; ++i) {
    out.append(std::string(64, static_cast<char>(i % 100)));
    read += out.read(scratch);
  }
  EXPECT_EQ(read, 20'000 * sizeof(scratch));
  EXPECT_EQ(out.size(), sizeof(scratch));
}

}  // namespace
}  // namespace berth::rpc::core
