#include "agent/host_side.h"

#include "agent/reboot.h"
#include "base/log.h"
#include "host/hotplug/pool_provider.h"
#include "host/netlink/eswitch_ports.h"
#include "host/netlink/vf_attributes.h"
#include "host/pci/sriov.h"
#include "host/pci/uevent_listener.h"
#include "host/vf_driver.h"
#include "host/vhost_user_driver.h"

#include <optional>
#include <utility>

namespace berth::agent {
namespace {

constexpr std::chrono::milliseconds kGuestDisconnectWait{2000};
const host::Deadlines kDeadlines{};

}  // namespace

struct HostSide::Parts {
  Parts(asio::any_io_executor executor, const Config& from, host::VmPlug& plug, host::NetlinkChannel& netlink)
      : config(from),
        attributes(netlink),
        devlink(netlink),
        representors(netlink),
        events(executor),
        worker(executor, std::make_shared<host::RealKernelFiles>()),
        vfio(tree, worker, events, kDeadlines),
        passthrough(vfio, plug),
        devices(tree, config.host.devices, {config.host.pfs.begin(), config.host.pfs.end()}),
        tasks(executor) {
    if (config.host.functions == "vf") {
      provider = make_provider();
      std::optional<host::AttributesOf> of_pfs;
      if (!config.host.pfs.empty()) of_pfs.emplace(vf_pool(config), attributes);
      driver = std::make_unique<host::VfDriver>(*provider, passthrough, of_pfs);
    } else {
      driver = std::make_unique<host::VhostUserDriver>(kGuestDisconnectWait,
                                                       config.qemu.monitor.empty() ? nullptr : &plug);
    }
  }

  std::unique_ptr<host::HotplugProvider> make_provider() {
    if (config.host.provider == "slot")
      return std::make_unique<host::SlotProvider>(tree, worker, events, kDeadlines, config.host.slots);
    if (config.host.provider == "virtnet")
      return std::make_unique<host::VirtnetProvider>(tree, events, kDeadlines, config.host.virtnet);
    return std::make_unique<host::PoolProvider>(tree, vf_pool(config));
  }

  // Of one PF, whose VFs are there.
  Task<void> ensure_eswitch_ports(host::PciAddress pf, std::uint16_t vfs) {
    const auto ports = co_await host::ensure_ports(devlink, representors, host::DevlinkDevice::pci(pf), vfs);
    if (!ports) co_return pass(ports, "representors");
    for (const host::FunctionPort& one : ports->functions) {
      log_event(LogLevel::kInfo, "representor",
                {{"pf", pf}, {"vf", one.vf}, {"netdev", one.representor.name}});
      for (const std::string& what : one.undone) {
        log_event(LogLevel::kInfo, "representor hardened",
                  {{"pf", pf}, {"netdev", one.representor.name}, {"undone", what}});
      }
    }
    co_return Result<void>();
  }

  const Config& config;
  host::NetlinkVfAttributes attributes;
  host::Devlink devlink;
  host::Representors representors;
  host::PciTree tree;
  host::PciEvents events;
  host::SysfsWorker worker;
  host::Vfio vfio;
  host::Passthrough passthrough;
  host::HostDevices devices;
  std::unique_ptr<host::HotplugProvider> provider;
  std::unique_ptr<host::FunctionDriver> driver;
  std::optional<host::UeventListener> listener;
  TaskGroup tasks;
};

HostSide::HostSide(asio::any_io_executor executor, const Config& config, host::VmPlug& vms,
                   host::NetlinkChannel& netlink)
    : parts_(std::make_unique<Parts>(std::move(executor), config, vms, netlink)) {}
HostSide::~HostSide() = default;

host::FunctionDriver& HostSide::driver() {
  return *parts_->driver;
}
host::Passthrough& HostSide::passthrough() {
  return parts_->passthrough;
}
const host::HostDevices& HostSide::devices() const {
  return parts_->devices;
}

Task<void> HostSide::start(const SavedState& saved) {
  const Config::Host& wanted = parts_->config.host;
  if (wanted.functions != "vf" && wanted.devices.empty()) co_return Result<void>();
  auto listener = host::UeventListener::open(co_await asio::this_coro::executor, parts_->events);
  if (!listener) co_return pass(listener);
  parts_->listener.emplace(*std::move(listener));
  parts_->tasks.spawn("uevents", parts_->listener->run());
  if (wanted.pfs.empty()) co_return Result<void>();
  host::Sriov sriov(parts_->tree, parts_->worker, parts_->events, kDeadlines);
  const host::VfPool pool = vf_pool(parts_->config);
  // One after the other: the kernel lets only one at a time, whatever the PF.
  for (const host::PciAddress& pf : wanted.pfs) {
    const auto leased = pool.vfs_of(pf, leased_functions(saved));
    const auto vfs = co_await sriov.ensure_vfs(pf, wanted.vfs, leased);
    if (!vfs) co_return pass(vfs, "VFs");
    log_event(LogLevel::kInfo, "VFs ready", {{"pf", pf}, {"vfs", vfs->size()}});
    const auto ports = co_await parts_->ensure_eswitch_ports(pf, static_cast<std::uint16_t>(vfs->size()));
    if (!ports) co_return pass(ports);
  }
  co_return Result<void>();
}

asio::awaitable<void> HostSide::stop() {
  parts_->tasks.cancel();
  co_await parts_->tasks.join();
}

}  // namespace berth::agent
