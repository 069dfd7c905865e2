// A workflow is a table of named steps, taken in order; each leaves a line with its time in the
// operation. The tables are in attach_workflow.cc and detach_workflow.cc.
#pragma once

#include "agent/operation.h"
#include "base/task.h"
#include "host/function_driver.h"

#include <algorithm>
#include <chrono>
#include <functional>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

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

struct StepPolicy {
  // Asked before every step; an error ends the workflow there.
  std::function<Result<void>()> may_go_on = [] { return Result<void>(); };
  // A step that fails because somebody is not there just now (UNAVAILABLE) is taken again, with back-off,
  // until so much time has passed since the first such failure of the workflow.
  std::chrono::milliseconds patience{0};
};

// Takes the steps in order and records each in `records`; ends with the first that fails.
template <typename Workflow>
Task<void> take_steps(Workflow& workflow, std::span<const Step<Workflow>> steps,
                      std::vector<StepRecord>& records, StepPolicy policy = {}) {
  constexpr std::chrono::milliseconds kFirstPause{50};
  constexpr std::chrono::milliseconds kLongestPause{1000};
  std::optional<std::chrono::steady_clock::time_point> give_up;
  for (const Step<Workflow>& step : steps) {
    if (const auto wanted = policy.may_go_on(); !wanted) co_return wanted;
    const auto begun = std::chrono::steady_clock::now();
    auto pause = kFirstPause;
    for (std::size_t tries = 1;; ++tries) {
      auto outcome = co_await (workflow.*step.run)();
      const auto now = std::chrono::steady_clock::now();
      const bool is_away = !outcome && outcome.error().code == Code::kUnavailable;
      if (is_away && !give_up) give_up = now + policy.patience;
      if (is_away && now + pause < *give_up && policy.may_go_on()) {
        const auto slept = co_await sleep_for(pause);
        if (!slept) co_return slept;
        pause = std::min(2 * pause, kLongestPause);
        continue;
      }
      records.push_back(make_record(step.name, outcome, begun));
      if (tries > 1) records.back().detail += fmt::format(" ({} tries)", tries);
      if (!outcome) co_return pass(outcome, step.name);
      break;
    }
  }
  co_return Result<void>();
}

}  // namespace berth::agent
