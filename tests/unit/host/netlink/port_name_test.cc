// What the kernel calls the ports of an eSwitch.
#include "host/netlink/port_name.h"

#include <gtest/gtest.h>

namespace berth::host {
namespace {

TEST(PortName, EveryFormOfTheKernelIsUnderstoodAndWrittenBack) {
  const std::pair<std::string, PortName> forms[] = {
      {"p0", {PortKind::kUplink, 0, 0, 0}},   {"p1", {PortKind::kUplink, 0, 1, 0}},
      {"p0s3", {PortKind::kUplink, 0, 0, 4}}, {"pf1", {PortKind::kPf, 0, 1, 0}},
      {"pf0vf3", {PortKind::kVf, 0, 0, 3}},   {"c1pf0vf127", {PortKind::kVf, 1, 0, 127}},
      {"pf0sf88", {PortKind::kSf, 0, 0, 88}}, {"c1pf0", {PortKind::kPf, 1, 0, 0}},
      {"c2pf1sf7", {PortKind::kSf, 2, 1, 7}},
  };
  for (const auto& [text, name] : forms) {
    const auto parsed = PortName::parse(text);
    ASSERT_TRUE(parsed) << text;
    EXPECT_EQ(*parsed, name) << text;
    EXPECT_EQ(parsed->str(), text);
  }
}

TEST(PortName, WhatOtherDriversCallTheirPortsIsNoPortName) {
  for (const std::string_view text : {"", "p", "pf", "pfvf", "pf0vf", "eth0", "p0x", "pf0vf3 ", "c1", "c1p0",
                                      "cpf0", "pf0vf99999999999", "p-1", "0", "p0s"}) {
    const auto parsed = PortName::parse(text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_EQ(parsed.error().reason, "MALFORMED_PORT_NAME");
  }
}

}  // namespace
}  // namespace berth::host
