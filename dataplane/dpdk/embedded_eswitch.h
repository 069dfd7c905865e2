// The eSwitch engine inside this process: its own control thread (the only one that calls DPDK) and,
// for the software eSwitch, a worker thread that forwards packets.
#pragma once

#include "dataplane/eswitch.h"

#include <memory>
#include <string>
#include <vector>

namespace berth::dataplane::dpdk {

struct SoftEswitchOptions {
  // Network device of the wire, read and written by AF_PACKET.
  std::string uplink_device;
  // vhost-user sockets of the functions; the index is the function's.
  std::vector<std::string> sockets;
  bool use_hugepages = false;
};

class EmbeddedEswitch : public Eswitch {
 public:
  // Starts DPDK and the software eSwitch in this process. Once per process. Blocks for about 200 ms,
  // before anything else of the process runs.
  static Result<std::unique_ptr<EmbeddedEswitch>> open_soft(const SoftEswitchOptions& options);
  // Stops forwarding, then the ports. No call may be in flight.
  ~EmbeddedEswitch() override;

  Task<std::vector<Result<void>>> apply(std::vector<RuleChange> changes) override;
  Task<std::vector<HeldRule>> read_rules(std::optional<EswitchPort> owner) override;
  Task<std::vector<PortState>> read_ports() override;

 private:
  class Impl;
  explicit EmbeddedEswitch(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace berth::dataplane::dpdk
