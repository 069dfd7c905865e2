// The eSwitch engine inside this process: its own control thread (the only one that makes DPDK's control
// calls), a thread for the slow path, and, for the software eSwitch, a worker thread that forwards packets.
#pragma once

#include "dataplane/dpdk/devices.h"
#include "dataplane/eswitch.h"

#include <memory>
#include <vector>

namespace berth::dataplane::dpdk {

class EmbeddedEswitch : public Eswitch {
 public:
  // Starts DPDK and the eSwitch in this process. Once per process. Blocks for about 200 ms (of a NIC: not
  // known), before anything else of the process runs. UNAVAILABLE (EAL_FAILED), errors of Engine::open(), and
  // of a NIC NOT_FOUND (NIC_NOT_PROBED: DPDK took the device's arguments and made no port of it).
  static Result<std::unique_ptr<EmbeddedEswitch>> open_soft(const SoftEswitchOptions& options);
  // Never run on a NIC: devices.h. What a NIC must be before: host/eswitch_nic.h.
  static Result<std::unique_ptr<EmbeddedEswitch>> open_nic(const NicEswitchOptions& options);
  // Stops forwarding, then the ports. No call may be in flight.
  ~EmbeddedEswitch() override;

  Task<std::vector<Result<void>>> apply(std::vector<RuleChange> changes) override;
  Task<std::vector<HeldRule>> read_rules(RuleFilter which) override;
  Task<std::vector<RuleDigest>> read_digests() override;
  Task<std::vector<PortState>> read_ports() override;
  Task<void> set_answers(EswitchPort port, std::optional<PortAnswers> answers) override;
  Task<std::vector<SlowPathState>> read_slow_path(std::optional<EswitchPort> port) override;
  Task<void> inject(std::vector<InjectedFrame> frames) override;

 private:
  class Impl;
  explicit EmbeddedEswitch(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace berth::dataplane::dpdk
