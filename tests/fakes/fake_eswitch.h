// An eSwitch that holds rules and answers, and carries nothing. Has a size, refuses what it is told to
// refuse, and a jump that does not go forward (HP-03).
#pragma once

#include "dataplane/eswitch.h"
#include "dataplane/slowpath/responder.h"

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

namespace berth::testing {

class FakeEswitch : public dataplane::Eswitch {
 public:
  explicit FakeEswitch(std::uint16_t function_count)
      : responder_(function_count + 1U), function_count_(function_count) {}

  // Called before each addition; an error is the device's answer.
  std::function<Result<void>(const dataplane::Rule&)> refuse_add;
  // A refusal of removals of this purpose.
  std::optional<dataplane::Purpose> refuse_remove;
  std::size_t capacity = 1000000;
  // Every state of the rule table that packets have seen, if somebody wants to know.
  std::function<void()> on_change;

  // Holds a change up before anything of it is done, if set.
  std::function<Task<void>()> before_apply;

  Task<std::vector<Result<void>>> apply(std::vector<dataplane::RuleChange> changes) override {
    if (before_apply) {
      const auto waited = co_await before_apply();
      if (!waited) co_return pass(waited);
    }
    std::vector<Result<void>> outcomes;
    for (const auto& change : changes) {
      outcomes.push_back(apply_one(change));
      if (on_change) on_change();
    }
    co_return outcomes;
  }

  // Holds a reader up with what it has read, if set.
  std::function<Task<void>()> after_read;

  Task<std::vector<dataplane::HeldRule>> read_rules(std::optional<dataplane::EswitchPort> owner) override {
    std::vector<dataplane::HeldRule> found;
    for (const auto& [key, rule] : rules) {
      if (!owner || rule.owner == *owner) found.push_back({.rule = rule});
    }
    if (after_read) {
      const auto waited = co_await after_read();
      if (!waited) co_return pass(waited);
    }
    co_return found;
  }

  Task<std::vector<dataplane::RuleDigest>> read_digests() override {
    dataplane::RuleDigests digests;
    for (const auto& [key, rule] : rules) digests.add(rule);
    co_return digests.list();
  }

  // As if somebody else had been at it.
  std::uint64_t epoch_now = 0;
  std::uint64_t epoch() const override { return epoch_now; }

  Task<std::vector<dataplane::PortState>> read_ports() override {
    std::vector<dataplane::PortState> ports(1);  // the uplink
    for (std::uint16_t i = 0; i < function_count_; ++i) {
      const auto port = dataplane::EswitchPort::function(i);
      ports.push_back({.port = port, .ethdev_port_id = port.number()});
    }
    co_return ports;
  }

  // The real responder, which no frame ever reaches: it knows which answers are good.
  Task<void> set_answers(dataplane::EswitchPort port,
                         std::optional<dataplane::PortAnswers> answers) override {
    if (refuse_answers) {
      if (auto refused = refuse_answers(port); !refused) co_return pass(refused);
    }
    co_return responder_.set_answers(port, std::move(answers), {});
  }

  Task<std::vector<dataplane::SlowPathState>> read_slow_path(
      std::optional<dataplane::EswitchPort> only) override {
    if (only && only->number() > function_count_)
      co_return fail(Code::kNotFound, "PORT_UNKNOWN", "there is no such port");
    std::vector<dataplane::SlowPathState> states(1);  // the uplink
    for (std::uint16_t i = 0; i < function_count_; ++i) {
      const auto port = dataplane::EswitchPort::function(i);
      states.push_back(
          {.port = port, .answers = responder_.answers(port), .counters = responder_.counters(port)});
    }
    if (only) states = {states[only->number()]};
    co_return states;
  }

  // Called before answers are set; an error is the outcome.
  std::function<Result<void>(dataplane::EswitchPort)> refuse_answers;

  std::size_t count(dataplane::Purpose purpose) const {
    std::size_t found = 0;
    for (const auto& [key, rule] : rules) found += rule.purpose == purpose ? 1 : 0;
    return found;
  }
  bool names(dataplane::EswitchPort port) const {
    for (const auto& [key, rule] : rules) {
      const auto* deliver = std::get_if<dataplane::Deliver>(&rule.actions.fate);
      if (key.match.source == port || rule.owner == port || (deliver != nullptr && deliver->port == port))
        return true;
    }
    return false;
  }

  std::map<dataplane::RuleKey, dataplane::Rule> rules;

 private:
  Result<void> apply_one(const dataplane::RuleChange& change) {
    if (const auto* remove = std::get_if<dataplane::RemoveRule>(&change)) {
      const auto held = rules.find(remove->key);
      if (held == rules.end()) return {};
      if (refuse_remove == held->second.purpose)
        return fail(Code::kHardwareRejected, "RULE_REFUSED", "told to refuse");
      rules.erase(held);
      return {};
    }
    const dataplane::Rule& rule = std::get<dataplane::AddRule>(change).rule;
    if (refuse_add) {
      if (auto refused = refuse_add(rule); !refused) return refused;
    }
    const auto* jump = std::get_if<dataplane::JumpTo>(&rule.actions.fate);
    if (jump != nullptr && jump->group <= rule.key.group)
      return fail(Code::kHardwareRejected, "RULE_REFUSED", "jump goes back");
    if (!rules.contains(rule.key) && rules.size() >= capacity)
      return fail(Code::kResourceExhausted, "ESWITCH_FULL", "full");
    rules.insert_or_assign(rule.key, rule);
    return {};
  }

  dataplane::slowpath::Responder responder_;
  std::uint16_t function_count_;
};

}  // namespace berth::testing
