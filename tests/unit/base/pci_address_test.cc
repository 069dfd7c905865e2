#include "base/pci_address.h"

#include <gtest/gtest.h>

namespace berth {
namespace {

TEST(PciAddress, ReadsWhatItPrints) {
  for (const char* text : {"0000:00:00.0", "0000:3b:00.2", "10000:e1:1f.7", "ffffffff:ff:1f.7"}) {
    const auto address = PciAddress::parse("pci", text);
    ASSERT_TRUE(address) << text;
    EXPECT_EQ(address->str(), text);
  }
  EXPECT_EQ(*PciAddress::parse("pci", "0000:3B:0A.2"), (PciAddress{0, 0x3b, 0x0a, 2}));
}

TEST(PciAddress, RefusesWhatIsNoAddress) {
  for (const char* text : {"", "3b:00.2", "0000:3b:00", "0000:3b:00.8", "0000:3b:20.0", "0000:3b:0.2",
                           "0000:3b:00.2 ", "000:3b:00.2", "0000:3b:00.02", "00000:3b:00.2", "0000:13b:00.2",
                           "../../etc", "0000:3b:00.-1", "0x00:3b:00.2"}) {
    const auto address = PciAddress::parse("pci", text);
    ASSERT_FALSE(address) << text;
    EXPECT_EQ(address.error().reason, "MALFORMED_PCI_ADDRESS");
  }
}

}  // namespace
}  // namespace berth
