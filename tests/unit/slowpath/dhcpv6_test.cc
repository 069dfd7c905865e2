#include "tests/unit/slowpath/gateway.h"

namespace berth::dataplane::slowpath::test {
namespace {

constexpr const char* kAllServers = "ff02::1:2";
const Octets kClient = hex("0001 000a 0003 0001 020000000105");
const Octets kServer = hex("0002 000a 0003 0001 0200000000fe");
const Octets kIa = hex("0003 000c 0000002a 00000000 00000000");
const Octets kParameters =
    hex("0017 0010 20010db8000100000000000000000002"
        "0018 000e 04626c7565 076578616d706c65 00");

Octets ia_address(std::string_view address, unsigned lifetime) {
  return hex("0005 0018") + ip(address) + be32(lifetime) + be32(lifetime);
}
Octets ia_with(const Octets& options, unsigned t1 = 0, unsigned t2 = 0) {
  return hex("0003") + be16(static_cast<unsigned>(12 + options.size())) + hex("0000002a") + be32(t1) +
         be32(t2) + options;
}
// The association as the server fills it in.
const Octets kFilledIa = ia_with(ia_address(kVm6, 7200), 3600, 5760);
const Octets kTransaction = hex("c0ffee");

class Dhcpv6Test : public GatewayTest {
 protected:
  static Octets frame_of(const Octets& message, std::string_view src = kVmLinkLocal,
                         std::string_view dst = kAllServers, unsigned src_port = 546) {
    return eth("33:33:00:01:00:02", kVmMac, 0x86DD,
               ipv6(src, dst, 17, udp(src, dst, src_port, 547, message), 1));
  }
  // The reply's DHCP message as hex.
  std::string send(unsigned type, const Octets& options) {
    const Octets reply = ask(frame_of(Octets{static_cast<std::uint8_t>(type)} + kTransaction + options));
    if (reply.empty()) return "";
    EXPECT_EQ(part(reply, 0, 6), to_hex(mac(kVmMac)));
    EXPECT_EQ(part(reply, 22, 32), to_hex(ip(kGatewayLinkLocal) + ip(kVmLinkLocal)));
    EXPECT_EQ(part(reply, 54, 4), "02230222");
    return part(reply, 62, reply.size() - 62);
  }
  static std::string reply_of(unsigned type, const Octets& options) {
    return to_hex(Octets{static_cast<std::uint8_t>(type)} + kTransaction + kServer + kClient + options);
  }
};

TEST_F(Dhcpv6Test, SolicitIsAdvertisedTheAddress) {
  EXPECT_EQ(send(1, kClient + kIa), reply_of(2, hex("0007 0001 ff") + kFilledIa + kParameters));
  EXPECT_EQ(outcome, Outcome::kDhcpv6);
}

TEST_F(Dhcpv6Test, RapidCommitSparesTheRequest) {
  EXPECT_EQ(send(1, kClient + hex("000e 0000") + kIa),
            reply_of(7, hex("000e 0000") + kFilledIa + kParameters));
}

TEST_F(Dhcpv6Test, RequestRenewAndRebindGetTheAddress) {
  EXPECT_EQ(send(3, kClient + kServer + kIa), reply_of(7, kFilledIa + kParameters));
  EXPECT_EQ(send(5, kClient + kServer + ia_with(ia_address(kVm6, 0))), reply_of(7, kFilledIa + kParameters));
  EXPECT_EQ(send(6, kClient + kIa), reply_of(7, kFilledIa + kParameters));
}

TEST_F(Dhcpv6Test, RenewOfAnotherAddressEndsIt) {
  const Octets filled = ia_with(ia_address(kVm6, 7200) + ia_address("2001:db8:1::9", 0), 3600, 5760);
  EXPECT_EQ(send(5, kClient + kServer + ia_with(ia_address("2001:db8:1::9", 77))),
            reply_of(7, filled + kParameters));
}

TEST_F(Dhcpv6Test, PrefixesTemporaryAndSecondAddressesAreNotToBeHad) {
  const Octets prefix = hex("0019 000c 00000001 00000000 00000000");
  const Octets temporary = hex("0004 0004 00000002");
  const Octets second = hex("0003 000c 0000002b 00000000 00000000");
  EXPECT_EQ(
      send(1, kClient + prefix + temporary + kIa + second),
      reply_of(2, hex("0007 0001 ff"
                      "0019 0012 00000001 00000000 00000000 000d 0002 0006"
                      "0004 000a 00000002 000d 0002 0002") +
                      kFilledIa + hex("0003 0012 0000002b 00000000 00000000 000d 0002 0002") + kParameters));
}

TEST_F(Dhcpv6Test, ConfirmTellsWhetherTheAddressIsRight) {
  EXPECT_EQ(send(4, kClient + ia_with(ia_address(kVm6, 0))), reply_of(7, hex("000d 0002 0000")));
  EXPECT_EQ(send(4, kClient + ia_with(ia_address("2001:db8:9::5", 0))), reply_of(7, hex("000d 0002 0004")));
  EXPECT_EQ(send(4, kClient + kIa), "") << "confirms nothing";
  EXPECT_EQ(outcome, Outcome::kMalformed);
}

TEST_F(Dhcpv6Test, ReleaseAndDeclineSucceed) {
  for (const unsigned type : {8U, 9U}) {
    EXPECT_EQ(send(type, kClient + kServer + ia_with(ia_address(kVm6, 0))),
              reply_of(7, hex("000d 0002 0000")));
  }
}

TEST_F(Dhcpv6Test, InformationIsForEverybody) {
  EXPECT_EQ(send(11, kClient), reply_of(7, kParameters));
  EXPECT_EQ(send(11, {}), to_hex(hex("07") + kTransaction + kServer + kParameters)) << "no client id";
  EXPECT_EQ(send(11, kClient + kIa), "");
  EXPECT_EQ(outcome, Outcome::kMalformed);
}

TEST_F(Dhcpv6Test, IdentifiersAreCheckedAsSection16Says) {
  const Octets other = hex("0002 000a 0003 0001 020000000099");
  const struct {
    const char* what;
    unsigned type;
    Octets options;
    Outcome outcome;
  } cases[] = {
      {"solicit without client", 1, kIa, Outcome::kMalformed},
      {"solicit with server", 1, kClient + kServer + kIa, Outcome::kMalformed},
      {"request without server", 3, kClient + kIa, Outcome::kMalformed},
      {"request to another", 3, kClient + other + kIa, Outcome::kOtherServer},
      {"renew with another", 5, kClient + other + kIa, Outcome::kOtherServer},
      {"rebind with server", 6, kClient + kServer + kIa, Outcome::kMalformed},
      {"information from another", 11, kClient + other, Outcome::kOtherServer},
      {"two clients", 1, kClient + kClient + kIa, Outcome::kMalformed},
      {"a DUID of two bytes", 1, hex("0001 0002 0003") + kIa, Outcome::kMalformed},
      {"a DUID of 131 bytes", 1, hex("0001 0083") + Octets(131) + kIa, Outcome::kMalformed},
      {"an option cut short", 1, kClient + hex("0003 000c 0000002a"), Outcome::kMalformed},
      {"an association cut short", 1, kClient + hex("0003 0004 0000002a"), Outcome::kMalformed},
      {"an address cut short", 1, kClient + ia_with(hex("0005 0010") + ip(kVm6)), Outcome::kMalformed},
      {"nine associations", 1, kClient + kIa + kIa + kIa + kIa + kIa + kIa + kIa + kIa + kIa,
       Outcome::kMalformed},
      {"five addresses", 1,
       kClient + ia_with(ia_address(kVm6, 0) + ia_address(kVm6, 0) + ia_address(kVm6, 0) +
                         ia_address(kVm6, 0) + ia_address(kVm6, 0)),
       Outcome::kMalformed},
      {"an advertise", 2, kClient + kServer, Outcome::kSpoofed},
      {"a reply", 7, kClient + kServer, Outcome::kSpoofed},
      {"a relayed one", 12, kClient, Outcome::kUnsupported},
      {"a lease query", 14, kClient, Outcome::kUnsupported},
  };
  for (const auto& wrong : cases) {
    EXPECT_EQ(send(wrong.type, wrong.options), "") << wrong.what;
    EXPECT_EQ(outcome, wrong.outcome) << wrong.what;
  }
}

TEST_F(Dhcpv6Test, OnlyMulticastFromTheVmsLinkLocalAddressIsHeard) {
  const Octets solicit = hex("01") + kTransaction + kClient + kIa;
  EXPECT_TRUE(ask(frame_of(solicit, kVmLinkLocal, kGatewayLinkLocal)).empty());
  EXPECT_EQ(outcome, Outcome::kNotForUs);
  for (const char* src : {kVm6, kGatewayLinkLocal, "::"}) {
    EXPECT_TRUE(ask(frame_of(solicit, src)).empty());
    EXPECT_EQ(outcome, Outcome::kSpoofed) << src;
  }
  EXPECT_TRUE(ask(frame_of(solicit, kVmLinkLocal, kAllServers, 547)).empty());
  EXPECT_EQ(outcome, Outcome::kSpoofed) << "a server in the VM";
}

TEST_F(Dhcpv6Test, AUdpChecksumIsNeeded) {
  Octets frame = frame_of(hex("01") + kTransaction + kClient + kIa);
  frame[60] = frame[61] = 0;
  EXPECT_TRUE(ask(frame).empty());
  EXPECT_EQ(outcome, Outcome::kMalformed);
}

}  // namespace
}  // namespace berth::dataplane::slowpath::test
