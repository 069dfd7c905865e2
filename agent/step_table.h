// A workflow is a table of named steps, taken in order; each leaves a line with its time in the
// operation. The tables are in attach_workflow.cc and detach_workflow.cc.
#pragma once

#include "agent/operation.h"
#include "base/task.h"
#include "host/function_driver.h"

#include <chrono>
#include <span>
#include <string_view>
#include <utility>

namespace berth::agent {

using host::StepOutcome;

inline StepOutcome done(std::string detail = {}) {
  return {host::StepStatus::kDone, std::move(detail)};
}

inline StepRecord make_record(std::string_view name, const Result<StepOutcome>& outcome,
                              std::chrono::steady_clock::time_point begun) {
  const auto took =
      std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - begun);
  if (!outcome) return {std::string(name), StepStatus::kFailed, outcome.error().message, took};
  const bool applicable = outcome->status == host::StepStatus::kDone;
  return {std::string(name), applicable ? StepStatus::kDone : StepStatus::kNotApplicable, outcome->detail,
          took};
}

template <typename Workflow>
struct Step {
  std::string_view name;
  Task<StepOutcome> (Workflow::*run)();
};

// Takes the steps in order and records each in `records`; ends with the first that fails.
template <typename Workflow>
Task<void> take_steps(Workflow& workflow, std::span<const Step<Workflow>> steps,
                      std::vector<StepRecord>& records) {
  for (const Step<Workflow>& step : steps) {
    const auto begun = std::chrono::steady_clock::now();
    const auto outcome = co_await (workflow.*step.run)();
    records.push_back(make_record(step.name, outcome, begun));
    if (!outcome) co_return pass(outcome, step.name);
  }
  co_return Result<void>();
}

}  // namespace berth::agent
