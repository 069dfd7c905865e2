#include "tests/unit/slowpath/gateway.h"

#include <map>

namespace berth::dataplane::slowpath::test {
namespace {

constexpr unsigned kOffer = 2;
constexpr unsigned kAck = 5;
constexpr unsigned kNak = 6;

class Dhcpv4Test : public GatewayTest {
 protected:
  struct Fields {
    std::string ciaddr = "0.0.0.0";
    std::string giaddr = "0.0.0.0";
    std::string chaddr = kVmMac;
    unsigned flags = 0;
    unsigned op = 1;
    std::string src = "0.0.0.0";
    std::string dst = "255.255.255.255";
    unsigned src_port = 68;
  };
  static Octets message(const Octets& options, const Fields& fields) {
    return Octets{static_cast<std::uint8_t>(fields.op)} + hex("010600 deadbeef 0007") + be16(fields.flags) +
           ip(fields.ciaddr) + ip("0.0.0.0") + ip("0.0.0.0") + ip(fields.giaddr) + mac(fields.chaddr) +
           Octets(10 + 64 + 128) + hex("63825363") + options;
  }
  static Octets frame_of(const Octets& options, const Fields& fields) {
    return eth(kBroadcast, kVmMac, 0x0800,
               ipv4(fields.src, fields.dst, 17,
                    udp(fields.src, fields.dst, fields.src_port, 67, message(options, fields)), 0));
  }
  Octets send(const Octets& options, const Fields& fields) { return ask(frame_of(options, fields)); }
  Octets send(const Octets& options) { return send(options, Fields{}); }

  static std::map<unsigned, std::string> options_of(const Octets& reply) {
    std::map<unsigned, std::string> options;
    for (std::size_t at = 14 + 20 + 8 + 240; at < reply.size() && reply[at] != 255; at += 2U + reply[at + 1])
      options[reply[at]] = part(reply, at + 2, reply[at + 1]);
    return options;
  }
  static unsigned type_of(const Octets& reply) {
    const auto type = options_of(reply)[53];
    return type.empty() ? 0U : static_cast<unsigned>(std::stoul(type, nullptr, 16));
  }
};

const Octets kDiscoverOption = hex("350101");
const Octets kRequestOption = hex("350103");
const Octets kOwnIpOption = hex("3204 0a010005");
const Octets kServerOption = hex("3604 0a010001");

TEST_F(Dhcpv4Test, DiscoverIsOfferedTheAddress) {
  const Octets reply = send(kDiscoverOption + hex("3d07 01 020000000105 ff"));
  EXPECT_EQ(outcome, Outcome::kDhcpv4);
  EXPECT_EQ(part(reply, 0, 6), to_hex(mac(kVmMac)));
  EXPECT_EQ(part(reply, 26, 8), to_hex(ip(kGateway) + ip(kVm)));
  EXPECT_EQ(part(reply, 34, 4), "00430044");
  EXPECT_EQ(part(reply, 42, 8), "02010600deadbeef");
  EXPECT_EQ(part(reply, 54, 16), to_hex(ip("0.0.0.0") + ip(kVm) + ip("0.0.0.0") + ip("0.0.0.0")));
  EXPECT_EQ(part(reply, 70, 16), to_hex(mac(kVmMac) + Octets(10)));
  EXPECT_EQ(options_of(reply), (std::map<unsigned, std::string>{{53, "02"},
                                                                {54, "0a010001"},
                                                                {61, "01020000000105"},
                                                                {51, "00001c20"},
                                                                {58, "00000e10"},
                                                                {59, "0000189c"},
                                                                {1, "ffffff00"},
                                                                {3, "0a010001"},
                                                                {6, "0a0100020a010003"},
                                                                {26, "05aa"},
                                                                {121, "100a020a010001000a010001"},
                                                                {15, "626c75652e6578616d706c65"},
                                                                {12, "776562"}}));
}

TEST_F(Dhcpv4Test, RapidCommitSparesTheRequest) {
  const Octets reply = send(kDiscoverOption + hex("5000"));
  EXPECT_EQ(type_of(reply), kAck);
  EXPECT_TRUE(options_of(reply).contains(80));
}

TEST_F(Dhcpv4Test, RequestsInEveryClientStateAreAcknowledged) {
  EXPECT_EQ(type_of(send(kRequestOption + kOwnIpOption + kServerOption)), kAck) << "selecting";
  EXPECT_EQ(type_of(send(kRequestOption + kOwnIpOption)), kAck) << "init-reboot";
  const Octets renewed = send(kRequestOption, {.ciaddr = kVm, .src = kVm, .dst = kGateway});
  EXPECT_EQ(type_of(renewed), kAck) << "renewing";
  EXPECT_EQ(part(renewed, 54, 8), to_hex(ip(kVm) + ip(kVm)));
  EXPECT_EQ(type_of(send(kRequestOption, {.ciaddr = kVm, .flags = 0x8000, .src = kVm})), kAck) << "rebinding";
}

TEST_F(Dhcpv4Test, RequestsForOtherAddressesAreRefusedToEverybody) {
  for (const auto& [options, fields] :
       {std::pair(kRequestOption + hex("3204 0a010009") + kServerOption, Fields{}),
        std::pair(kRequestOption + hex("3204 0a010009"), Fields{}),
        std::pair(kRequestOption, Fields{.ciaddr = "10.9.0.5", .src = "10.9.0.5"})}) {
    const Octets reply = send(options, fields);
    EXPECT_EQ(outcome, Outcome::kDhcpv4Refused);
    EXPECT_EQ(type_of(reply), kNak);
    EXPECT_EQ(part(reply, 0, 6), "ffffffffffff");
    EXPECT_EQ(part(reply, 30, 4), "ffffffff");
    EXPECT_EQ(part(reply, 54, 8), "0000000000000000") << "no address";
    EXPECT_FALSE(options_of(reply).contains(51));
  }
}

TEST_F(Dhcpv4Test, RequestsToAnotherServerAreItsBusiness) {
  EXPECT_TRUE(send(kRequestOption + kOwnIpOption + hex("3604 0a010063")).empty());
  EXPECT_EQ(outcome, Outcome::kOtherServer);
}

TEST_F(Dhcpv4Test, TheBroadcastFlagIsHonoured) {
  const Octets reply = send(kDiscoverOption, {.flags = 0x8000});
  EXPECT_EQ(type_of(reply), kOffer);
  EXPECT_EQ(part(reply, 0, 6), "ffffffffffff");
  EXPECT_EQ(part(reply, 30, 4), "ffffffff");
  EXPECT_EQ(part(reply, 52, 2), "8000");
}

TEST_F(Dhcpv4Test, InformGetsParametersOnly) {
  const Octets reply = send(hex("350108"), {.ciaddr = kVm, .src = kVm});
  EXPECT_EQ(type_of(reply), kAck);
  EXPECT_EQ(part(reply, 58, 4), "00000000");
  EXPECT_FALSE(options_of(reply).contains(51));
  EXPECT_EQ(options_of(reply)[26], "05aa");
}

TEST_F(Dhcpv4Test, ReleaseAndDeclineAreCounted) {
  EXPECT_TRUE(send(hex("350107") + kServerOption, {.ciaddr = kVm, .src = kVm, .dst = kGateway}).empty());
  EXPECT_EQ(outcome, Outcome::kDhcpRelease);
  EXPECT_TRUE(send(hex("350104") + kServerOption + kOwnIpOption).empty());
  EXPECT_EQ(outcome, Outcome::kDhcpDecline);
}

TEST_F(Dhcpv4Test, OptionsThatDoNotFitAreLeftOutFromTheEnd) {
  PortAnswers answers = make_answers();
  answers.domain = std::string(60, 'a') + "." + std::string(60, 'b') + "." + std::string(60, 'c');
  for (unsigned i = 3; answers.routes.size() < 2 + kMaxRoutes - 1; ++i)
    answers.routes.push_back({IpPrefix::host(IpAddress::v4(0x0A000000U + i))});
  set(answers);
  const Octets small = send(kDiscoverOption);
  EXPECT_LE(small.size(), 14U + 576U);
  EXPECT_FALSE(options_of(small).contains(15));
  EXPECT_EQ(options_of(small)[121].size(), 2U * (7 + 9 * (kMaxRoutes - 1) + 5));
  EXPECT_EQ(options_of(small)[12], "776562") << "a smaller one still fits";
  const Octets large = send(kDiscoverOption + hex("3902 05dc"));
  EXPECT_EQ(options_of(large)[15].size(), 2 * answers.domain.size());
}

TEST_F(Dhcpv4Test, WithoutRoutesTheRouterOptionSuffices) {
  PortAnswers answers = make_answers();
  answers.routes.clear();
  set(answers);
  EXPECT_FALSE(options_of(send(kDiscoverOption)).contains(121));
}

TEST_F(Dhcpv4Test, SpoofsAreSilent) {
  const struct {
    const char* what;
    Octets frame;
  } cases[] = {
      {"chaddr", frame_of(kDiscoverOption, {.chaddr = "02:00:00:00:01:06"})},
      {"source address", frame_of(kDiscoverOption, {.src = "10.1.0.9"})},
      {"a reply", frame_of(hex("350102"), {.op = 2})},
      {"an offer in a request", frame_of(hex("350102"), {})},
      {"a server's port", frame_of(kDiscoverOption, {.src_port = 67})},
      {"inform for another", frame_of(hex("350108"), {.ciaddr = "10.1.0.9"})},
  };
  for (const auto& wrong : cases) {
    EXPECT_TRUE(ask(wrong.frame).empty());
    EXPECT_EQ(outcome, Outcome::kSpoofed) << wrong.what;
  }
}

TEST_F(Dhcpv4Test, RelayedOverloadedAndFragmentedMessagesAreUnsupported) {
  EXPECT_TRUE(send(kDiscoverOption, {.giaddr = "10.1.0.9"}).empty());
  EXPECT_EQ(outcome, Outcome::kUnsupported);
  EXPECT_TRUE(send(kDiscoverOption + hex("340103")).empty());
  EXPECT_EQ(outcome, Outcome::kUnsupported);
  EXPECT_TRUE(send(hex("35010a")).empty()) << "lease query";
  EXPECT_EQ(outcome, Outcome::kUnsupported);
  const Octets datagram = udp("0.0.0.0", "255.255.255.255", 68, 67, message(kDiscoverOption, {}));
  EXPECT_TRUE(
      ask(eth(kBroadcast, kVmMac, 0x0800, ipv4("0.0.0.0", "255.255.255.255", 17, datagram, 0x2000))).empty());
  EXPECT_EQ(outcome, Outcome::kUnsupported);
}

TEST_F(Dhcpv4Test, MalformedOnesAreSilent) {
  for (const char* options : {"", "ff", "3501", "350201 01", "350103 350101", "350103", "350103 3203 0a0100",
                              "350101 3d01 01", "350101 3902 05", "350101 5001 00"}) {
    EXPECT_TRUE(send(hex(options)).empty()) << options;
    EXPECT_EQ(outcome, Outcome::kMalformed) << options;
  }
  Octets bad_sum = frame_of(kDiscoverOption, {});
  bad_sum[60] ^= 1;
  EXPECT_TRUE(ask(bad_sum).empty());
  EXPECT_EQ(outcome, Outcome::kMalformed);
  const Octets good = frame_of(kDiscoverOption, {});
  for (std::size_t size = 14; size + 1 < good.size(); ++size) {
    EXPECT_TRUE(ask(Octets(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(size))).empty()) << size;
    EXPECT_EQ(outcome, Outcome::kMalformed) << size;
  }
}

TEST_F(Dhcpv4Test, AMissingUdpChecksumIsAllowed) {
  Octets frame = frame_of(kDiscoverOption, {});
  frame[40] = frame[41] = 0;
  EXPECT_EQ(type_of(ask(frame)), kOffer);
}

}  // namespace
}  // namespace berth::dataplane::slowpath::test
