// What starts an attachment's VM with its port in it, and with its devices. A function of the attachment
// alone, so it can be asked for at any time: for a VM that does not run yet, and for one that is started
// anew.
#pragma once

#include "agent/attachment.h"
#include "host/vm_plug.h"

#include <cstddef>

namespace berth::agent {

// Empty for a function that has no place on this host yet.
host::StartArguments start_arguments(const Interface& interface);
// Of the attachment's device number `index`.
host::StartArguments device_start_arguments(const Attachment& attachment, std::size_t index);

}  // namespace berth::agent
