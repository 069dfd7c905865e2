// What a host with one VM programs, as dataplane/compile.h makes it, and packets that run through all of it,
// for measurements.
//
// The VM's VPC has 20 policy rules each way and a mapping for each flow. Flow i of the VM goes to an address
// of its own in 10.0.0.0/9: admitted, judged by policy, mapped, encapsulated. The other way round a tunnelled
// packet from there is terminated, judged by policy and delivered.
#pragma once

#include "dataplane/dpdk/lowering.h"
#include "dataplane/dpdk/sync_steering.h"
#include "dataplane/rule.h"

#include <cstdint>
#include <string>
#include <vector>

namespace berth::soft::bench {

struct PortIds {
  std::uint16_t uplink = 0;
  std::uint16_t vm = 0;
};
dataplane::PortNumbering numbering(const PortIds& ports);

// Every rule of the host, mappings of flows 0 to `flows` - 1 among them.
std::vector<dataplane::Rule> host_rules(std::uint32_t flows);
// The rule of a flow's mapping, whether it is among the host's or not.
dataplane::Rule mapping_rule(std::uint32_t flow);

// Installs a rule by the steering engine; throws when it is refused.
dataplane::dpdk::InstalledRule install(dataplane::dpdk::Steering& steering, const dataplane::Rule& rule);

// 64 bytes on the wire inside; one packet a flow.
std::vector<std::vector<std::uint8_t>> encap_packets(std::uint32_t flows);
std::vector<std::vector<std::uint8_t>> decap_packets(std::uint32_t flows);

void write_pcap(const std::string& path, const std::vector<std::vector<std::uint8_t>>& packets);

}  // namespace berth::soft::bench
