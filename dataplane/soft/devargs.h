// The arguments of a net_berth virtual device:
//   uplink=NAME      the ethdev behind the uplink port (required)
//   function=NAME    the ethdev behind the next function; once per function
//   unbacked=        functions without any ethdev, behind the others: rules may name them (port_map.h says
//   how),
//                    what is sent to them is counted and dropped, nothing comes from them. For measurements
//   max_rules= max_counters= max_groups= max_encaps= max_meters=   sizes of the fixed pools
//   match_dwords=    4-byte selectors of the match definer that rules may use (5; 11 on the newest NICs)
//   mbufs=           packet buffers for all ports together
//   flow_cache=      flows that the cache remembers; 0 switches it off
//   agent_ring=      packets that wait for the agent, per port and direction
//   idle_nap=        microseconds that the worker sleeps between rounds when no packets come (never)
//   steering=        `both` (default): rules that either steering engine of mlx5 takes; `software`: what its
//                    software steering alone takes, as foreign clients of rte_flow write it (profile.h)
//   fault_refuse= fault_ignore= fault_stall= fault_reset=   faults on request (faults.h)
#pragma once

#include "dataplane/soft/faults.h"
#include "dataplane/soft/profile.h"
#include "dataplane/soft/rule_book.h"

#include <expected>
#include <string>
#include <vector>

namespace berth::soft {

inline constexpr std::uint32_t kMaxUnbacked = 1U << 15;

enum class Steering : std::uint8_t { kBoth, kSoftware };

struct SwitchConfig {
  std::string uplink;
  std::vector<std::string> functions;
  std::uint32_t unbacked = 0;  // at most kMaxUnbacked
  PoolSizes pools;
  ProfileLimits limits;
  Steering steering = Steering::kBoth;
  std::uint32_t mbufs = 0;  // 0: by the number of ports
  std::uint32_t agent_ring = 512;
  std::uint32_t idle_nap_us = 0;  // microseconds; 0: the worker never sleeps
  std::uint32_t cached_flows = 1U << 18;
  FaultPlan faults;
};

// The error is a sentence that names the argument.
std::expected<SwitchConfig, std::string> parse_devargs(const char* text);

}  // namespace berth::soft
