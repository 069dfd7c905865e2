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

TEST(EswitchdConfig, TheEswitchMayBeANics) {
  const std::string good = kGood;
  const auto with_pci = good.substr(0, good.find("socket_dir")) + "pci = \"0000:3b:00.0\"\n";
  const auto config = parse_config(with_pci + "steering = \"hws\"\n", "test.toml");
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->eswitch.pci->str(), "0000:3b:00.0");
  EXPECT_TRUE(config->eswitch.hugepages) << "a NIC's driver needs them";
  EXPECT_EQ(config->eswitch.steering, "hws");
  EXPECT_THAT(parse_config(good + "pci = \"0000:3b:00.0\"\n", "test.toml").error().message,
              HasSubstr("eswitch.socket_dir"));
}

TEST(EswitchdConfig, TheExamplesAreGood) {
  for (const char* name : {"berth-eswitchd.toml", "berth-eswitchd-connectx.toml"}) {
    const auto config = load_config(std::filesystem::path(BERTH_EXAMPLES) / name);
    EXPECT_TRUE(config) << config.error().message;
  }
}

}  // namespace
}  // namespace berth::eswitchd
