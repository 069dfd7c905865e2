// The way out of a VM, for everything that an attachment has given it: its devices first, then the functions
// of its interfaces. All or nothing: the first that fails ends the step.
#pragma once

#include "agent/services.h"
#include "agent/step_table.h"

namespace berth::agent {

// LIFETIME: `services` outlives the call.
Task<StepOutcome> unplug_all(Services& services, Attachment attachment);
Task<StepOutcome> unbind_all(Services& services, Attachment attachment);
Task<StepOutcome> reset_all(Services& services, Attachment attachment);

}  // namespace berth::agent
