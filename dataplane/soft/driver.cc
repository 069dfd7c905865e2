// The net_berth virtual device: made by EAL from --vdev=net_berth0,uplink=...,function=... or by
// rte_vdev_init(). Linked into a program, or loaded as librte_net_berth.so by any DPDK application.
#include "dataplane/soft/soft_switch.h"

#include <bus_vdev_driver.h>
#include <exception>
#include <map>
#include <string>

#include <rte_log.h>

namespace berth::soft {
namespace {

int log_type() {
  static const int type = rte_log_register_type_and_pick_level("pmd.net.berth", RTE_LOG_NOTICE);
  return type;
}

void log_error(const std::string& device, const std::string& text) {
  rte_log(RTE_LOG_ERR, static_cast<std::uint32_t>(log_type()), "net_berth: %s: %s\n", device.c_str(),
          text.c_str());
}

// One switch per device, from probe to remove. EAL probes and removes devices one at a time.
std::map<std::string, std::unique_ptr<SoftSwitch>>& switches() {
  static std::map<std::string, std::unique_ptr<SoftSwitch>> all;
  return all;
}

}  // namespace

Faults* faults_of(std::string_view device) {
  const auto found = switches().find(std::string(device));
  return found != switches().end() ? &found->second->faults() : nullptr;
}

namespace {

void release_ethdevs(SoftSwitch& made) {
  for (const auto& port : made.ethdevs()) {
    if (port->ethdev == nullptr) continue;
    rte_eth_dev* ethdev = port->ethdev;
    made.forget_ethdev(*port);
    rte_eth_dev_release_port(ethdev);
  }
}

int probe(rte_vdev_device* device) try {
  const std::string name = rte_vdev_device_name(device);
  const std::expected<SwitchConfig, std::string> config = parse_devargs(rte_vdev_device_args(device));
  if (!config) {
    log_error(name, config.error());
    return -EINVAL;
  }
  auto made = SoftSwitch::create(name, *config);
  if (!made) {
    log_error(name, made.error());
    return -ENODEV;
  }
  if (const int failed = (*made)->add_ethdevs(*device); failed != 0) {
    log_error(name, "no room for another ethdev");
    release_ethdevs(**made);
    return failed;
  }
  switches()[name] = *std::move(made);
  return 0;
} catch (const std::exception& failed) {
  log_error("probe", failed.what());
  return -ENOMEM;
}

int remove(rte_vdev_device* device) {
  const auto found = switches().find(rte_vdev_device_name(device));
  if (found == switches().end()) return 0;
  found->second->stop();
  release_ethdevs(*found->second);
  switches().erase(found);
  return 0;
}

// Constant-initialised: the registration below runs before any dynamic initialiser.
constinit rte_vdev_driver driver = [] {
  rte_vdev_driver made{};
  made.probe = &probe;
  made.remove = &remove;
  return made;
}();

}  // namespace
}  // namespace berth::soft

using berth::soft::driver;  // the macros below paste a plain name
RTE_PMD_REGISTER_VDEV(net_berth, driver);
RTE_PMD_REGISTER_PARAM_STRING(
    net_berth,
    "uplink=<ethdev> function=<ethdev> max_rules=<n> max_counters=<n> max_groups=<n> "
    "max_encaps=<n> max_meters=<n> match_dwords=<n> mbufs=<n> agent_ring=<n> idle_nap=<us> unbacked=<n> "
    "steering=<both|software>");
