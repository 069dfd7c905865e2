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
  EXPECT_EQ(config->eswitch.unbacked_functions, 0) << "nobody gets one who has not asked for it";
  EXPECT_EQ(config->agent.audit_interval_s, 30U);
}

TEST(Config, NamesTheKeyThatIsWrong) {
  const std::vector<std::tuple<std::string, std::string, std::string>> faults = {
      {"listen =", "lisen =", "api.listen"},
      {"functions = 2", "functions = 16", "eswitch.functions"},
      {"functions = 2", "functions = \"2\"", "eswitch.functions"},
      {"functions = 2", "unbacked_functions = 10241", "eswitch.unbacked_functions"},
      {"\"192.0.2.1\"", "\"ff02::1\"", "underlay.vtep"},
      {"functions = 2", "funktions = 2", "eswitch.funktions"},
      {"[eswitch]", "[eswich]", "eswich"},
      {"[eswitch]", "[agent]\naudit_interval_s = 86401\n[eswitch]", "agent.audit_interval_s"},
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

// What "vf" needs besides its own section.
std::string with_host(const std::string& host) {
  return std::string(kGood) + "[agent]\nstate_dir = \"/s\"\n[qemu]\nmonitor = \"/m/{vm}\"\n[host]\n" + host;
}

TEST(Config, FunctionsAreVfsOfAPf) {
  const auto config = parse_config(
      with_host("functions = \"vf\"\npfs = [\"0000:3b:00.0\"]\ndevices = [\"0000:02:00.0\"]\n"), "t");
  ASSERT_TRUE(config) << config.error().message;
  ASSERT_EQ(config->host.pfs.size(), 1U);
  EXPECT_EQ(config->host.pfs[0].str(), "0000:3b:00.0");
  EXPECT_EQ(config->host.vfs, 2) << "as many as the eSwitch has functions";
  EXPECT_EQ(config->host.devices.size(), 1U);
}

TEST(Config, FunctionsAreDealtOutAmongPfs) {
  const std::string two = "functions = \"vf\"\npfs = [\"0000:5e:00.0\", \"0000:3b:00.0\"]\n";
  const auto config = parse_config(with_host(two + "vfs = 8\n"), "t");
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->host.vfs, 8) << "of each";
  EXPECT_EQ(vf_pool(*config).place_of(1)->pf.str(), "0000:3b:00.0") << "in the order of the file";
  EXPECT_EQ(parse_config(with_host(two), "t")->host.vfs, 1);
}

TEST(Config, FunctionsComeInSlotsOrFromADpu) {
  const auto slots =
      parse_config(with_host("functions = \"vf\"\nprovider = \"slot\"\n"
                             "slots = [\"0000:00:03.0 3 1af4:1041\", \"0000:00:04.0 - 1AF4:1041\"]\n"),
                   "t");
  ASSERT_TRUE(slots) << slots.error().message;
  EXPECT_EQ(slots->host.slots[0].slot, "3");
  EXPECT_EQ(slots->host.slots[1].slot, "");
  EXPECT_EQ(slots->host.slots[1].vendor_id, 0x1af4);
  const auto dpu = parse_config(
      with_host("functions = \"vf\"\nprovider = \"virtnet\"\nvirtnet = \"/opt/ask-dpu\"\n"), "t");
  ASSERT_TRUE(dpu) << dpu.error().message;
  EXPECT_EQ(dpu->host.virtnet.program, "/opt/ask-dpu");
}

TEST(Config, NamesWhatIsWrongOfTheHost) {
  const std::string vf = "functions = \"vf\"\n";
  const std::string slot = vf + "provider = \"slot\"\n";
  const std::vector<std::pair<std::string, std::string>> faults = {
      {"functions = \"sf\"\n", "host.functions"},
      {vf, "host.pfs"},
      {vf + "pf = \"0000:3b:00.0\"\n", "host.pfs"},
      {vf + "pfs = [\"3b:00.0\"]\n", "host.pfs"},
      {vf + "pfs = [\"0000:3b:00.0\", \"0000:3b:00.0\"]\n", "host.pfs"},
      {vf + "pfs = [\"0000:3b:00.0\", \"0000:3c:00.0\", \"0000:3d:00.0\"]\n", "host.pfs"},
      {vf + "pfs = [\"0000:3b:00.0\"]\nvfs = 1\n", "host.vfs"},
      {vf + "provider = \"magic\"\n", "host.provider"},
      {vf + "provider = \"virtnet\"\nvirtnet = \"virtnet\"\n", "host.virtnet"},
      {vf + "pfs = [\"0000:3b:00.0\"]\nslots = []\n", "host.slots"},
      {slot, "host.slots"},
      {slot + "slots = [\"0000:00:03.0 3 1af4:1041\"]\n", "host.slots"},
      {slot + "slots = [\"0000:00:03.0 ../3 1af4:1041\", \"0000:00:03.0 4 1af4:1041\"]\n", "host.slots"},
      {slot + "slots = [\"0000:00:03.0 3 1af4\", \"0000:00:03.0 4 1af4:1041\"]\n", "host.slots"},
      {"devices = \"0000:02:00.0\"\n", "host.devices"},
      {"devices = [\"02:00.0\"]\n", "host.devices"},
      {"device = []\n", "host.device"}};
  for (const auto& [host, key] : faults) {
    const auto config = parse_config(with_host(host), "test.toml");
    ASSERT_FALSE(config) << host;
    EXPECT_THAT(config.error().message, HasSubstr(key + ":")) << host;
  }
  const auto no_monitor = parse_config(std::string(kGood) + "[host]\ndevices = [\"0000:02:00.0\"]\n", "t");
  EXPECT_THAT(no_monitor.error().message, HasSubstr("qemu.monitor"));
}

// A ConnectX in the place of the software eSwitch.
std::string with_nic(const std::string& host, const std::string& eswitch = "") {
  return with(with_host(host), "socket_dir = \"/run/berth\"\n", "pci = \"0000:3b:00.0\"\n" + eswitch);
}

TEST(Config, ANicsFunctionsAreItsVfs) {
  const auto config = parse_config(with_nic("functions = \"vf\"\n"), "t");
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->eswitch.pci->str(), "0000:3b:00.0");
  EXPECT_TRUE(config->eswitch.hugepages);
  ASSERT_EQ(config->host.pfs.size(), 1U) << "without being told";
  EXPECT_EQ(config->host.pfs[0], *config->eswitch.pci);
  EXPECT_EQ(config->host.vfs, 2);
  EXPECT_EQ(vf_pool(*config).place_of(1)->vf, 1);
  EXPECT_TRUE(parse_config(with_nic("functions = \"vf\"\npfs = [\"0000:3b:00.0\"]\n"), "t"));
}

TEST(Config, SomebodyElseMayGiveANicsVfsToVms) {
  const auto config = parse_config(with(kGood, "socket_dir = \"/run/berth\"\n",
                                        "pci = \"0000:3b:00.0\"\n[host]\nfunctions = \"unmanaged\"\n"),
                                   "t");
  ASSERT_TRUE(config) << config.error().message << "; neither monitors nor a memory are needed";
  EXPECT_TRUE(config->host.are_unmanaged());
  EXPECT_TRUE(config->host.pfs.empty()) << "what is below them is not berthd's";
}

TEST(Config, NamesWhatANicAndTheSoftwareEswitchDoNotShare) {
  const std::string vf = "functions = \"vf\"\n";
  const std::vector<std::tuple<std::string, std::string, std::string>> faults = {
      {vf, "socket_dir = \"/run/berth\"\n", "eswitch.socket_dir: is of the software eSwitch"},
      {vf, "unbacked_functions = 1\n", "eswitch.unbacked_functions: are of the software eSwitch"},
      {vf, "hugepages = false\n", "eswitch.hugepages: must be true"},
      {"", "", "host.functions: must be \"vf\" or \"unmanaged\" with a NIC"},
      {"functions = \"vhost-user\"\n", "", "host.functions: must be \"vf\" or \"unmanaged\" with a NIC"},
      {vf + "pfs = [\"0000:3b:00.0\", \"0000:5e:00.0\"]\n", "", "host.pfs: an eSwitch is of one PF"},
      {vf + "pfs = [\"0000:5e:00.0\"]\n", "", "host.pfs: an eSwitch is of one PF: 0000:3b:00.0"},
      {vf + "vfs = 8\n", "", "host.vfs: the VFs of 0000:3b:00.0"},
      {vf + "provider = \"virtnet\"\n", "", "host.provider: must be \"pool\" with a NIC"}};
  for (const auto& [host, eswitch, why] : faults) {
    const auto config = parse_config(with_nic(host, eswitch), "test.toml");
    ASSERT_FALSE(config) << why;
    EXPECT_THAT(config.error().message, HasSubstr(why));
  }
  EXPECT_THAT(parse_config(with_host("functions = \"unmanaged\"\n"), "t").error().message,
              HasSubstr("host.functions: can be \"unmanaged\" with a NIC"));
  EXPECT_THAT(parse_config(with(with_nic(vf), "0000:3b:00.0", "3b:00.0"), "t").error().message,
              HasSubstr("eswitch.pci: '3b:00.0' is not a PCI address"));
  EXPECT_THAT(parse_config(with(with_nic(vf), "functions = 2", "functions = 32"), "t").error().message,
              HasSubstr("eswitch.functions: must be a number from 1 to 31"));
  EXPECT_TRUE(parse_config(with(with_nic(vf), "functions = 2", "functions = 31"), "t"));
}

TEST(Config, TheExamplesAreGood) {
  for (const char* name :
       {"berthd.toml", "berthd-remote.toml", "berthd-vf.toml", "berthd-connectx.toml", "berthd-dpu.toml"}) {
    const auto config = load_config(std::filesystem::path(BERTH_EXAMPLES) / name);
    EXPECT_TRUE(config) << config.error().message;
  }
}

TEST(Config, NotTomlIsAnErrorWithALine) {
  const auto config = parse_config("[api\nx", "test.toml");
  ASSERT_FALSE(config);
  EXPECT_THAT(config.error().message, HasSubstr("test.toml"));
}

}  // namespace
}  // namespace berth::agent
