// berthd beside a rule holder in a process of its own (berth-eswitchd): waits for it at the start, follows it
// from then on.
#pragma once

#include "agent/agent.h"
#include "base/task.h"
#include "dataplane/remote/remote_eswitch.h"

#include <chrono>
#include <cstdint>
#include <functional>

namespace berth::agent {

// What a start, or the return of the holder, has found and done.
void log_adoption(const Adoption& adopted, std::chrono::steady_clock::time_point begun);

// The first session, or why there is none after ten seconds: nothing can be done without.
Task<void> wait_for_holder(dataplane::remote::RemoteEswitch& eswitch);

// After every absence of the holder, until cancelled: what it holds is compared, and made right.
// `epoch_in_step`: what it holds was right then. `is_in_step` is told when it goes, and when all is right
// again.
asio::awaitable<void> follow_holder(Agent& agent, dataplane::remote::RemoteEswitch& eswitch,
                                    std::uint64_t epoch_in_step, std::function<void(bool)> is_in_step);

}  // namespace berth::agent
