// A step that each interface of an attachment takes, one after the other, in the order that was asked for.
// All or nothing: the first that fails ends the step.
#pragma once

#include "agent/attachment.h"
#include "agent/step_table.h"
#include "base/task.h"

#include <utility>
#include <vector>

#include <fmt/format.h>

namespace berth::agent {

// What the steps prepare and expose are told.
host::PrepareArgs prepare_args(const Interface& interface);

// Two parts of one step.
StepOutcome both(StepOutcome first, StepOutcome second);

// `take` makes a Task<StepOutcome> of an interface, and lives until that has ended.
template <typename Take>
Task<StepOutcome> for_each_interface(std::vector<Interface> interfaces, Take take) {
  StepOutcome all{.status = host::StepStatus::kNotApplicable};
  const bool are_several = interfaces.size() > 1;  // then each says which it is
  for (std::size_t i = 0; i < interfaces.size(); ++i) {
    const std::string name = fmt::format("vf{}", interfaces[i].function.index);
    auto outcome = co_await take(interfaces[i]);
    if (!outcome && are_several) co_return pass(outcome, name);
    if (!outcome) co_return pass(outcome);
    if (are_several && !outcome->detail.empty()) outcome->detail = name + " " + outcome->detail;
    all = i == 0 ? *std::move(outcome) : both(std::move(all), *std::move(outcome));
  }
  co_return all;
}

}  // namespace berth::agent
