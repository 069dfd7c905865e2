#include "agent/interface_steps.h"

namespace berth::agent {

StepOutcome both(StepOutcome first, StepOutcome second) {
  if (second.status == host::StepStatus::kDone) first.status = host::StepStatus::kDone;
  if (!first.detail.empty() && !second.detail.empty()) first.detail += "; ";
  first.detail += second.detail;
  return first;
}

}  // namespace berth::agent
