#include "tests/unit/slowpath/gateway.h"

namespace berth::dataplane::slowpath::test {
namespace {

class ArpTest : public GatewayTest {
 protected:
  static Octets arp(unsigned operation, std::string_view sender, std::string_view target,
                    std::string_view sender_mac = kVmMac) {
    return eth(kBroadcast, kVmMac, 0x0806,
               hex("0001 0800 0604") + be16(operation) + mac(sender_mac) + ip(sender) + hex("000000000000") +
                   ip(target));
  }
};

TEST_F(ArpTest, TheGatewayIsAnsweredByteForByte) {
  EXPECT_EQ(to_hex(ask(arp(1, kVm, kGateway))),
            to_hex(hex("020000000105 0200000000fe 0806 0001 0800 06 04 0002"
                       "0200000000fe 0a010001 020000000105 0a010005")));
  EXPECT_EQ(outcome, Outcome::kArp);
}

TEST_F(ArpTest, NeighboursAndStrangersAreProxied) {
  for (const char* target : {"10.1.0.6", "10.9.9.9", "169.254.169.254"}) {
    const Octets reply = ask(arp(1, kVm, target));
    EXPECT_EQ(part(reply, 22, 10), to_hex(mac(kGatewayMac) + ip(target))) << target;
  }
}

TEST_F(ArpTest, UnicastRequestsToTheGatewayAreAnswered) {
  Octets request = arp(1, kVm, kGateway);
  const Octets to = mac(kGatewayMac);
  std::copy(to.begin(), to.end(), request.begin());
  EXPECT_FALSE(ask(request).empty());
  request[5] = 0x77;
  EXPECT_TRUE(ask(request).empty());
  EXPECT_EQ(outcome, Outcome::kNotForUs);
}

TEST_F(ArpTest, ProbesAndAnnouncementsOfTheOwnAddressAreSilent) {
  EXPECT_TRUE(ask(arp(1, "0.0.0.0", kVm)).empty());
  EXPECT_EQ(outcome, Outcome::kOwnAddress);
  EXPECT_TRUE(ask(arp(1, kVm, kVm)).empty());
  EXPECT_EQ(outcome, Outcome::kOwnAddress);
  EXPECT_TRUE(ask(arp(2, kVm, kVm)).empty());
  EXPECT_EQ(outcome, Outcome::kOwnAddress);
}

TEST_F(ArpTest, ProbesForOtherAddressesMeetAConflict) {
  EXPECT_FALSE(ask(arp(1, "0.0.0.0", kGateway)).empty());
  EXPECT_FALSE(ask(arp(1, "0.0.0.0", "10.1.0.9")).empty());
}

TEST_F(ArpTest, ForeignSendersAreSpoofs) {
  EXPECT_TRUE(ask(arp(1, "10.1.0.9", kGateway)).empty());
  EXPECT_EQ(outcome, Outcome::kSpoofed);
  EXPECT_TRUE(ask(arp(1, kVm, kGateway, "02:00:00:00:01:06")).empty());
  EXPECT_EQ(outcome, Outcome::kSpoofed);
  EXPECT_TRUE(ask(arp(2, kGateway, "10.1.0.6")).empty());
  EXPECT_EQ(outcome, Outcome::kSpoofed);
}

TEST_F(ArpTest, NoHostHasTheseAddresses) {
  for (const char* target : {"0.0.0.0", "127.0.0.1", "224.0.0.1", "255.255.255.255", "10.1.0.255"}) {
    EXPECT_TRUE(ask(arp(1, kVm, target)).empty()) << target;
    EXPECT_EQ(outcome, Outcome::kNotForUs) << target;
  }
}

TEST_F(ArpTest, RepliesAndOtherProtocolsAnswerNobody) {
  EXPECT_TRUE(ask(arp(2, kVm, kGateway)).empty());
  EXPECT_EQ(outcome, Outcome::kNotForUs);
  Octets request = arp(1, kVm, kGateway);
  request[15] = 6;  // IEEE 802 hardware
  EXPECT_TRUE(ask(request).empty());
  EXPECT_EQ(outcome, Outcome::kMalformed);
}

TEST_F(ArpTest, EveryTruncationIsMalformed) {
  const Octets request = arp(1, kVm, kGateway);
  for (std::size_t size = 0; size < request.size(); ++size) {
    EXPECT_TRUE(ask(Octets(request.begin(), request.begin() + static_cast<std::ptrdiff_t>(size))).empty());
    EXPECT_EQ(outcome, Outcome::kMalformed) << size;
  }
}

TEST_F(ArpTest, AVmWithIpv6OnlyHasNoArp) {
  PortAnswers answers = make_answers();
  answers.addresses.erase(answers.addresses.begin());
  set(answers);
  EXPECT_TRUE(ask(arp(1, "0.0.0.0", kGateway)).empty());
  EXPECT_EQ(outcome, Outcome::kNotForUs);
}

}  // namespace
}  // namespace berth::dataplane::slowpath::test
