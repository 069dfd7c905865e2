#include "base/fnv.h"

#include <gtest/gtest.h>

namespace berth {
namespace {

// Test vectors of the draft, appendix C.
TEST(Fnv, IsWhatTheDraftSays) {
  EXPECT_EQ(fnv1a_64(""), 0xcbf29ce484222325U);
  EXPECT_EQ(fnv1a_64("a"), 0xaf63dc4c8601ec8cU);
  EXPECT_EQ(fnv1a_64("foobar"), 0x85944171f73967e8U);
}

TEST(Fnv, TakesBytesAbove127AsWhatTheyAre) {
  EXPECT_NE(fnv1a_64("\xff"), fnv1a_64("\x7f"));
}

}  // namespace
}  // namespace berth
