#include "base/log_limit.h"

#include <gtest/gtest.h>

namespace berth {
namespace {

using std::chrono::milliseconds;

TEST(LogLimit, TheFirstIsToldAndThoseThatFollowSoonAreCounted) {
  LogLimit limit(milliseconds(100));
  const LogLimit::Time now;
  EXPECT_EQ(limit.tell(now), 0U);
  EXPECT_EQ(limit.tell(now), std::nullopt);
  EXPECT_EQ(limit.tell(now + milliseconds(99)), std::nullopt);
  EXPECT_EQ(limit.tell(now + milliseconds(100)), 2U);
  EXPECT_EQ(limit.tell(now + milliseconds(199)), std::nullopt);
  EXPECT_EQ(limit.tell(now + milliseconds(1000)), 1U);
  EXPECT_EQ(limit.tell(now + milliseconds(2000)), 0U);
}

}  // namespace
}  // namespace berth
