// berthd's configuration file (TOML); docs/examples/berthd.toml is a commented one. Unknown keys are
// errors: a misspelt key must not silently mean its default.
#pragma once

#include "base/error.h"
#include "base/ip_address.h"
#include "base/log.h"

#include <cstdint>
#include <filesystem>
#include <string>

namespace berth::agent {

struct Config {
  struct Api {
    std::string listen;  // "127.0.0.1:7443"
    std::filesystem::path certificate;
    std::filesystem::path private_key;
    std::filesystem::path trusted_ca;
    std::string trust_domain;
  } api;
  struct UnderlayConfig {
    std::string device;  // netdev of the uplink
    IpAddress vtep;      // an address of that device
  } underlay;
  struct EswitchConfig {
    std::string kind = "embedded";  // or "remote": berth-eswitchd holds it
    std::filesystem::path socket;   // of berth-eswitchd; only "remote"
    std::uint16_t functions = 0;
    std::filesystem::path socket_dir;
    bool hugepages = false;
    // Which of mlx5's engines the rules are made for: "sws" (synchronous rte_flow) or "hws" (templates).
    std::string steering = "sws";
  } eswitch;
  struct AgentConfig {
    std::filesystem::path state_dir;      // empty: a restart forgets everything; not with "remote"
    std::uint32_t audit_interval_s = 30;  // between two looks at what drifts; 0: never
  } agent;
  struct Attach {
    std::uint32_t vpc_wait_ms = 1000;  // how long an attach waits for its VPC to become known
  } attach;
  struct Log {
    LogLevel level = LogLevel::kInfo;
  } log;
};

// NOT_FOUND when the file cannot be read, INVALID_ARGUMENT naming the key otherwise.
Result<Config> load_config(const std::filesystem::path& file);
Result<Config> parse_config(const std::string& text, const std::string& name);

}  // namespace berth::agent
