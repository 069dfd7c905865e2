#include "eswitchd/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace berth::eswitchd {
namespace {

using ::testing::HasSubstr;

constexpr const char* kGood = R"(
[holder]
socket = "/run/berth/eswitch.sock"
[underlay]
device = "eth9"
vtep = "192.0.2.1"
[eswitch]
functions = 2
socket_dir = "/run/berth/vhost"
)";

TEST(EswitchdConfig, ReadsWhatIsThere) {
  const auto config = parse_config(kGood, "test.toml");
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->socket, "/run/berth/eswitch.sock");
  EXPECT_EQ(config->underlay.device, "eth9");
  EXPECT_EQ(config->eswitch.functions, 2);
  EXPECT_EQ(config->eswitch.unbacked_functions, 0);
  EXPECT_FALSE(config->eswitch.hugepages);
}

TEST(EswitchdConfig, NamesTheKeyThatIsWrong) {
  const std::string good = kGood;
  for (const auto& [text, key] : std::vector<std::pair<std::string, std::string>>{
           {good + "[api]\n", "api"},
           {good + "hugepages = 3\n", "eswitch.hugepages"},
           {good + "unbacked_functions = 10241\n", "eswitch.unbacked_functions"},
           {good + "[log]\nlevel = \"loud\"\n", "log.level"},
           {"[holder]\n" + good.substr(good.find("[underlay]")), "holder.socket"}}) {
    const auto config = parse_config(text, "test.toml");
    ASSERT_FALSE(config) << text;
    EXPECT_THAT(config.error().message, HasSubstr(key));
    EXPECT_EQ(config.error().reason, "BAD_CONFIG");
  }
}

}  // namespace
}  // namespace berth::eswitchd
