#include "rpc/net/socket.h"

#include <gtest/gtest.h>

namespace berth::rpc::net {
namespace {

TEST(Endpoint, KnowsHostsAddressesAndPaths) {
  EXPECT_EQ(parse_endpoint("controller:7443")->host, "controller");
  EXPECT_EQ(parse_endpoint("controller:7443")->port, 7443);
  EXPECT_EQ(parse_endpoint("[::1]:0")->host, "::1");
  EXPECT_TRUE(parse_endpoint("unix:/run/x.sock")->is_unix);
  EXPECT_EQ(parse_endpoint("unix:/run/x.sock")->host, "/run/x.sock");
}
TEST(Endpoint, RefusesWhatIsNone) {
  for (const char* bad : {"", "host", "host:", "host:x", "host:70000", ":1", "::1:80", "unix:", "host:1x"}) {
    const auto parsed = parse_endpoint(bad);
    ASSERT_FALSE(parsed) << bad;
    EXPECT_EQ(parsed.error().reason, "BAD_ADDRESS");
  }
}
TEST(Endpoint, AddressesAreShownAsTheyAreWritten) {
  EXPECT_EQ(numeric_address(*parse_endpoint("192.0.2.7:41000"))->str(), "192.0.2.7:41000");
  EXPECT_EQ(numeric_address(*parse_endpoint("[2001:db8::7]:41000"))->str(), "[2001:db8::7]:41000");
  EXPECT_EQ(numeric_address(*parse_endpoint("unix:/x"))->str(), "unix");
  EXPECT_FALSE(numeric_address(*parse_endpoint("localhost:1")));
}
TEST(Listen, ABusyPortIsNamed) {
  const auto first = listen_on(*parse_endpoint("127.0.0.1:0"));
  ASSERT_TRUE(first);
  const auto port = local_address(first->get()).port();
  const auto second = listen_on({.host = "127.0.0.1", .port = port});
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().reason, "ADDRESS_IN_USE");
}

}  // namespace
}  // namespace berth::rpc::net
