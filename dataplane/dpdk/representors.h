// Which ethdev stands for which function of an eSwitch. Every driver is asked the same two questions: which
// ethdevs share the uplink's switch domain, and what their switch port ids mean (the ranges of
// rte_eth_representor_info_get()). Names of ethdevs say nothing.
//
// mlx5 numbers its ports (pf << 14) + (type << 12) + number, with 0xffff for the uplink; the host PF of a DPU
// is a range of one id within the range of VFs (DPDK 22.11 drivers/net/mlx5/mlx5_ethdev.c). The software
// eSwitch's VFs begin at 0. No mlx5 port has ever been read by this: there was no NIC to read.
#pragma once

#include "base/error.h"

#include <cstdint>
#include <string>
#include <vector>

namespace berth::dataplane::dpdk {

enum class RepresentorKind : std::uint8_t { kVf, kSf, kPf };

// Ports id_base to id_end are functions `first` and on, of one PF.
struct RepresentorRange {
  RepresentorKind kind = RepresentorKind::kVf;
  int controller = 0;
  int pf = 0;
  std::uint32_t first = 0;
  std::uint32_t id_base = 0;
  std::uint32_t id_end = 0;
};

struct SwitchPort {
  std::uint16_t ethdev_port_id = 0;
  std::string name;  // for errors
  std::uint16_t domain = 0;
  std::uint32_t id = 0;  // of the port in its switch; any domain has the same ones
};

struct SwitchFacts {
  SwitchPort uplink;
  // Whose functions the eSwitch's are: others', in the same domain (a bond, a multiport eSwitch), are not
  // asked for.
  int controller = 0;
  int pf = 0;
  std::vector<RepresentorRange> ranges;
  std::vector<SwitchPort> ports;  // of all switches, the uplink among them or not
};

// The ethdevs of VFs 0 to count - 1, in order.
//   NOT_FOUND            FUNCTION_MISSING    no ethdev of the domain is this VF's
//   FAILED_PRECONDITION  FUNCTION_AMBIGUOUS  several are
Result<std::vector<std::uint16_t>> find_functions(const SwitchFacts& facts, std::uint16_t count);

// Whether DPDK has an ethdev of this name.
bool has_ethdev(const std::string& name);

// What DPDK says now. `uplink`: the name of its ethdev. Call from the control thread.
//   UNAVAILABLE          PORT_FAILED         DPDK does not answer
//   FAILED_PRECONDITION  NOT_AN_ESWITCH      the ethdev is no port of a switch, or not its uplink
Result<SwitchFacts> read_switch(const std::string& uplink);

}  // namespace berth::dataplane::dpdk
