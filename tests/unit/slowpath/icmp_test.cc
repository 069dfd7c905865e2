// Ping of the gateway, and what a VM is told of packets that are too big.
#include "tests/unit/slowpath/gateway.h"

namespace berth::dataplane::slowpath::test {
namespace {

class EchoTest : public GatewayTest {
 protected:
  static Octets ping4(std::string_view src, std::string_view dst, unsigned fragment = 0x4000) {
    return eth(kGatewayMac, kVmMac, 0x0800,
               ipv4(src, dst, 1, icmp(hex("0800 0000 1234 0001 68656c6c6f")), fragment));
  }
  static Octets ping6(std::string_view src, std::string_view dst) {
    return eth(kGatewayMac, kVmMac, 0x86DD,
               ipv6(src, dst, 58, icmp6(src, dst, hex("8000 0000 1234 0001 68656c6c6f"))));
  }
};

TEST_F(EchoTest, TheGatewayAnswersPings) {
  const Octets v4 = ask(ping4(kVm, kGateway));
  EXPECT_EQ(outcome, Outcome::kEcho);
  EXPECT_EQ(part(v4, 26, 8), to_hex(ip(kGateway) + ip(kVm)));
  EXPECT_EQ(part(v4, 34, 2), "0000");
  EXPECT_EQ(part(v4, 38, 9), "1234000168656c6c6f");
  for (const auto& [src, dst] : {std::pair(kVm6, kGateway6), std::pair(kVmLinkLocal, kGatewayLinkLocal)}) {
    const Octets v6 = ask(ping6(src, dst));
    EXPECT_EQ(part(v6, 22, 32), to_hex(ip(dst) + ip(src)));
    EXPECT_EQ(part(v6, 54, 2), "8100");
    EXPECT_EQ(part(v6, 58, 9), "1234000168656c6c6f");
  }
}

TEST_F(EchoTest, AWholeJumboPacketComesBack) {
  PortAnswers jumbo = make_answers();
  jumbo.mtu_bytes = 9216;
  set(jumbo);
  const Octets data = icmp(hex("0800 0000 1234 0001") + Octets(9216 - 28, 0x5A));
  EXPECT_EQ(ask(eth(kGatewayMac, kVmMac, 0x0800, ipv4(kVm, kGateway, 1, data))).size(), 9230U);
  const Octets more = icmp(hex("0800 0000 1234 0001") + Octets(9217 - 28, 0x5A));
  EXPECT_FALSE(ask(eth(kGatewayMac, kVmMac, 0x0800, ipv4(kVm, kGateway, 1, more))).empty());
  EXPECT_EQ(outcome, Outcome::kPacketTooBig);
}

TEST_F(EchoTest, OthersAreNotAnsweredFor) {
  EXPECT_TRUE(ask(ping4(kVm, "10.1.0.6")).empty());
  EXPECT_EQ(outcome, Outcome::kNotForUs);
  EXPECT_TRUE(ask(ping6(kVm6, "2001:db8:1::6")).empty());
  EXPECT_EQ(outcome, Outcome::kNotForUs);
  EXPECT_TRUE(ask(ping4("10.1.0.9", kGateway)).empty());
  EXPECT_EQ(outcome, Outcome::kSpoofed);
  EXPECT_TRUE(ask(ping6("2001:db8:1::9", kGateway6)).empty());
  EXPECT_EQ(outcome, Outcome::kSpoofed);
}

TEST_F(EchoTest, FragmentsAndWrongChecksumsAreSilent) {
  EXPECT_TRUE(ask(ping4(kVm, kGateway, 0x2000)).empty());
  EXPECT_EQ(outcome, Outcome::kUnsupported);
  Octets v4 = ping4(kVm, kGateway);
  v4.back() ^= 1;
  EXPECT_TRUE(ask(v4).empty());
  EXPECT_EQ(outcome, Outcome::kMalformed);
  Octets v6 = ping6(kVm6, kGateway6);
  v6.back() ^= 1;
  EXPECT_TRUE(ask(v6).empty());
  EXPECT_EQ(outcome, Outcome::kMalformed);
}

TEST_F(EchoTest, WrongIpHeadersAreMalformed) {
  const struct {
    const char* what;
    std::size_t at;
    std::uint8_t value;
  } cases[] = {{"version", 14, 0x55},
               {"header of four words", 14, 0x44},
               {"total length beyond", 17, 0xFF},
               {"total length within", 17, 0x13},
               {"checksum", 24, 0x5A}};
  for (const auto& wrong : cases) {
    Octets frame = ping4(kVm, kGateway);
    frame[wrong.at] = wrong.value;
    EXPECT_TRUE(ask(frame).empty());
    EXPECT_EQ(outcome, Outcome::kMalformed) << wrong.what;
  }
  Octets v6 = ping6(kVm6, kGateway6);
  v6[14] = 0x40;
  EXPECT_TRUE(ask(v6).empty());
  EXPECT_EQ(outcome, Outcome::kMalformed);
  v6[14] = 0x60;
  v6[19] = 0xFF;
  EXPECT_TRUE(ask(v6).empty());
  EXPECT_EQ(outcome, Outcome::kMalformed);
}

class TooBigTest : public GatewayTest {
 protected:
  static Octets big4(unsigned fragment, std::size_t payload = 1431, std::string_view src = kVm) {
    return eth(kGatewayMac, kVmMac, 0x0800, ipv4(src, "10.1.0.6", 6, Octets(payload, 0x11), fragment));
  }
  static Octets big6(std::size_t payload = 1411, std::string_view dst = "2001:db8:1::6") {
    return eth(kGatewayMac, kVmMac, 0x86DD, ipv6(kVm6, dst, 6, Octets(payload, 0x11)));
  }
};

TEST_F(TooBigTest, Ipv4IsToldThatFragmentationIsNeeded) {
  const Octets sent = big4(0x4000);
  const Octets reply = too_big(sent);
  EXPECT_EQ(outcome, Outcome::kPacketTooBig);
  EXPECT_EQ(reply.size(), 14U + 576U);
  EXPECT_EQ(part(reply, 26, 8), to_hex(ip(kGateway) + ip(kVm)));
  EXPECT_EQ(part(reply, 34, 2), "0304");
  EXPECT_EQ(part(reply, 38, 4), "000005aa") << "1450";
  EXPECT_EQ(part(reply, 42, 548), part(sent, 14, 548));
}

TEST_F(TooBigTest, Ipv6IsToldThatThePacketIsTooBig) {
  const Octets sent = big6();
  const Octets reply = too_big(sent);
  EXPECT_EQ(outcome, Outcome::kPacketTooBig);
  EXPECT_EQ(reply.size(), 14U + 1280U);
  EXPECT_EQ(part(reply, 22, 32), to_hex(ip(kGateway6) + ip(kVm6)));
  EXPECT_EQ(part(reply, 54, 2), "0200");
  EXPECT_EQ(part(reply, 58, 4), "000005aa");
  EXPECT_EQ(part(reply, 62, 1232), part(sent, 14, 1232));
}

TEST_F(TooBigTest, SilentWhereNoErrorMayBeSent) {
  const Octets error =
      eth(kGatewayMac, kVmMac, 0x0800, ipv4(kVm, "10.1.0.6", 1, icmp(hex("0301") + Octets(1500))));
  const Octets error6 = eth(kGatewayMac, kVmMac, 0x86DD,
                            ipv6(kVm6, kGateway6, 58, icmp6(kVm6, kGateway6, hex("0100") + Octets(1500))));
  const struct {
    const char* what;
    Octets frame;
  } cases[] = {
      {"may be fragmented", big4(0)},        {"a later fragment", big4(0x4010)}, {"an ICMP error", error},
      {"an ICMPv6 error", error6},           {"it fits", big4(0x4000, 1430)},    {"it fits", big6(1410)},
      {"for a group", big6(1411, "ff02::1")}};
  for (const auto& wrong : cases) {
    EXPECT_TRUE(too_big(wrong.frame).empty()) << wrong.what;
    EXPECT_EQ(outcome, Outcome::kNotForUs) << wrong.what;
  }
  EXPECT_TRUE(too_big(big4(0x4000, 1431, "10.1.0.9")).empty());
  EXPECT_EQ(outcome, Outcome::kSpoofed);
}

}  // namespace
}  // namespace berth::dataplane::slowpath::test
