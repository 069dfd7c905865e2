#include "agent/host_side.h"

#include "agent/reboot.h"
#include "base/log.h"
#include "host/hotplug/pool_provider.h"
#include "host/netlink/eswitch_ports.h"
#include "host/netlink/vf_attributes.h"
#include "host/pci/sriov.h"
#include "host/pci/uevent_listener.h"
#include "host/unmanaged_driver.h"
#include "host/vf_driver.h"
#include "host/vhost_user_driver.h"

#include <optional>
#include <set>
#include <utility>

namespace berth::agent {
namespace {

constexpr std::chrono::milliseconds kGuestDisconnectWait{2000};
const host::Deadlines kDeadlines{};

// The PFs of the eSwitch's functions, whoever gives those to VMs.
std::set<host::PciAddress> pool_of(const Config& config) {
  std::set<host::PciAddress> pool(config.host.pfs.begin(), config.host.pfs.end());
  if (config.eswitch.pci) pool.insert(*config.eswitch.pci);
  return pool;
}

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
        devices(tree, config.host.devices, pool_of(config)),
        tasks(executor) {
    if (config.host.are_unmanaged()) {
      driver = std::make_unique<host::UnmanagedDriver>();
    } else if (config.host.are_vfs()) {
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

  // Whose eSwitch is open keeps its VFs: DPDK has their representors, which would go with them.
  Result<void> check_vfs_of_eswitch() const {
    if (!config.eswitch.pci) return {};
    const auto there = tree.vfs_of(*config.eswitch.pci).size();
    if (there >= config.eswitch.functions) return {};
    return fail(Code::kFailedPrecondition, "VFS_LOST",
                fmt::format("{} has {} VFs, and its eSwitch {} functions", *config.eswitch.pci, there,
                            config.eswitch.functions));
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
  if (wanted.are_unmanaged()) {
    const auto ports =
        co_await parts_->ensure_eswitch_ports(*parts_->config.eswitch.pci, parts_->config.eswitch.functions);
    if (!ports) co_return ports;
  }
  if (!wanted.are_vfs() && wanted.devices.empty()) co_return Result<void>();
  auto listener = host::UeventListener::open(co_await asio::this_coro::executor, parts_->events);
  if (!listener) co_return pass(listener);
  parts_->listener.emplace(*std::move(listener));
  parts_->tasks.spawn("uevents", parts_->listener->run());
  if (wanted.pfs.empty()) co_return Result<void>();
  if (const auto there = parts_->check_vfs_of_eswitch(); !there) co_return there;
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
