#include "host/vf_pool.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace berth::host {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

const PciAddress kFirst = PciAddress::parse("pf", "0000:3b:00.0").value();
const PciAddress kSecond = PciAddress::parse("pf", "0000:19:00.0").value();

TEST(VfPool, FunctionsAreTheFirstVfsOfEachPfInTheOrderOfTheList) {
  const VfPool pool({kFirst, kSecond}, 3);
  EXPECT_EQ(pool.place_of(0).value(), (VfPlace{kFirst, 0}));
  EXPECT_EQ(pool.place_of(2).value(), (VfPlace{kFirst, 2}));
  EXPECT_EQ(pool.place_of(3).value(), (VfPlace{kSecond, 0}));
  EXPECT_EQ(pool.place_of(6).error().reason, "VFS_LOST");
}

TEST(VfPool, APfThatIsAddedAtTheEndMovesNobodysFunction) {
  const VfPool before({kFirst}, 3);
  const VfPool after({kFirst, kSecond}, 3);
  for (std::uint16_t i = 0; i < 3; ++i) EXPECT_EQ(before.place_of(i).value(), after.place_of(i).value());
}

TEST(VfPool, LeasesAreThoseOfTheirPf) {
  const VfPool pool({kFirst, kSecond}, 3);
  EXPECT_THAT(pool.vfs_of(kFirst, {1, 3, 5, 9}), ElementsAre(1));
  EXPECT_THAT(pool.vfs_of(kSecond, {1, 3, 5, 9}), ElementsAre(0, 2));
  EXPECT_THAT(pool.vfs_of(kSecond, {1}), IsEmpty());
}

}  // namespace
}  // namespace berth::host
