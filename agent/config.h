// berthd's configuration file (TOML); docs/examples/berthd.toml is a commented one. Unknown keys are
// errors: a misspelt key must not silently mean its default.
#pragma once

#include "base/error.h"
#include "base/eswitch_config.h"
#include "base/log.h"
#include "dataplane/table_use.h"
#include "host/hotplug/slot_provider.h"
#include "host/hotplug/virtnet_provider.h"
#include "host/vf_pool.h"

#include <cstdint>
#include <filesystem>
#include <set>
#include <string>
#include <vector>

namespace berth::agent {

struct Config {
  struct Api {
    std::string listen;  // "127.0.0.1:7443"
    std::filesystem::path certificate;
    std::filesystem::path private_key;
    std::filesystem::path trusted_ca;
    std::string trust_domain;
  } api;
  UnderlayConfig underlay;
  // Hugepages and steering are berth-eswitchd's own where that holds it.
  struct Eswitch : EswitchConfig {
    std::string kind = "embedded";  // or "remote": berth-eswitchd holds it
    std::filesystem::path socket;   // of berth-eswitchd; only "remote"
    dataplane::TableUse limits;     // what the eSwitch can hold; 0: not known
  } eswitch;
  struct Host {
    std::string functions = "vhost-user";   // or "vf": PCI functions of this host, "unmanaged": VFs that
                                            // somebody else gives to VMs
    std::string provider = "pool";          // of "vf"; or "slot", "virtnet"
    std::vector<host::PciAddress> pfs;      // pool: whose VFs; each has the same share of the functions
    std::uint16_t vfs = 0;                  // pool: how many are made of each, if there are none
    std::vector<host::FunctionSlot> slots;  // slot: of vf0, vf1, ...
    host::VirtnetProvider::Controller virtnet;
    std::set<host::PciAddress> devices;  // that VMs may be given as a whole
    bool are_vhost_user() const { return functions == "vhost-user"; }
    bool are_vfs() const { return functions == "vf"; }
    bool are_unmanaged() const { return functions == "unmanaged"; }
  } host;
  struct AgentConfig {
    std::filesystem::path state_dir;      // empty: a restart forgets everything; not with "remote"
    std::uint32_t audit_interval_s = 30;  // between two looks at what drifts; 0: never
  } agent;
  struct Completions {
    std::vector<std::string>
        receivers;            // "host:port" of the VMaaS's CompletionReceiver; empty: nobody is told
    std::string server_name;  // in its certificate; empty: the host
  } completions;
  struct Qemu {
    std::string monitor;  // "/run/berth/vm/{vm}/qmp.sock"; empty: nothing is plugged
    std::string ports;    // only hotplug ports whose id starts so
    std::uint32_t answer_wait_ms = 30000;
    std::uint32_t unplug_wait_ms = 20000;
    std::uint32_t unplug_attempts = 8;
  } qemu;
  struct Attach {
    std::uint32_t patience_ms = 5000;   // how long what fails because somebody is away is tried again
    std::size_t max_running = 64;       // operations at a time
    std::size_t max_operations = 4096;  // running or waiting; a tenant may have half of them
    std::uint32_t vpc_wait_ms = 1000;   // how long an attach waits for its VPC to become known
  } attach;
  struct Log {
    LogLevel level = LogLevel::kInfo;
  } log;
};

// Of provider "pool": which function is which VF.
host::VfPool vf_pool(const Config& config);

// NOT_FOUND when the file cannot be read, INVALID_ARGUMENT naming the key otherwise.
Result<Config> load_config(const std::filesystem::path& file);
Result<Config> parse_config(const std::string& text, const std::string& name);

}  // namespace berth::agent
