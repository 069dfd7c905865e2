// What to change so that a device which holds `held` holds `wanted`. Pure.
#pragma once

#include "dataplane/eswitch.h"

#include <span>
#include <vector>

namespace berth::dataplane {

// Additions come before removals (make before break), additions ordered so that a rule never leads
// into a table that is still empty: later groups first. Removals: earlier groups first.
std::vector<RuleChange> diff_rules(std::span<const Rule> held, std::span<const Rule> wanted);

}  // namespace berth::dataplane
