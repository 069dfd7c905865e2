// Sends a probe's frames through the real rules of a VM and reads what they counted: the step between "the
// rules are in" and "the VM may have it". What is sent and what is expected is in probe.h.
//
// All frames at once first, while others change rules as they like. When that does not add up, one frame
// after the other with the rules held still: then the rule where its way breaks can be named, and a failure
// is only ever told from there.
#pragma once

#include "agent/probe.h"
#include "agent/reconciler.h"
#include "host/function_driver.h"

#include <chrono>

namespace berth::agent {

struct ProbeLimits {
  // The eSwitch may act on a frame a little later, and tell a count later still.
  std::chrono::milliseconds patience{500};
  std::chrono::microseconds first_pause{100};  // doubles from there
  std::size_t rounds = 3;                      // with all frames, while rules keep changing
  std::size_t tries = 3;                       // of one frame
};

class Prober {
 public:
  // `eswitch`, `reconciler` and `vpcs` outlive it. The gate of `interface` is open and nobody has its
  // function.
  Prober(dataplane::Eswitch& eswitch, Reconciler& reconciler, const VpcStore& vpcs, Interface interface,
         ProbeLimits limits);

  // Done; or not applicable, where the eSwitch takes no frames of the agent's. DATA_LOSS (PROBE_FAILED)
  // naming the rule where the way of a frame breaks. Call once.
  Task<host::StepOutcome> run();

 private:
  struct Trial {
    ProbeVerdict verdict;
    std::vector<ProbeFrame> sent;
  };

  // Of all frames, or of the one with this number. A plan that cannot be made is a verdict.
  Task<Trial> try_frames(std::optional<std::size_t> only);
  // With the rules held still. Returns why it failed, or nothing.
  Task<std::string> try_alone(std::size_t number);
  Task<std::string> try_one_by_one();
  // Whether rules of the port count while nothing is sent: somebody else sends to the VM already.
  Task<bool> has_other_traffic();
  Task<Readings> read_watched();
  Task<host::StepOutcome> finish();
  Result<ProbeSubject> make_subject() const;

  dataplane::Eswitch& eswitch_;
  Reconciler& reconciler_;
  const VpcStore& vpcs_;
  const Interface interface_;
  const ProbeLimits limits_;
  ProbePlan plan_;                  // of the last trial
  std::vector<ProbeFrame> proven_;  // frames that took their ways
  std::vector<ProbeFrame> late_;    // that were not seen to, and whose rules have been proven later
  bool others_send_ = false;
};

}  // namespace berth::agent
