// Which rules a packet takes, and where and why its way ends. Pure: it follows the rules that an eSwitch
// holds, as the eSwitch would, and touches no packet and no counter.
#pragma once

#include "dataplane/eswitch.h"
#include "dataplane/explain/headers.h"

#include <span>
#include <string>
#include <vector>

namespace berth::dataplane {

struct Explanation {
  struct Step {
    const HeldRule* rule = nullptr;  // LIFETIME: of the rules that were given
    Headers packet;                  // after the rule's actions
  };
  std::vector<Step> steps;

  enum class End : std::uint8_t {
    kDelivered,  // to `port`
    kDropped,    // by the last step's rule
    kMissed,     // no rule of `group` takes it: a miss goes to the agent's slow path
  };
  End end = End::kMissed;
  EswitchPort port;
  std::uint16_t group = 0;
};

// `rules` in any order. A rate limit is taken as not exceeded.
Explanation explain(std::span<const HeldRule> rules, EswitchPort source, const Headers& packet);

// One sentence: "dropped by spoof-drop: the VM sends from an address that is not its own".
std::string say_end(const Explanation& explanation);

}  // namespace berth::dataplane
