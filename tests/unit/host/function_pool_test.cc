// Who has which function, and who gets the next one.
#include "host/function_pool.h"

#include <gtest/gtest.h>

namespace berth::host {
namespace {

// vf0 and vf1, and vf2 with nothing behind it.
FunctionPool make_pool() {
  return FunctionPool({{.index = 0}, {.index = 1}, {.index = 2, .socket = {}, .is_unbacked = true}});
}

TEST(FunctionPool, TheOneThatHasRestedLongestIsNext) {
  FunctionPool pool = make_pool();
  EXPECT_EQ(pool.lease()->index, 0);
  EXPECT_EQ(pool.lease()->index, 1);
  pool.release(1);
  pool.release(0);
  EXPECT_EQ(pool.lease()->index, 1);
  EXPECT_EQ(pool.lease()->index, 0);
}

TEST(FunctionPool, AnUnbackedOneIsGivenOnlyWhenThereIsNoOther) {
  FunctionPool pool = make_pool();
  EXPECT_FALSE(pool.lease()->is_unbacked);
  EXPECT_FALSE(pool.lease()->is_unbacked);
  EXPECT_TRUE(pool.lease()->is_unbacked);
  pool.release(2);
  pool.release(0);
  EXPECT_EQ(pool.lease()->index, 0) << "although vf2 has rested longer";
}

TEST(FunctionPool, CountsWhatIsFreeOfEachPf) {
  const PciAddress first{.bus = 1}, second{.bus = 2};
  FunctionPool pool({{.index = 0, .pf = second},
                     {.index = 1, .pf = second},
                     {.index = 2, .pf = first},
                     {.index = 3, .is_unbacked = true}});
  EXPECT_EQ(pool.lease(0)->pf, second);
  auto free = pool.free_vfs();
  ASSERT_EQ(free.size(), 2U) << "what is no VF is not counted";
  EXPECT_EQ(free[0].pf, first);
  EXPECT_EQ(free[0].count, 1U);
  EXPECT_EQ(free[1].pf, second);
  EXPECT_EQ(free[1].next, 1);
  pool.release(0);
  free = pool.free_vfs();
  EXPECT_EQ(free[1].count, 2U);
  EXPECT_EQ(free[1].next, 1) << "it has rested longer";
  ASSERT_TRUE(pool.lease(2));
  EXPECT_EQ(pool.free_vfs().size(), 1U);
}

TEST(FunctionPool, WhatAFormerProcessHadIsNotGivenAgain) {
  FunctionPool pool = make_pool();
  EXPECT_EQ(pool.lease(0)->index, 0);
  EXPECT_EQ(pool.lease(0).error().reason, "FUNCTION_TAKEN");
  EXPECT_EQ(pool.lease(3).error().reason, "FUNCTION_UNKNOWN");
  EXPECT_EQ(pool.lease()->index, 1);
}

TEST(FunctionPool, QuarantineKeepsAFunctionUntilItIsLifted) {
  FunctionPool pool = make_pool();
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(pool.lease());
  pool.quarantine(1);
  const auto none = pool.lease();
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().reason, "NO_FREE_FUNCTION");
  EXPECT_EQ(none.error().message, "1 needed, 0 of 3 functions are free: 2 leased, 1 quarantined");
  pool.lift_quarantine(1);
  EXPECT_EQ(pool.lease()->index, 1);
}

}  // namespace
}  // namespace berth::host
