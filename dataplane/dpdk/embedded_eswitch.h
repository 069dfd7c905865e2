// The eSwitch engine inside this process: its own control thread (the only one that makes DPDK's control
// calls), a thread for the slow path, and, for the software eSwitch, a worker thread that forwards packets.
#pragma once

#include "base/eswitch_config.h"
#include "dataplane/dpdk/steering_mode.h"
#include "dataplane/eswitch.h"

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace berth::dataplane::dpdk {

// The DPDK device behind a port of the software eSwitch.
struct Backing {
  std::string name;       // "net_vhost0": driver and instance
  std::string arguments;  // "iface=/run/berth/vf0.sock"
};
Backing af_packet_backing(const std::string& netdev);
// A vhost-user socket on which the eSwitch listens; `index` tells instances apart.
Backing vhost_user_backing(std::size_t index, const std::string& socket);

struct SoftEswitchOptions {
  Backing uplink;
  std::vector<Backing> functions;        // the index is the function's
  std::uint16_t unbacked_functions = 0;  // behind the others; PortState::is_unbacked
  bool use_hugepages = false;
  SteeringMode steering = SteeringMode::kSoftware;
};

// Where the VM's side of a function connects.
std::filesystem::path function_socket(const std::filesystem::path& socket_dir, std::uint16_t index);
// The software eSwitch as a host's configuration wants it. Makes the folder of the sockets; those of a killed
// predecessor are removed. FAILED_PRECONDITION (SOCKET_DIR).
Result<SoftEswitchOptions> prepare_ports(const UnderlayConfig& underlay, const EswitchConfig& eswitch);

class EmbeddedEswitch : public Eswitch {
 public:
  // Starts DPDK and the software eSwitch in this process. Once per process. Blocks for about 200 ms,
  // before anything else of the process runs.
  static Result<std::unique_ptr<EmbeddedEswitch>> open_soft(const SoftEswitchOptions& options);
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
