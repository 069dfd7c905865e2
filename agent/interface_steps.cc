#include "agent/interface_steps.h"

namespace berth::agent {

host::PrepareArgs prepare_args(const Interface& interface) {
  return {.function = interface.function,
          .mtu_bytes = interface.intent.mtu_bytes,
          .max_rate_from_vm = interface.intent.rates.from_vm};
}

StepOutcome both(StepOutcome first, StepOutcome second) {
  if (second.status == host::StepStatus::kDone) first.status = host::StepStatus::kDone;
  if (!first.detail.empty() && !second.detail.empty()) first.detail += "; ";
  first.detail += second.detail;
  return first;
}

}  // namespace berth::agent
