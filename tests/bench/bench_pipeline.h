// A VPC pipeline of full length as rules, and packets that run through it, for measurements.
//
// Typed by hand, with the source port in every rule: the shape that the compiler's output had before tables
// were shared (ADR 5), not the one that it has.
//
// Flow i of a VM goes to 10.<i>: admitted, judged by 20 policy rules, mapped, encapsulated. The other way
// round a tunnelled packet from 10.<i> is terminated, judged by 20 rules and delivered.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace berth::soft::bench {

struct PortIds {
  std::uint16_t uplink = 0;
  std::uint16_t vm = 0;
};

// As text of flow_text.h.
std::vector<std::string> encap_rules(const PortIds& ports);
std::string mapping_rule(const PortIds& ports, std::uint32_t flow);
std::vector<std::string> decap_rules(const PortIds& ports);

// 64 bytes on the wire inside; one packet a flow.
std::vector<std::vector<std::uint8_t>> encap_packets(std::uint32_t flows);
std::vector<std::vector<std::uint8_t>> decap_packets(std::uint32_t flows);

void write_pcap(const std::string& path, const std::vector<std::vector<std::uint8_t>>& packets);

}  // namespace berth::soft::bench
