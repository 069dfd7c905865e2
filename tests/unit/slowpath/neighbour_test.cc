#include "tests/unit/slowpath/gateway.h"

namespace berth::dataplane::slowpath::test {
namespace {

class NeighbourTest : public GatewayTest {
 protected:
  static Octets frame_of(std::string_view src, std::string_view dst, const Octets& message,
                         unsigned hop_limit = 255) {
    return eth("33:33:00:00:00:01", kVmMac, 0x86DD, ipv6(src, dst, 58, icmp6(src, dst, message), hop_limit));
  }
  static Octets source_option(std::string_view address = kVmMac) { return hex("0101") + mac(address); }
  static Octets solicit(std::string_view src, std::string_view target,
                        const Octets& options = source_option()) {
    return frame_of(src, group_of(target), hex("8700 0000 00000000") + ip(target) + options);
  }
  static Octets detect(std::string_view target) { return solicit("::", target, {}); }
  static std::string group_of(std::string_view target) {
    const Octets octets = ip(target);
    char text[32];
    std::snprintf(text, sizeof text, "ff02::1:ff%02x:%02x%02x", octets[13], octets[14], octets[15]);
    return text;
  }
  static Octets solicit_router(std::string_view src, const Octets& options) {
    return frame_of(src, "ff02::2", hex("8500 0000 00000000") + options);
  }
};

TEST_F(NeighbourTest, TheGatewayIsAnsweredAsARouter) {
  for (const char* target : {kGateway6, kGatewayLinkLocal}) {
    const Octets reply = ask(solicit(kVm6, target));
    EXPECT_EQ(outcome, Outcome::kNeighbour);
    EXPECT_EQ(part(reply, 0, 6), to_hex(mac(kVmMac)));
    EXPECT_EQ(part(reply, 21, 1), "ff") << "hop limit";
    EXPECT_EQ(part(reply, 22, 32), to_hex(ip(target) + ip(kVm6)));
    EXPECT_EQ(part(reply, 54, 2), "8800");
    EXPECT_EQ(part(reply, 58, 4), "e0000000") << "router, solicited, override";
    EXPECT_EQ(part(reply, 62, 24), to_hex(ip(target) + hex("0201") + mac(kGatewayMac)));
  }
}

TEST_F(NeighbourTest, OthersAreProxiedWithoutOverride) {
  for (const char* target : {"2001:db8:1::6", "2001:db8:77::1"}) {
    const Octets reply = ask(solicit(kVmLinkLocal, target));
    EXPECT_EQ(part(reply, 22, 32), to_hex(ip(kGatewayLinkLocal) + ip(kVmLinkLocal)));
    EXPECT_EQ(part(reply, 58, 4), "40000000") << "solicited";
    EXPECT_EQ(part(reply, 62, 16), to_hex(ip(target)));
  }
}

TEST_F(NeighbourTest, DetectionOfOwnAddressesIsLeftAlone) {
  for (const char* target : {kVm6, kVmLinkLocal, "fe80::1234:5678:9abc:def0"}) {
    EXPECT_TRUE(ask(detect(target)).empty());
    EXPECT_EQ(outcome, Outcome::kOwnAddress) << target;
  }
}

TEST_F(NeighbourTest, DetectionOfOtherAddressesMeetsAConflictAtAllNodes) {
  for (const char* target : {kGateway6, kGatewayLinkLocal, "2001:db8:1::9"}) {
    const Octets reply = ask(detect(target));
    EXPECT_EQ(part(reply, 0, 6), "333300000001") << target;
    EXPECT_EQ(part(reply, 38, 16), to_hex(ip("ff02::1")));
    EXPECT_EQ(part(reply, 58, 1), std::string(target) == "2001:db8:1::9" ? "00" : "a0") << "not solicited";
  }
}

TEST_F(NeighbourTest, ForeignSourcesAreSpoofs) {
  for (const char* src : {"2001:db8:1::9", kGateway6, kGatewayLinkLocal}) {
    EXPECT_TRUE(ask(solicit(src, kGateway6)).empty());
    EXPECT_EQ(outcome, Outcome::kSpoofed) << src;
  }
  EXPECT_TRUE(ask(solicit(kVm6, kGateway6, source_option("02:00:00:00:01:06"))).empty());
  EXPECT_EQ(outcome, Outcome::kSpoofed);
}

TEST_F(NeighbourTest, WhatRfc4861SaysToDiscardIsMalformed) {
  const Octets good = hex("8700 0000 00000000") + ip(kGateway6);
  const std::string group = group_of(kGateway6);
  const struct {
    const char* what;
    Octets frame;
  } cases[] = {
      {"hop limit", frame_of(kVm6, group, good, 254)},
      {"code", frame_of(kVm6, group, hex("8701 0000 00000000") + ip(kGateway6))},
      {"target is a group", frame_of(kVm6, group, hex("8700 0000 00000000") + ip("ff02::1"))},
      {"cut short", frame_of(kVm6, group, Octets(good.begin(), good.end() - 1))},
      {"option of length 0", frame_of(kVm6, group, good + hex("0100 020000000105"))},
      {"option cut short", frame_of(kVm6, group, good + hex("0102 020000000105"))},
      {"detection with a source option", solicit("::", kGateway6)},
      {"detection to a unicast address", frame_of("::", kGateway6, good)},
      {"router solicitation from :: with a source option", solicit_router("::", source_option())},
  };
  for (const auto& wrong : cases) {
    EXPECT_TRUE(ask(wrong.frame).empty());
    EXPECT_EQ(outcome, Outcome::kMalformed) << wrong.what;
  }
  Octets bad_sum = solicit(kVm6, kGateway6);
  bad_sum[56] ^= 1;
  EXPECT_TRUE(ask(bad_sum).empty());
  EXPECT_EQ(outcome, Outcome::kMalformed);
}

TEST_F(NeighbourTest, OptionsOfOthersAreSkipped) {
  EXPECT_FALSE(ask(solicit(kVm6, kGateway6, hex("0e01 010203040506") + source_option())).empty());
}

TEST_F(NeighbourTest, TheRouterAdvertisementIsThatOfAnL3Vpc) {
  const Octets reply = ask(solicit_router(kVmLinkLocal, source_option()));
  EXPECT_EQ(outcome, Outcome::kRouter);
  EXPECT_EQ(part(reply, 0, 6), to_hex(mac(kVmMac)));
  EXPECT_EQ(part(reply, 22, 32), to_hex(ip(kGatewayLinkLocal) + ip(kVmLinkLocal)));
  const Octets wanted = hex("40 c0 0708 00000000 00000000"              // hop limit 64, M and O, 1800 s
                            "0101 0200000000fe"                         // the gateway's MAC
                            "0501 0000 000005aa"                        // MTU 1450
                            "0304 40 00 00001c20 00001c20 00000000") +  // neither L nor A
                        ip("2001:db8:1::") +                            //
                        hex("1802 30 00 00000708 20010db800020000") +   // route, /48
                        hex("1903 0000 00000708") +
                        ip("2001:db8:1::2") +  // DNS
                        hex("1f03 0000 00000708 04626c7565 076578616d706c65 00 0000");
  EXPECT_EQ(part(reply, 58, reply.size() - 58), to_hex(wanted));
}

TEST_F(NeighbourTest, ANamelessHostIsAnsweredAtAllNodes) {
  const Octets reply = ask(solicit_router("::", {}));
  EXPECT_EQ(part(reply, 0, 6), "333300000001");
  EXPECT_EQ(part(reply, 38, 16), to_hex(ip("ff02::1")));
}

TEST_F(NeighbourTest, AdvertisementsOfForeignThingsAreSpoofs) {
  const auto advertise = [&](std::string_view src, std::string_view target) {
    return frame_of(src, "ff02::1", hex("8800 0000 20000000") + ip(target) + hex("0201") + mac(kVmMac));
  };
  EXPECT_TRUE(ask(advertise(kVm6, kVm6)).empty());
  EXPECT_EQ(outcome, Outcome::kOwnAddress);
  for (const Octets& frame :
       {advertise(kVm6, kGateway6), advertise(kVm6, kGatewayLinkLocal), advertise("2001:db8:1::9", kVm6),
        frame_of(kVmLinkLocal, "ff02::1", hex("8600 0000 40000708 00000000 00000000")),
        frame_of(kVmLinkLocal, kVm6, hex("8900 0000 00000000") + ip(kGateway6) + ip(kVm6))}) {
    EXPECT_TRUE(ask(frame).empty());
    EXPECT_EQ(outcome, Outcome::kSpoofed);
  }
}

TEST_F(NeighbourTest, UnaskedAdvertisementsComeAtOnceAndEveryTenMinutes) {
  const auto due = [&] {
    const Answer answer = responder.advertise_if_due(vf0, now, buffer);
    return answer.size != 0;
  };
  EXPECT_TRUE(due());
  EXPECT_FALSE(due());
  now += std::chrono::seconds(599);
  EXPECT_FALSE(due());
  now += std::chrono::seconds(1);
  EXPECT_TRUE(due());
  PortAnswers other = make_answers();
  other.mtu_bytes = 1400;
  set(other);
  EXPECT_TRUE(due()) << "the VM is told of the new MTU";
  set(other);
  EXPECT_FALSE(due()) << "nothing has changed";
  EXPECT_EQ(responder.counters(vf0)[Outcome::kRouter], 3U);
}

TEST_F(NeighbourTest, AVmWithIpv4OnlyHasNoRouter) {
  PortAnswers answers = make_answers();
  answers.addresses.pop_back();
  set(answers);
  EXPECT_TRUE(ask(solicit_router(kVmLinkLocal, source_option())).empty());
  EXPECT_EQ(outcome, Outcome::kNotForUs);
  EXPECT_TRUE(ask(detect(kVmLinkLocal)).empty());
  EXPECT_EQ(outcome, Outcome::kOwnAddress);
  EXPECT_EQ(responder.advertise_if_due(vf0, now, buffer).size, 0U);
}

}  // namespace
}  // namespace berth::dataplane::slowpath::test
