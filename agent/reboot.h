// What a reboot of the host makes of what was saved before it. All VMs have ended, functions and devices are
// as the host's firmware and drivers leave them, VFs are gone and may come back at other addresses.
#pragma once

#include "agent/state_db.h"

#include <cstdint>
#include <set>
#include <string>

namespace berth::agent {

// `boot` is the host's now (host/boot_id.h). When it is known that it was another one: attachments that have
// more than rules wait to be restored, and nobody knows where a function is. When one of the two is not
// known: as if the host had not been rebooted. On the disk when the agent starts.
void begin_boot(SavedState& saved, std::string boot);

// Functions that somebody may have, and that must not be made anew: none after a reboot.
std::set<std::uint16_t> leased_functions(const SavedState& saved);

}  // namespace berth::agent
