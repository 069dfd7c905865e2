#include "agent/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace berth::agent {
namespace {

using ::testing::HasSubstr;

constexpr const char* kGood = R"(
[api]
listen = "127.0.0.1:0"
certificate = "a.crt"
private_key = "a.key"
trusted_ca = "ca.crt"
trust_domain = "berth.test"
[underlay]
device = "eth9"
vtep = "192.0.2.1"
[eswitch]
functions = 2
socket_dir = "/run/berth"
)";

std::string with(std::string text, const std::string& from, const std::string& to) {
  const auto at = text.find(from);
  return at == std::string::npos ? text : text.replace(at, from.size(), to);
}

TEST(Config, ReadsWhatIsThereAndFillsInTheRest) {
  const auto config = parse_config(kGood, "test.toml");
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->eswitch.functions, 2);
  EXPECT_EQ(config->underlay.vtep.str(), "192.0.2.1");
  EXPECT_EQ(config->attach.vpc_wait_ms, 1000U);
}

TEST(Config, NamesTheKeyThatIsWrong) {
  const std::vector<std::tuple<std::string, std::string, std::string>> faults = {
      {"listen =", "lisen =", "api.listen"},
      {"functions = 2", "functions = 16", "eswitch.functions"},
      {"functions = 2", "functions = \"2\"", "eswitch.functions"},
      {"\"192.0.2.1\"", "\"ff02::1\"", "underlay.vtep"},
      {"functions = 2", "funktions = 2", "eswitch.funktions"},
      {"[eswitch]", "[eswich]", "eswich"},
      {"trust_domain = \"berth.test\"", "", "api.trust_domain"},
      {"[eswitch]", "[qemu]\nmonitor = \"/run/{vm}/{vm}\"\n[eswitch]", "qemu.monitor"},
      {"[eswitch]", "[qemu]\nmonitor = \"run/{vm}\"\n[eswitch]", "qemu.monitor"},
      {"[eswitch]", "[qemu]\nunplug_attempts = 0\n[eswitch]", "qemu.unplug_attempts"},
  };
  for (const auto& [from, to, key] : faults) {
    const auto config = parse_config(with(kGood, from, to), "test.toml");
    ASSERT_FALSE(config) << to;
    EXPECT_THAT(config.error().message, HasSubstr(key)) << to;
    EXPECT_EQ(config.error().reason, "BAD_CONFIG");
  }
}

TEST(Config, ARemoteEswitchNeedsItsSocketAndAMemory) {
  const auto remote = [](const std::string& rest) {
    return parse_config(with(kGood, "functions = 2", "kind = \"remote\"\nfunctions = 2") + rest, "test.toml");
  };
  EXPECT_THAT(remote("").error().message, HasSubstr("eswitch.socket"));
  EXPECT_THAT(remote("socket = \"/s\"\n").error().message, HasSubstr("agent.state_dir"));
  const auto config = remote("socket = \"/s\"\n[agent]\nstate_dir = \"/var/lib/berth\"\n");
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->eswitch.socket, "/s");
  EXPECT_EQ(config->agent.state_dir, "/var/lib/berth");
  EXPECT_THAT(remote("socket = \"/s\"\nhugepages = true\n").error().message, HasSubstr("eswitch.hugepages"))
      << "the rule holder's to say";
}

TEST(Config, NotTomlIsAnErrorWithALine) {
  const auto config = parse_config("[api\nx", "test.toml");
  ASSERT_FALSE(config);
  EXPECT_THAT(config.error().message, HasSubstr("test.toml"));
}

}  // namespace
}  // namespace berth::agent
