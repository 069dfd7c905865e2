#include "northbound/trace_context.h"

#include <gtest/gtest.h>

namespace berth::northbound {
namespace {

constexpr const char* kGood = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

TEST(TraceContext, ATraceparentOfThisVersionIsTaken) {
  EXPECT_TRUE(is_traceparent(kGood));
  EXPECT_TRUE(is_traceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"));
  EXPECT_TRUE(is_traceparent("00-00000000000000000000000000000001-0000000000000001-ff"));
}

TEST(TraceContext, ALaterVersionMayGoOnBehindADash) {
  EXPECT_TRUE(is_traceparent("cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"));
  EXPECT_TRUE(
      is_traceparent("01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-what the future holds"));
  EXPECT_FALSE(is_traceparent("01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01.what"));
  EXPECT_FALSE(is_traceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-what"));
}

TEST(TraceContext, AMalformedOneIsNone) {
  for (const char* text : {
           "", "00",
           "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",   // no version
           "00-00000000000000000000000000000000-b7ad6b7169203331-01",   // no trace
           "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",   // no parent
           "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",   // upper case
           "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0",    // too short
           "00-0af7651916cd43dd8448eb211c80319-cb7ad6b7169203331-01",   // a dash elsewhere
           "00_0af7651916cd43dd8448eb211c80319c_b7ad6b7169203331_01",   // no dash at all
           "0x-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",   // no number
           "00-0af7651916cd43dd8448eb211c80319g-b7ad6b7169203331-01",   // nor this
           " 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",  // a blank
       }) {
    EXPECT_FALSE(is_traceparent(text)) << text;
  }
  EXPECT_FALSE(
      is_traceparent("01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-" + std::string(100, 'x')));
}

TEST(TraceContext, OfACallItIsTheOnlyOneThatCounts) {
  EXPECT_EQ(traceparent_of({{"traceparent", kGood}, {"tracestate", "a=b"}}), kGood);
  EXPECT_EQ(traceparent_of({}), "");
  EXPECT_EQ(traceparent_of({{"traceparent", "00"}}), "");
  EXPECT_EQ(traceparent_of({{"traceparent", kGood}, {"traceparent", kGood}}), "") << "one too many";
}

}  // namespace
}  // namespace berth::northbound
