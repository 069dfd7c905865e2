// Test-only: a whole net_berth in this process, with rings where wires and VMs would be.
//
// Port 0 is the uplink, 1.. are the functions, as the switch itself numbers them. `wire_in(1, p)` is a packet
// that VM 1 sends; `wire_out(0)` is what has left through the uplink; `agent_in/out` are the representors.
#pragma once

#include "dataplane/soft/field_vector.h"
#include "tests/unit/soft/packet.h"

#include <cstdint>
#include <string>
#include <vector>

#include <rte_flow.h>
#include <rte_mempool.h>
#include <rte_ring.h>

namespace berth::soft::test {

class SwitchHarness {
 public:
  // A small flow cache by default; tests of the long way switch it off with ",flow_cache=0".
  explicit SwitchHarness(std::size_t functions = 2, const std::string& more_arguments = ",flow_cache=1024");
  ~SwitchHarness();
  SwitchHarness(const SwitchHarness&) = delete;
  SwitchHarness& operator=(const SwitchHarness&) = delete;

  // Rule text as flow_text.h has it, with "uplink", "vf0", "vf1" .. for ethdev ids, "from:vf0" for
  // the source port item and "to:uplink" for the port action.
  rte_flow* create(const std::string& rule);     // fails the test when refused
  std::string refusal(const std::string& rule);  // "" or "errno: message"
  rte_flow_query_count count(rte_flow* rule, bool reset = false);
  void destroy(rte_flow* rule);
  std::string dump();

  void wire_in(PortIndex port, const Bytes& packet);
  void agent_in(PortIndex port, const Bytes& packet);
  std::vector<Bytes> wire_out(PortIndex port);
  std::vector<Bytes> agent_out(PortIndex port);
  // Until nothing moves any more.
  void run();
  std::uint32_t run_once();

  // Stops all ports (representors first), or starts them again.
  void stop_ports();
  void start_ports();
  std::string with_ids(std::string rule) const;

  std::uint16_t ethdev(PortIndex port) const { return ethdevs_.at(port); }
  std::uint64_t xstat(PortIndex port, const std::string& name) const;
  const std::string& name() const { return name_; }

 private:
  struct Wire {
    rte_ring* in = nullptr;
    rte_ring* out = nullptr;
    std::string backing;
  };
  rte_mbuf* mbuf_of(const Bytes& packet);
  void start_port(std::uint16_t id);

  std::string name_;
  std::vector<Wire> wires_;
  std::vector<std::uint16_t> ethdevs_;
  rte_mempool* pool_ = nullptr;
  std::uint32_t service_ = 0;
};

}  // namespace berth::soft::test
