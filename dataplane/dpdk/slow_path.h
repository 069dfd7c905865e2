// The slow path of a DPDK eSwitch: packets that no rule took reach the ethdev that stands for their source
// port (the representor); this answers them there, as the VM's gateway.
//
// A thread of its own, because the three others will not do: the control thread may be busy with a long batch
// of rules, the worker forwards (and a NIC has none), and the agent's loop must not touch DPDK. It looks at
// every port, takes at most a burst off each, and sleeps: a VM that floods the slow path costs a bounded
// share of a core and fills its own ring only. A lock stands between it and set_answers() and read(); packets
// that rules forward never meet it.
#pragma once

#include "base/error.h"
#include "dataplane/eswitch.h"
#include "dataplane/slowpath/responder.h"

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

struct rte_mbuf;
struct rte_mempool;

namespace berth::dataplane::dpdk {

// Whether a port of the eSwitch hands out what exceeds an MTU of its own. The software one does; a NIC's
// ports take what the wire takes, and their network device is the host's to set (docs/slow-path.md).
enum class MtuOf : std::uint8_t { kPort, kWire };

class SlowPath {
 public:
  // `ports` are all of the eSwitch's, by EswitchPort::number(), started; queue 0 of each in both directions
  // is this one's alone from now on. Unbacked ones hold answers, and never have a frame to answer. Call from
  // the control thread. RESOURCE_EXHAUSTED (PORT_FAILED).
  static Result<std::unique_ptr<SlowPath>> start(std::vector<PortState> ports, MtuOf mtu,
                                                 slowpath::ResponderLimits limits = {});
  // Returns when the thread has ended; before the ports stop.
  ~SlowPath();
  SlowPath(const SlowPath&) = delete;
  SlowPath& operator=(const SlowPath&) = delete;

  // From any thread; wait for one frame's answer at most. Errors: Responder::set_answers().
  Result<void> set_answers(EswitchPort port, std::optional<PortAnswers> answers);
  std::vector<SlowPathState> read() const;  // in the order of the ports
  // NOT_FOUND (PORT_UNKNOWN).
  Result<SlowPathState> read(EswitchPort port) const;

 private:
  struct Port {
    PortState state;
    std::uint64_t undelivered = 0;  // guarded by mutex_
  };

  SlowPath(std::vector<PortState> ports, MtuOf mtu, slowpath::ResponderLimits limits);
  Result<void> make_pools();
  void run();
  std::size_t serve_port(Port& port);  // number of frames taken
  SlowPathState state_of(const Port& port) const;
  void answer(Port& port, const rte_mbuf& frame);
  void advertise(Port& port);
  void send(Port& port, std::size_t size);

  std::vector<Port> ports_;
  std::size_t backed_count_ = 0;  // the first of them
  MtuOf mtu_;
  mutable std::mutex mutex_;
  slowpath::Responder responder_;  // guarded by mutex_
  // The thread's: the frame at hand where it lies in pieces, and the reply.
  std::array<std::uint8_t, slowpath::kMaxReplyBytes> frame_{};
  std::array<std::uint8_t, slowpath::kMaxReplyBytes> reply_{};
  // LIFETIME: until EAL ends: the eSwitch may hold a packet of theirs for as long as its ports live.
  rte_mempool* small_replies_ = nullptr;
  rte_mempool* large_replies_ = nullptr;  // pings of jumbo packets
  std::atomic<bool> stop_ = false;
  std::thread thread_;
};

}  // namespace berth::dataplane::dpdk
