// Who is answered: rates, tags, configuration, counters.
#include "dataplane/slowpath/dns_name.h"
#include "tests/unit/slowpath/gateway.h"

#include <functional>

namespace berth::dataplane::slowpath::test {
namespace {

Octets arp_request() {
  return eth(kBroadcast, kVmMac, 0x0806,
             hex("0001 0800 0604 0001") + mac(kVmMac) + ip(kVm) + Octets(6) + ip(kGateway));
}

class ResponderTest : public GatewayTest {
 protected:
  ResponderTest() : GatewayTest(ResponderLimits{}) {}
};

TEST_F(ResponderTest, AHundredAtOnceAndAHundredASecond) {
  for (int i = 0; i < 100; ++i) ASSERT_FALSE(ask(arp_request()).empty()) << i;
  EXPECT_TRUE(ask(arp_request()).empty());
  EXPECT_EQ(outcome, Outcome::kRateLimited);
  now += std::chrono::milliseconds(10);
  EXPECT_FALSE(ask(arp_request()).empty());
  EXPECT_TRUE(ask(arp_request()).empty());
  now += std::chrono::hours(100'000);
  for (int i = 0; i < 100; ++i) ASSERT_FALSE(ask(arp_request()).empty()) << "the burst does not grow";
  EXPECT_TRUE(ask(arp_request()).empty());
}

TEST_F(ResponderTest, ErrorsHaveARateOfTheirOwn) {
  const Octets big = eth(kGatewayMac, kVmMac, 0x0800, ipv4(kVm, "10.1.0.6", 6, Octets(1431)));
  for (int i = 0; i < 100; ++i) ASSERT_FALSE(too_big(big).empty());
  EXPECT_TRUE(too_big(big).empty());
  EXPECT_EQ(outcome, Outcome::kRateLimited);
  EXPECT_FALSE(ask(arp_request()).empty());
}

TEST_F(ResponderTest, TaggedAndForeignFramesAreSilent) {
  Octets tagged = arp_request();
  const Octets tag = hex("8100 0007");
  tagged.insert(tagged.begin() + 12, tag.begin(), tag.end());
  EXPECT_TRUE(ask(tagged).empty());
  EXPECT_EQ(outcome, Outcome::kVlanTagged);
  Octets foreign = arp_request();
  foreign[11] = 0x06;
  EXPECT_TRUE(ask(foreign).empty());
  EXPECT_EQ(outcome, Outcome::kSpoofed);
  EXPECT_TRUE(ask(eth(kGatewayMac, kVmMac, 0x88CC, Octets(46))).empty());
  EXPECT_EQ(outcome, Outcome::kNotForUs);
}

TEST_F(ResponderTest, APortWithoutAnswersIsSilentAndStartsAnew) {
  EXPECT_FALSE(ask(arp_request()).empty());
  ASSERT_TRUE(responder.set_answers(vf0, std::nullopt, now));
  EXPECT_EQ(responder.answers(vf0), std::nullopt);
  EXPECT_TRUE(ask(arp_request()).empty());
  EXPECT_EQ(outcome, Outcome::kNoAnswers);
  set(make_answers());
  EXPECT_EQ(responder.answers(vf0), make_answers());
  EXPECT_EQ(responder.counters(vf0), Counters{}) << "another VM's";
}

TEST_F(ResponderTest, CountersOutliveAChangeOfAnswers) {
  EXPECT_FALSE(ask(arp_request()).empty());
  PortAnswers other = make_answers();
  other.mtu_bytes = 1400;
  set(other);
  EXPECT_EQ(responder.counters(vf0)[Outcome::kArp], 1U);
}

TEST_F(ResponderTest, UnknownPortsAreSilent) {
  const Octets frame = arp_request();
  EXPECT_EQ(responder.answer(EswitchPort::function(7), frame, now, buffer),
            Answer::silent(Outcome::kNoAnswers));
  EXPECT_EQ(responder.counters(EswitchPort::function(7)), Counters{});
  EXPECT_EQ(responder.set_answers(EswitchPort::function(7), std::nullopt, now).error().reason,
            "PORT_UNKNOWN");
}

struct Fault {
  std::function<void(PortAnswers&)> spoil;
  std::string reason;
};

TEST_F(ResponderTest, AnswersThatNoGatewayCanGiveAreRefused) {
  const auto address = [](std::string_view text) { return IpAddress::parse("ip", text).value(); };
  const Fault faults[] = {
      {[](auto& a) { a.vm_mac = {}; }, "MAC_UNUSABLE"},
      {[](auto& a) { a.gateway_mac.bytes[0] = 1; }, "MAC_UNUSABLE"},
      {[](auto& a) { a.vm_mac = a.gateway_mac; }, "MAC_UNUSABLE"},
      {[](auto& a) { a.addresses.clear(); }, "ADDRESS_MISSING"},
      {[](auto& a) { a.addresses.push_back(a.addresses[0]); }, "ADDRESS_AMBIGUOUS"},
      {[&](auto& a) { a.addresses[0].ip = address("10.2.0.5"); }, "ADDRESS_OUTSIDE_SUBNET"},
      {[&](auto& a) { a.addresses[0].gateway = address("10.2.0.1"); }, "ADDRESS_OUTSIDE_SUBNET"},
      {[&](auto& a) { a.addresses[0].ip = address(kVm6); }, "ADDRESS_OUTSIDE_SUBNET"},
      {[&](auto& a) { a.addresses[1].ip = address("ff02::5"); }, "ADDRESS_UNUSABLE"},
      {[&](auto& a) { a.addresses[1].ip = address("fe80::5"); }, "ADDRESS_UNUSABLE"},
      {[](auto& a) { a.addresses[0].ip = a.addresses[0].gateway; }, "ADDRESS_UNUSABLE"},
      {[](auto& a) { a.mtu_bytes = 1279; }, "MTU_OUT_OF_RANGE"},
      {[](auto& a) { a.mtu_bytes = 9217; }, "MTU_OUT_OF_RANGE"},
      {[&](auto& a) { a.dns_servers.assign(5, address("10.1.0.2")); }, "TOO_MANY_DNS_SERVERS"},
      {[&](auto& a) { a.routes.assign(17, {IpPrefix()}); }, "TOO_MANY_ROUTES"},
      {[](auto& a) { a.domain = "a..b"; }, "DOMAIN_MALFORMED"},
      {[](auto& a) { a.hostname = "a b"; }, "HOSTNAME_MALFORMED"},
      {[](auto& a) { a.lease = std::chrono::seconds(59); }, "LEASE_OUT_OF_RANGE"},
      {[](auto& a) { a.lease = std::chrono::hours(24 * 366); }, "LEASE_OUT_OF_RANGE"},
  };
  for (const Fault& fault : faults) {
    PortAnswers wrong = make_answers();
    fault.spoil(wrong);
    const auto refused = responder.set_answers(vf0, wrong, now);
    ASSERT_FALSE(refused) << fault.reason;
    EXPECT_EQ(refused.error().reason, fault.reason);
    EXPECT_EQ(responder.answers(vf0), make_answers());
  }
}

TEST(DnsName, LabelsAndLengthsAreBounded) {
  EXPECT_TRUE(is_dns_name("a"));
  EXPECT_TRUE(is_dns_name("_dmarc.a-b.example"));
  EXPECT_TRUE(is_dns_name(std::string(63, 'a')));
  const std::string long_label(60, 'a');
  const std::string just_right =
      long_label + "." + long_label + "." + long_label + "." + long_label + ".abcdefghi";
  ASSERT_EQ(just_right.size(), 253U);
  EXPECT_TRUE(is_dns_name(just_right));
  for (const std::string& name :
       {std::string(), std::string("."), std::string("a."), std::string(".a"), std::string("-a"),
        std::string("a-"), std::string("a..b"), std::string("ä"), std::string(64, 'a'), just_right + "j"}) {
    EXPECT_FALSE(is_dns_name(name)) << name;
  }
}

TEST(Outcome, EachHasANameOfItsOwn) {
  std::vector<std::string_view> names;
  for (std::size_t i = 0; i < kOutcomeCount; ++i) names.push_back(outcome_name(static_cast<Outcome>(i)));
  std::ranges::sort(names);
  EXPECT_EQ(std::ranges::unique(names).begin(), names.end());
  EXPECT_EQ(std::ranges::count(names, "unknown"), 0);
}

}  // namespace
}  // namespace berth::dataplane::slowpath::test
