// What starts an attachment's VM with its port in it. A function of the attachment alone, so it can be asked
// for at any time: for a VM that does not run yet, and for one that is started anew.
#pragma once

#include "agent/attachment.h"
#include "host/vm_plug.h"

namespace berth::agent {

host::StartArguments start_arguments(const Attachment& attachment);

}  // namespace berth::agent
