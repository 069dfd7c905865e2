// A function driver that really keeps track of where a function is, and fails by name of the step.
#pragma once

#include "host/function_driver.h"

#include <functional>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace berth::testing {

class FakeDriver : public host::FunctionDriver {
 public:
  // The step of this name fails, as often as it is called while the name is here.
  std::set<std::string> failing;
  // The same at one function only.
  std::set<std::pair<std::string, std::uint16_t>> failing_at;
  // Functions that a VM has now.
  std::map<std::uint16_t, VmId> plugged;
  std::set<std::uint16_t> bound;
  std::set<std::uint16_t> dirty;                 // plugged once, not reset since
  std::map<std::uint16_t, std::uint64_t> rates;  // from the VM
  // Hold a VM up at these steps, if set.
  std::function<Task<void>()> before_plug;
  std::function<Task<void>()> before_unplug;

  // Hears of everything that is done to a function, if somebody wants to know.
  std::function<void()> on_change;

  std::string_view kind() const override { return "fake"; }
  // As the real ones: what a VM has is not prepared for anybody.
  Task<host::StepOutcome> prepare(host::PrepareArgs args) override {
    if (plugged.contains(args.function.index))
      co_return fail(Code::kFailedPrecondition, "GROUP_HELD", "a VM has it");
    rates[args.function.index] = args.max_rate_from_vm;
    co_return co_await step("prepare");
  }
  Task<host::StepOutcome> expose(host::PrepareArgs) override { return step("expose"); }
  Task<host::StepOutcome> bind(host::Function function) override {
    if (!failing.contains("bind")) bound.insert(function.index);
    return step("bind");
  }
  Task<host::StepOutcome> plug(host::Function function, VmId vm) override {
    if (before_plug) {
      const auto waited = co_await before_plug();
      if (!waited) co_return pass(waited);
    }
    dirty.insert(function.index);  // a plug that fails may have got half-way
    if (on_change) on_change();
    if (!failing.contains("plug")) plugged.emplace(function.index, vm);
    co_return co_await step("plug");
  }
  Task<host::StepOutcome> unplug(host::Function function, VmId) override {
    if (before_unplug) {
      const auto waited = co_await before_unplug();
      if (!waited) co_return pass(waited);
    }
    if (!failing.contains("unplug")) plugged.erase(function.index);
    co_return co_await step("unplug");
  }
  Task<host::StepOutcome> unbind(host::Function function) override {
    if (!failing.contains("unbind")) bound.erase(function.index);
    return step("unbind");
  }
  Task<host::StepOutcome> reset(host::Function function) override {
    if (failing_at.contains({"reset", function.index}))
      co_return fail(Code::kInternal, "TOLD_TO_FAIL", "reset was told to fail");
    if (!failing.contains("reset")) dirty.erase(function.index);
    co_return co_await step("reset");
  }

  Task<host::StepOutcome> set_rate(host::PrepareArgs args) override {
    if (!failing.contains("set_rate")) rates[args.function.index] = args.max_rate_from_vm;
    return step("set_rate");
  }

  // A VM that has lost what it was given.
  Task<std::vector<std::string>> find_drift(host::PrepareArgs args, VmId vm) override {
    std::vector<std::string> lines;
    if (!plugged.contains(args.function.index))
      lines.push_back(vm.str() + " runs without vf" + std::to_string(args.function.index));
    co_return lines;
  }
  Task<void> repair(host::PrepareArgs args, VmId vm) override {
    const auto again = co_await plug(args.function, vm);
    if (!again) co_return pass(again);
    co_return Result<void>();
  }

 private:
  Task<host::StepOutcome> step(std::string name) {
    if (on_change) on_change();
    if (failing.contains(name)) co_return fail(Code::kInternal, "TOLD_TO_FAIL", name + " was told to fail");
    co_return host::StepOutcome{};
  }
};

}  // namespace berth::testing
