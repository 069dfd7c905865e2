// host/netlink against a real kernel, inside the lab: a legacy NIC (igb) and a switchdev one (netdevsim).
// What is set is read back, by us and from the kernel's other side where it has one.
//
// Real: the kernel's rtnetlink and devlink, igb's driver. Not real: netdevsim's hardware, there is none; its
// VFs are no PCI functions, so a folder of the test's own stands in for the sysfs that names a PF's network
// device.
#include "host/netlink/eswitch_ports.h"
#include "host/netlink/netlink_events.h"
#include "host/netlink/representors.h"
#include "host/netlink/switchdev.h"
#include "host/netlink/vf_attributes.h"
#include "tests/fakes/run_task.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace berth::host {
namespace {

using berth::testing::run_until_done;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
namespace fs = std::filesystem;

constexpr std::uint32_t kMtu = 1600;
constexpr MacAddress kMac{{2, 0, 0, 0, 0, 0x22}};
const fs::path kSimulators = "/sys/bus/netdevsim";

void write(const fs::path& file, const std::string& text) {
  std::ofstream stream(file);
  stream << text << std::flush;
  ASSERT_TRUE(stream) << file << " <- " << text;
}

std::string read_line(const fs::path& file) {
  std::ifstream stream(file);
  std::string line;
  std::getline(stream, line);
  return line;
}

void shell(const std::string& command) {
  ASSERT_EQ(std::system(command.c_str()), 0) << command;
}

std::string output_of(const std::string& command) {
  const std::unique_ptr<FILE, int (*)(FILE*)> pipe(popen(command.c_str(), "r"), pclose);
  std::string output;
  char buffer[512];
  while (fgets(buffer, sizeof buffer, pipe.get()) != nullptr) output += buffer;
  return output;
}

// Polls what another thread of the kernel (a workqueue, a driver's probe) brings about.
bool eventually(const std::function<bool()>& condition) {
  for (int i = 0; i < 400; ++i) {
    if (condition()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  return false;
}

class InTheLab : public ::testing::Test {
 protected:
  void SetUp() override {
    if (std::getenv("BERTH_LAB") == nullptr) GTEST_SKIP() << "runs inside the lab only (tools/lab run)";
  }
  template <typename T>
  Result<T> run(Task<T> task) {
    return run_until_done(io, std::move(task));
  }

  asio::io_context io;
  NetlinkChannel channel{io.get_executor()};
  Devlink devlink{channel};
};

// A NIC of netdevsim's own bus, in legacy mode, without VFs.
class SwitchdevNic : public InTheLab {
 protected:
  void SetUp() override {
    InTheLab::SetUp();
    if (IsSkipped()) return;
    shell("modprobe netdevsim");
    write(kSimulators / "new_device", "10 1");
    ASSERT_TRUE(eventually([&] { return fs::exists(nic / "net") && !fs::is_empty(nic / "net"); }));
    const auto uplink = fs::directory_iterator(nic / "net")->path();
    // The sysfs that NetlinkVfAttributes reads.
    fs::create_directories(root / "sys/bus/pci/devices" / kPf.str() / "net" / "uplink");
    // sysfs gives a file a page of size, so it cannot be copied as a file.
    write(root / "sys/bus/pci/devices" / kPf.str() / "net/uplink/ifindex", read_line(uplink / "ifindex"));
    uplink_name = uplink.filename();
    uplink_index = std::stoi(read_line(uplink / "ifindex"));
  }
  void TearDown() override {
    if (fs::exists(nic)) write(kSimulators / "del_device", "10");
  }

  void make_vfs(int count) { write(nic / "sriov_numvfs", std::to_string(count)); }
  Result<void> go_switchdev() {
    return run(devlink.ensure_eswitch(device, {.mode = EswitchMode::kSwitchdev, .encap = {}}));
  }
  Result<Link> representor(std::uint32_t vf) {
    const auto uplink = run(representors.read(uplink_index));
    return uplink ? run(representors.find(uplink->switch_id, PortName::vf(0, vf))) : Result<Link>(uplink);
  }

  static constexpr PciAddress kPf{0, 0x3b, 0, 0};
  const fs::path nic = kSimulators / "devices/netdevsim10";
  const fs::path root = "/run/netdevsim-root";
  const DevlinkDevice device{"netdevsim", "netdevsim10"};
  std::string uplink_name;
  int uplink_index = 0;
  NetlinkVfAttributes attributes{channel, root};
  Representors representors{channel};
};

TEST_F(SwitchdevNic, ChangesItsModeAndItsEncapModeAndSaysSo) {
  auto state = run(devlink.read_eswitch(device));
  ASSERT_TRUE(state) << state.error().message;
  EXPECT_EQ(state->mode, EswitchMode::kLegacy);
  const EswitchChange wanted{.mode = EswitchMode::kSwitchdev, .encap = EncapMode::kBasic};
  const auto changed = run(devlink.ensure_eswitch(device, wanted));
  ASSERT_TRUE(changed) << changed.error().message;
  state = run(devlink.read_eswitch(device));
  ASSERT_TRUE(state);
  EXPECT_EQ(*state, wanted);
  EXPECT_THAT(output_of("devlink dev eswitch show netdevsim/netdevsim10"), HasSubstr("mode switchdev"));
  EXPECT_THAT(output_of("devlink dev eswitch show netdevsim/netdevsim10"), HasSubstr("encap-mode basic"));
  EXPECT_TRUE(run(devlink.ensure_eswitch(device, wanted))) << "a second time is no change";
}

TEST_F(SwitchdevNic, WhatIsNotThereIsUnknown) {
  const auto state = run(devlink.read_eswitch({"pci", "0000:3b:00.0"}));
  ASSERT_FALSE(state);
  EXPECT_EQ(state.error().reason, "DEVLINK_UNKNOWN");
  const auto port = run(devlink.find_port(device, PortName::vf(0, 0)));
  ASSERT_FALSE(port);
  EXPECT_EQ(port.error().reason, "DEVLINK_UNKNOWN");
}

TEST_F(SwitchdevNic, HasARepresentorForEveryVfInEitherOrder) {
  for (const bool vfs_first : {true, false}) {
    SCOPED_TRACE(vfs_first ? "VFs first" : "switchdev first");
    if (vfs_first) make_vfs(2);
    const auto changed = go_switchdev();
    ASSERT_TRUE(changed) << changed.error().message;
    if (!vfs_first) make_vfs(2);
    for (const std::uint32_t vf : {0U, 1U}) {
      const auto port = run(devlink.find_port(device, PortName::vf(0, vf)));
      ASSERT_TRUE(port) << port.error().message;
      const auto link = representor(vf);
      ASSERT_TRUE(link) << link.error().message;
      EXPECT_EQ(link->ifindex, port->ifindex) << "devlink and rtnetlink mean the same device";
    }
    EXPECT_FALSE(representor(2));
    ASSERT_TRUE(run(devlink.ensure_eswitch(device, {.mode = EswitchMode::kLegacy, .encap = {}})));
    make_vfs(0);
  }
}

// netdevsim's own count of VFs, through its sysfs.
struct SimulatedVfs : VfCount {
  explicit SimulatedVfs(fs::path of) : nic(std::move(of)) {}
  fs::path nic;
  Task<std::uint16_t> read() override {
    co_return static_cast<std::uint16_t>(std::stoi(read_line(nic / "sriov_numvfs")));
  }
  Task<void> ensure(std::uint16_t count) override {
    if (read_line(nic / "sriov_numvfs") != std::to_string(count))
      write(nic / "sriov_numvfs", std::to_string(count));
    co_return Result<void>();
  }
};

TEST_F(SwitchdevNic, IsBroughtThereWithItsVfsFromAnyState) {
  DevlinkEswitchModes modes(devlink, device);
  SimulatedVfs vfs(nic);
  make_vfs(1);  // somebody else's
  const auto order = run(ensure_switchdev(modes, vfs, 3));
  ASSERT_TRUE(order) << order.error().message;
  EXPECT_EQ(*order, SwitchdevOrder::kSwitchdevFirst);
  EXPECT_TRUE(representor(2));
  EXPECT_EQ(run(ensure_switchdev(modes, vfs, 3)), SwitchdevOrder::kWasSo);
}

TEST_F(SwitchdevNic, KeepsWhatIsSetOfAVfsFunction) {
  make_vfs(2);
  ASSERT_TRUE(go_switchdev());
  const auto name = PortName::vf(0, 1);
  const auto set =
      run(devlink.ensure_function(device, name, {.mac = kMac, .is_active = true, .is_attached = {}}));
  ASSERT_TRUE(set) << set.error().message;
  const auto port = run(devlink.find_port(device, name));
  ASSERT_TRUE(port);
  EXPECT_EQ(port->function.mac, kMac);
  EXPECT_EQ(port->function.is_active, true);
  EXPECT_EQ(port->function.is_attached, true);
  EXPECT_EQ(run(devlink.find_port(device, PortName::vf(0, 0)))->function.is_active, false)
      << "the other one's";
  const auto refused = run(devlink.ensure_function(
      device, name, {.mac = MacAddress{{1, 0, 0, 0, 0, 0}}, .is_active = {}, .is_attached = {}}));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason, "DEVLINK_REFUSED");
  EXPECT_THAT(refused.error().message, HasSubstr("hardware address")) << "the kernel's own words";
}

TEST_F(SwitchdevNic, KeepsTheRateOfAPortInBytesPerSecond) {
  make_vfs(2);
  ASSERT_TRUE(go_switchdev());
  const PortRate rate{.guaranteed = 1'250'000, .most = 12'500'000};  // 10 and 100 Mbit/s
  const auto set = run(devlink.ensure_rate(device, PortName::vf(0, 1), rate));
  ASSERT_TRUE(set) << set.error().message;
  EXPECT_EQ(run(devlink.read_rate(device, PortName::vf(0, 1))), rate);
  EXPECT_THAT(output_of("devlink port function rate show"), HasSubstr("tx_max 100Mbit"));
}

TEST_F(SwitchdevNic, KeepsWhatItsPfSaysOfAVf) {
  make_vfs(2);
  const VfSettings wanted{.mac = kMac, .rate = VfRate{50, 200}, .is_trusted = true, .is_spoof_checked = true};
  const auto set = run(attributes.ensure(kPf, 1, wanted));
  ASSERT_TRUE(set) << set.error().message;
  EXPECT_EQ(run(attributes.read(kPf, 1)), wanted);
  const auto shown = output_of("ip link show " + uplink_name + " | grep 'vf 1 '");
  EXPECT_THAT(shown, HasSubstr("02:00:00:00:00:22"));
  EXPECT_THAT(shown, HasSubstr("max_tx_rate 200Mbps, min_tx_rate 50Mbps"));
  EXPECT_THAT(shown, HasSubstr("spoof checking on"));
  EXPECT_THAT(shown, HasSubstr("trust on"));
  EXPECT_EQ(run(attributes.read(kPf, 2)).error().reason, "VF_UNKNOWN");
}

TEST_F(SwitchdevNic, ItsGuidsAreRefusedWithoutInfiniband) {
  make_vfs(1);
  const auto set = run(attributes.ensure_guids(kPf, 0, {1, 2}));
  ASSERT_FALSE(set);
  EXPECT_EQ(set.error().reason, "VF_ATTRIBUTE_UNSUPPORTED") << set.error().message;
}

TEST_F(SwitchdevNic, ARepresentorIsBroughtUpWithItsMtu) {
  make_vfs(1);
  ASSERT_TRUE(go_switchdev());
  const auto link = representor(0);
  ASSERT_TRUE(link);
  ASSERT_FALSE(link->is_up);
  const auto up = run(representors.ensure_up(link->ifindex, kMtu));
  ASSERT_TRUE(up) << up.error().message;
  EXPECT_THAT(output_of("ip link show " + link->name), HasSubstr("mtu 1600"));
  EXPECT_TRUE(run(representors.read(link->ifindex))->is_up);
  EXPECT_EQ(run(representors.ensure_up(link->ifindex, 1)).error().reason, "LINK_REFUSED");
  EXPECT_EQ(run(representors.ensure_up(99999, kMtu)).error().reason, "REPRESENTOR_UNKNOWN");
}

// What berthd does at its start with each of its PFs.
TEST_F(SwitchdevNic, AllItsRepresentorsAreFoundHardenedAndUp) {
  ASSERT_TRUE(go_switchdev());
  make_vfs(2);
  const auto second = representor(1);
  ASSERT_TRUE(second) << second.error().message;
  shell("ip link add br-lab2 type bridge && ip link set " + second->name + " master br-lab2");
  const auto ports = run(ensure_ports(devlink, representors, device, 2));
  ASSERT_TRUE(ports) << ports.error().message;
  ASSERT_THAT(ports->functions, SizeIs(2));
  EXPECT_EQ(ports->functions[1].representor.ifindex, second->ifindex);
  EXPECT_THAT(ports->functions[1].undone, Contains(HasSubstr("member of link")));
  for (const FunctionPort& one : ports->functions) {
    const auto now = run(representors.read(one.representor.ifindex));
    EXPECT_TRUE(now->is_up);
    EXPECT_EQ(now->master, 0);
    EXPECT_EQ(read_line("/proc/sys/net/ipv6/conf/" + now->name + "/disable_ipv6"), "1");
  }
  const auto again = run(ensure_ports(devlink, representors, device, 2));
  for (const FunctionPort& one : again->functions) EXPECT_THAT(one.undone, IsEmpty());
  EXPECT_EQ(run(ensure_ports(devlink, representors, device, 3)).error().reason, "REPRESENTOR_UNKNOWN");
  shell("ip link del br-lab2");
}

TEST_F(SwitchdevNic, ARepresentorThatSomebodyUsesIsTakenBackAndSaysFromWhat) {
  make_vfs(1);
  ASSERT_TRUE(go_switchdev());
  const auto link = representor(0);
  ASSERT_TRUE(link);
  shell("ip link add berth-bridge type bridge");
  shell("ip link set " + link->name + " up");
  shell("ip address add 10.0.0.1/24 dev " + link->name);
  shell("ip address add fd00::1/64 dev " + link->name);
  shell("ip link set " + link->name + " master berth-bridge");
  const auto undone = run(representors.ensure_hardened(link->ifindex));
  ASSERT_TRUE(undone) << undone.error().message;
  EXPECT_THAT(*undone, Contains("IPv6"));
  EXPECT_THAT(*undone, Contains("address 10.0.0.1/24"));
  EXPECT_THAT(*undone, Contains(HasSubstr("member of link ")));
  EXPECT_EQ(run(representors.read(link->ifindex))->master, 0);
  EXPECT_THAT(output_of("ip -o address show dev " + link->name), IsEmpty());
  EXPECT_EQ(read_line("/proc/sys/net/ipv6/conf/" + link->name + "/disable_ipv6"), "1");
  EXPECT_THAT(*run(representors.ensure_hardened(link->ifindex)), IsEmpty()) << "nothing the second time";
  shell("ip link delete berth-bridge");
}

TEST_F(SwitchdevNic, NewPortsAndLinksWakeWhoWaits) {
  const auto family = run(devlink.family());
  ASSERT_TRUE(family);
  const auto links = NetlinkEvents::open_links(io.get_executor());
  const auto ports = NetlinkEvents::open_devlink(io.get_executor(), *family);
  ASSERT_TRUE(links && ports);
  EXPECT_EQ(run(with_deadline(std::chrono::milliseconds(50), (*ports)->wait_for_change())).error().code,
            Code::kDeadlineExceeded)
      << "nothing has happened yet";
  make_vfs(1);
  ASSERT_TRUE(go_switchdev());
  EXPECT_TRUE(run(with_deadline(std::chrono::seconds(10), (*links)->wait_for_change())));
  EXPECT_TRUE(run(with_deadline(std::chrono::seconds(10), (*ports)->wait_for_change())));
}

// The emulated 82576.
class LegacyNic : public InTheLab {
 protected:
  void SetUp() override {
    InTheLab::SetUp();
    if (IsSkipped()) return;
    shell("modprobe igb");
    ASSERT_TRUE(eventually([&] { return fs::exists(nic / "net") && !fs::is_empty(nic / "net"); }));
    uplink_name = fs::directory_iterator(nic / "net")->path().filename();
    shell("ip link set " + uplink_name + " up");
    write(nic / "sriov_drivers_autoprobe", "0");
    write(nic / "sriov_numvfs", "2");
    // igb starts anew with its VFs, and takes no rate before it has a link.
    ASSERT_TRUE(eventually([&] { return read_line("/sys/class/net/" + uplink_name + "/carrier") == "1"; }));
  }
  void TearDown() override {
    if (!IsSkipped()) write(nic / "sriov_numvfs", "0");
  }
  static constexpr PciAddress kPf{0, 1, 0, 0};
  const fs::path nic = fs::path("/sys/bus/pci/devices") / kPf.str();
  std::string uplink_name;
  NetlinkVfAttributes attributes{channel};
};

TEST_F(LegacyNic, KeepsWhatItsPfSaysOfAVf) {
  const VfSettings wanted{.mac = kMac, .rate = VfRate{0, 100}, .is_trusted = true, .is_spoof_checked = false};
  const auto set = run(attributes.ensure(kPf, 1, wanted));
  ASSERT_TRUE(set) << set.error().message;
  EXPECT_EQ(run(attributes.read(kPf, 1)), wanted);
  const auto shown = output_of("ip link show " + uplink_name + " | grep 'vf 1 '");
  EXPECT_THAT(shown, HasSubstr("02:00:00:00:00:22"));
  EXPECT_THAT(shown, HasSubstr("trust on"));
  EXPECT_NE(run(attributes.read(kPf, 0))->mac, kMac) << "the other one's";
}

TEST_F(LegacyNic, AGuaranteedRateThatItDoesNotHaveIsRefusedByName) {
  const auto set = run(attributes.ensure(
      kPf, 0, {.mac = {}, .rate = VfRate{10, 100}, .is_trusted = {}, .is_spoof_checked = {}}));
  ASSERT_FALSE(set);
  EXPECT_EQ(set.error().reason, "VF_ATTRIBUTE_REFUSED") << set.error().message;
  EXPECT_THAT(set.error().message, HasSubstr("rate of VF 0 of 0000:01:00.0"));
}

TEST_F(LegacyNic, HasNoEswitchToSet) {
  Representors representors(channel);
  const auto ports = run(ensure_ports(devlink, representors, DevlinkDevice::pci(kPf), 2));
  ASSERT_TRUE(ports) << ports.error().message;
  EXPECT_EQ(ports->mode, std::nullopt) << "and berthd starts without";
  const auto state = run(devlink.read_eswitch(DevlinkDevice::pci(kPf)));
  ASSERT_FALSE(state);
  EXPECT_EQ(state.error().reason, "DEVLINK_UNKNOWN") << state.error().message;
}

}  // namespace
}  // namespace berth::host
