// A host whose eSwitch functions are VFs: the real driver, pool, VFIO and sysfs worker on a kernel that
// reacts (fake_kernel.h) and VMs that open VFIO groups (fake_vms.h). A VfHost outlives berthd's processes; a
// VfLife is one of them.
#pragma once

#include "agent/reboot.h"
#include "host/boot_id.h"
#include "host/hotplug/pool_provider.h"
#include "host/pci/sriov.h"
#include "host/vf_driver.h"
#include "tests/fakes/fake_attributes.h"
#include "tests/fakes/fake_kernel.h"
#include "tests/fakes/fake_vms.h"
#include "tests/fakes/intents.h"
#include "tests/fakes/test_folder.h"
#include "tests/flow/agent_world.h"

#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <unistd.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <gtest/gtest.h>

namespace berth::testing {

inline const host::PciAddress kPf = pci("0000:01:00.0");
inline const host::PciAddress kGpu = pci("0000:02:00.0");
inline const host::PciAddress kGpuSound = pci("0000:02:00.1");
inline const host::PciAddress kDrive = pci("0000:03:00.0");
inline constexpr std::uint16_t kVfs = 2;  // of each PF
// A second NIC and a GPU behind one switch, where a test wants them: VfHost::add_switch().
inline const host::PciAddress kPf2 = pci("0000:22:00.0");
inline const host::PciAddress kGpu2 = pci("0000:23:00.0");
inline const host::PciAddress kSwitch = pci("0000:20:00.0");

inline constexpr host::Deadlines kShort{.attribute = std::chrono::milliseconds(1000),
                                        .create_vfs = std::chrono::milliseconds(1000),
                                        .destroy_vfs = std::chrono::milliseconds(1000),
                                        .vfs_visible = std::chrono::milliseconds(1000),
                                        .bind = std::chrono::milliseconds(1000),
                                        .group_released = std::chrono::milliseconds(50),
                                        .reset = std::chrono::milliseconds(1000),
                                        .appear = std::chrono::milliseconds(1000),
                                        .controller = std::chrono::milliseconds(10000)};

struct VfHost {
  VfHost() {
    kernel->add({.address = kPf, .group = 1, .total_vfs = 7});
    kernel->add({.address = kGpu, .class_code = 0x030200, .host_driver = "", .group = 2});
    kernel->add({.address = kGpuSound, .class_code = 0x040300, .host_driver = "", .group = 2});
    kernel->add({.address = kDrive, .class_code = 0x010802, .host_driver = "nvme", .group = 3});
    std::filesystem::create_directories(kernel->root / "proc/self");
    std::ofstream(kernel->root / "proc/self/mountinfo") << "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n";
  }
  ~VfHost() {
    kernel->let_go();
    // Threads that hung there hold it a moment longer; its folder goes with the last of them.
    while (kernel.use_count() > kOurs) std::this_thread::yield();
  }
  VfHost(const VfHost&) = delete;
  VfHost& operator=(const VfHost&) = delete;

  void add_switch() {
    const auto bridge = [this](host::PciAddress address, std::optional<host::PciAddress> below) {
      kernel->add({.address = address, .class_code = 0x060400, .host_driver = "", .below = below});
    };
    const host::PciAddress port = pci("0000:00:10.0");
    bridge(port, std::nullopt);
    bridge(kSwitch, port);
    for (const auto* down : {"0000:21:00.0", "0000:21:01.0"}) bridge(pci(down), kSwitch);
    kernel->add({.address = kPf2, .group = 20, .total_vfs = 7, .below = pci("0000:21:00.0")});
    kernel->add({.address = kGpu2,
                 .class_code = 0x030200,
                 .host_driver = "",
                 .group = 21,
                 .below = pci("0000:21:01.0")});
    pfs.push_back(kPf2);
  }
  host::VfPool pool() const { return {pfs, kVfs}; }

  // Between two lives. Nobody starts the VMs.
  void reboot(std::uint8_t first_vf_device = FakeKernel::kFirstVfDevice) {
    vms.die();
    kernel->reboot(first_vf_device);
    attributes.settings.clear();
    eswitch.start_anew();
  }

  host::PciAddress vf(std::uint16_t index) const {
    const auto place = pool().place_of(index).value();
    return kernel->tree().vfs_of(place.pf).at(place.vf);
  }

  std::shared_ptr<FakeKernel> kernel = std::make_shared<FakeKernel>();
  FakeVms vms{kernel};
  FakeAttributes attributes;
  std::vector<host::PciAddress> pfs{kPf};
  FakeEswitch eswitch{2 * kVfs};
  const TestFolder state_folder{"vf-state"};

 private:
  static constexpr long kOurs = 2;  // `kernel` and what `vms` has of it
};

class VfLife {
 public:
  // Functions that are no VFs of a PF come from a provider of their own.
  using MakeProvider = std::function<std::unique_ptr<host::HotplugProvider>(VfLife&)>;

  explicit VfLife(VfHost& on, host::Deadlines deadlines_of_kernel = kShort, MakeProvider other = nullptr)
      : host(on),
        deadlines(deadlines_of_kernel),
        make_provider(std::move(other)),
        state(agent::StateDb::open(on.state_folder.path()).value()) {
    host.kernel->set_listener(
        [this](host::Uevent event) { asio::post(io, [this, event] { events.take(event); }); });
  }
  ~VfLife() {
    run_until_done(io, agent.stop());
    host.kernel->set_listener(nullptr);
  }
  VfLife(const VfLife&) = delete;
  VfLife& operator=(const VfLife&) = delete;

  template <typename T>
  T run(asio::awaitable<T> task) {
    return run_until_done(io, std::move(task));
  }

  // As main does it: VFs first, then the agent.
  Result<agent::Adoption> start() {
    auto saved = state.load().value();
    agent::begin_boot(saved, host::read_boot_id(host.kernel->root / "proc"));
    if (!make_provider) {
      for (const auto& pf : host.pfs) {
        const auto leased = host.pool().vfs_of(pf, agent::leased_functions(saved));
        const auto vfs = run(sriov.ensure_vfs(pf, kVfs, leased));
        if (!vfs) return pass(vfs);
      }
    }
    return run(agent.start(std::move(saved)));
  }
  void set_up() {
    start().value();
    run(agent.set_next_hops({{ip("192.0.2.2"), mac("02:00:00:00:ff:02")}})).value();
    ASSERT_TRUE(
        run(agent.push_vpcs({.vpcs = make_vpcs({make_vpc("blue", 7001)}), .version = 1})).value().empty());
  }

  static agent::AttachIntent intent(const std::string& vm, std::uint8_t last_octet) {
    return make_intent(vm, "blue", last_octet);
  }
  Result<agent::Operation> attach(const agent::AttachIntent& wanted) {
    const auto accepted = run(agent.attach(wanted));
    if (!accepted) return accepted;
    return run(agent.operations().wait(accepted->id));
  }
  Result<agent::Operation> detach(const AttachmentId& id) {
    const auto accepted = run(agent.detach({RequestId::trusted("bye-" + id.str()), id}));
    if (!accepted) return accepted;
    return run(agent.operations().wait(accepted->id));
  }
  // Until the attachment's function is proven clean and free again.
  void wait_until_gone(const AttachmentId& id) {
    while (agent.attachments().find(id) != nullptr) io.run_one();
  }

  VfHost& host;
  host::Deadlines deadlines;
  MakeProvider make_provider;
  asio::io_context io;
  asio::executor_work_guard<asio::io_context::executor_type> stays_open{io.get_executor()};
  agent::StateDb state;
  host::PciTree tree = host.kernel->tree();
  host::PciEvents events{io.get_executor(), std::chrono::milliseconds(2)};
  host::SysfsWorker worker{io.get_executor(), host.kernel};
  host::Sriov sriov{tree, worker, events, deadlines};
  host::Vfio vfio{tree, worker, events, deadlines, host.kernel->dev()};
  host::Passthrough passthrough{vfio, host.vms};
  std::unique_ptr<host::HotplugProvider> provider =
      make_provider ? make_provider(*this) : std::make_unique<host::PoolProvider>(tree, host.pool());
  host::VfDriver driver{
      *provider, passthrough,
      make_provider ? std::nullopt : std::optional(host::AttributesOf{host.pool(), host.attributes})};
  host::HostDevices devices{tree,
                            {kGpu, kGpuSound, kDrive, kPf, kGpu2, pci("0000:00:1f.0")},
                            {host.pfs.begin(), host.pfs.end()},
                            host.kernel->root / "proc"};
  agent::Agent agent{
      io.get_executor(),
      host.eswitch,
      driver,
      make_functions(host),
      state,
      agent::AgentSettings{.underlay = {.vtep = ip("192.0.2.1"), .mac = mac("02:00:00:00:ff:01")},
                           .vpc_wait = std::chrono::milliseconds(0),
                           .quarantine_interval = std::chrono::milliseconds(1),
                           .passthrough = &passthrough,
                           .devices = &devices}};

  static std::vector<host::Function> make_functions(const VfHost& host) {
    std::vector<host::Function> functions;
    for (std::uint16_t i = 0; i < kVfs * host.pfs.size(); ++i)
      functions.push_back({.index = i, .pf = host.pool().place_of(i)->pf});
    return functions;
  }
};

// What must be so of a function that is free for anybody.
inline void expect_clean(const VfHost& host, std::uint16_t index) {
  const auto vf = host.vf(index);
  EXPECT_EQ(host.kernel->driver_of(vf), "") << vf.str();
  EXPECT_EQ(host.kernel->override_of(vf), "") << vf.str();
  EXPECT_FALSE(host.kernel->is_dirty(vf)) << vf.str();
  const auto settings = host.attributes.settings.find({kPf, index});
  if (settings != host.attributes.settings.end()) {
    EXPECT_EQ(settings->second.mac, MacAddress()) << vf.str();
    EXPECT_EQ(settings->second.rate, host::VfRate()) << vf.str();
  }
  EXPECT_FALSE(host.eswitch.names(dataplane::EswitchPort::function(index))) << vf.str();
}

// A place where a life stands still, to be ended there.
struct StopPoint {
  std::string name;
  std::function<void(VfHost&)> stop_there;
};
inline constexpr host::Deadlines kPatient{};

inline Task<void> for_ever() {
  co_return co_await sleep_for(std::chrono::hours(1));
}

inline void go_on(VfHost& host) {
  host.kernel->let_go();
  host.eswitch.before_apply = nullptr;
  host.vms.before_plug = nullptr;
  host.vms.after_plug = nullptr;
}

// Runs for long enough to come to the place; that it did is asserted.
inline void run_until_stopped(VfLife& life) {
  for (int i = 0; i < 60; ++i) {
    life.io.poll();
    ::usleep(1000);
  }
}

// A life that ends half-way through an attach, or a detach.
inline AttachmentId attach_and_stop(VfHost& host, const agent::AttachIntent& wanted,
                                    const std::function<void(VfHost&)>& stop_there) {
  VfLife life(host, kPatient);
  life.set_up();
  stop_there(host);
  const auto id = life.run(life.agent.attach(wanted))->attachment;
  run_until_stopped(life);
  EXPECT_EQ(life.agent.attachments().get(id)->state, agent::AttachmentState::kAttaching)
      << "it stopped nowhere";
  return id;
}
inline AttachmentId detach_and_stop(VfHost& host, const agent::AttachIntent& attached,
                                    const std::function<void(VfHost&)>& stop_there) {
  VfLife life(host, kPatient);
  life.set_up();
  const auto id = life.attach(attached)->attachment;
  stop_there(host);
  EXPECT_TRUE(life.run(life.agent.detach({RequestId::trusted("bye"), id})));
  run_until_stopped(life);
  EXPECT_EQ(life.agent.attachments().get(id)->state, agent::AttachmentState::kDetaching)
      << "it stopped nowhere";
  return id;
}

}  // namespace berth::testing
