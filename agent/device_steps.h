// The devices that go along with a VM's interfaces: each takes the same steps as an interface's function,
// after those on the way in and before them on the way out. All or nothing: the first that fails ends the
// step.
#pragma once

#include "agent/attachment.h"
#include "base/task.h"
#include "host/passthrough.h"

namespace berth::agent {

// The attachment's device number `index` as a device of its VM.
host::VmDevice vm_device(const Attachment& attachment, std::size_t index);

// LIFETIME: `passthrough` outlives the call. nullptr: this host gives nobody a device, and no intent has one.
Task<host::StepOutcome> bind_devices(host::Passthrough* passthrough, Attachment attachment);
Task<host::StepOutcome> plug_devices(host::Passthrough* passthrough, Attachment attachment);
Task<host::StepOutcome> unplug_devices(host::Passthrough* passthrough, Attachment attachment);
Task<host::StepOutcome> unbind_devices(host::Passthrough* passthrough, Attachment attachment);
Task<host::StepOutcome> reset_devices(host::Passthrough* passthrough, Attachment attachment);

}  // namespace berth::agent
