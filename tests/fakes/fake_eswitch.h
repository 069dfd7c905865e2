// An eSwitch that holds rules and answers, and carries only what is injected, which leaves no trace but the
// counts of the rules that it took. Has a size, refuses what it is told to refuse, and a jump that does not
// go forward (HP-03). Lies if it is told to.
#pragma once

#include "dataplane/eswitch.h"
#include "dataplane/explain/explain.h"
#include "dataplane/pipeline.h"
#include "dataplane/slowpath/responder.h"

#include <algorithm>
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

  Task<std::vector<dataplane::HeldRule>> read_rules(dataplane::RuleFilter which) override {
    if (before_read) before_read();
    std::vector<dataplane::HeldRule> found;
    for (const auto& [key, rule] : rules) {
      if (which.owner && rule.owner != *which.owner) continue;
      if (which.keys && std::ranges::find(*which.keys, key) == which.keys->end()) continue;
      const Count count = told(key);
      found.push_back({.rule = rule, .packets = count.packets, .bytes = count.bytes});
    }
    most_rules_read = std::max(most_rules_read, found.size());
    if (stale_reads_ != 0) --stale_reads_;
    if (after_read) {
      const auto waited = co_await after_read();
      if (!waited) co_return pass(waited);
    }
    co_return found;
  }

  // A rule holder that is away.
  bool refuse_reads = false;

  Task<std::vector<dataplane::RuleDigest>> read_digests() override {
    if (refuse_reads) co_return fail(Code::kUnavailable, "ESWITCH_AWAY", "told to be away");
    dataplane::RuleDigests digests;
    for (const auto& [key, rule] : rules) digests.add(rule);
    co_return digests.list();
  }

  std::function<void()> before_read;
  std::size_t most_rules_read = 0;  // at once

  // Where packets of the eSwitch's own rules really go, if not where the rules say.
  std::function<bool(const dataplane::Rule&)> does_not_match;  // held, and takes no packet
  std::function<bool(const dataplane::Rule&)> does_not_count;  // takes packets, and its counter stands still
  std::function<dataplane::Rule(const dataplane::Rule&)> acts_like;  // held as this, acts as that
  std::size_t copies = 1;                                            // of every frame that is injected
  // Reads after an injection that tell the counts of before it.
  std::size_t late_reads = 0;
  // What is held up, or refused, before a frame gets in.
  std::function<Task<void>()> before_inject;
  std::vector<dataplane::InjectedFrame> injected;
  bool cannot_inject = false;

  Task<void> inject(std::vector<dataplane::InjectedFrame> frames) override {
    const auto good = check(frames);
    if (!good) co_return pass(good);
    if (before_inject) {
      const auto waited = co_await before_inject();
      if (!waited) co_return pass(waited);
    }
    before_ = counts_;
    stale_reads_ = late_reads;
    for (const auto& frame : frames) {
      for (std::size_t i = 0; i < copies; ++i) execute(frame.from, frame.bytes);
    }
    injected.insert(injected.end(), frames.begin(), frames.end());
    co_return Result<void>();
  }

  // What a frame from that port counts; also for others' traffic.
  void execute(dataplane::EswitchPort from, const std::vector<std::uint8_t>& bytes) {
    const auto packet = dataplane::parse_frame(bytes);
    if (!packet) return;
    std::vector<dataplane::HeldRule> acting;
    for (const auto& [key, rule] : rules) {
      if (does_not_match && does_not_match(rule)) continue;
      acting.push_back({.rule = acts_like ? acts_like(rule) : rule});
    }
    std::uint64_t size = bytes.size();
    for (const auto& step : dataplane::explain(acting, from, *packet).steps) {
      const dataplane::Rule& rule = step.rule->rule;
      if (rule.actions.count && !(does_not_count && does_not_count(rule))) {
        counts_[rule.key].packets += 1;
        counts_[rule.key].bytes += size;
      }
      if (rule.actions.decap) size -= dataplane::vxlan_overhead_bytes(packet->ip->dst.family());
    }
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

  // Holds a reader of the slow path up, if set.
  std::function<Task<void>()> before_slow_path_read;

  Task<std::vector<dataplane::SlowPathState>> read_slow_path(
      std::optional<dataplane::EswitchPort> only) override {
    if (before_slow_path_read) {
      const auto waited = co_await before_slow_path_read();
      if (!waited) co_return pass(waited);
    }
    if (refuse_reads) co_return fail(Code::kUnavailable, "ESWITCH_AWAY", "told to be away");
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

  // It has started anew: no rules, no answers, no counts.
  void start_anew() {
    rules.clear();
    counts_.clear();
    before_.clear();
    discounts_.clear();
    responder_ = dataplane::slowpath::Responder(function_count_ + 1U);
  }

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
  struct Count {
    std::uint64_t packets = 0;
    std::uint64_t bytes = 0;
  };

  Count told(const dataplane::RuleKey& key) {
    const auto& counts = stale_reads_ == 0 ? counts_ : before_;
    const auto found = counts.find(key);
    if (found == counts.end()) return {};
    const auto discount = discounts_.find(key);
    if (discount == discounts_.end()) return found->second;
    return {.packets = found->second.packets - std::min(found->second.packets, discount->second.packets),
            .bytes = found->second.bytes - std::min(found->second.bytes, discount->second.bytes)};
  }

  Result<void> check(const std::vector<dataplane::InjectedFrame>& frames) const {
    if (cannot_inject) return fail(Code::kUnimplemented, "PROBE_NOT_SUPPORTED", "told to be a NIC");
    if (frames.size() > dataplane::kMaxInjectedFrames)
      return fail(Code::kInvalidArgument, "TOO_MANY_FRAMES", "too many");
    for (const auto& frame : frames) {
      if (frame.from.number() > function_count_) return fail(Code::kNotFound, "PORT_UNKNOWN", "no such port");
      if (frame.bytes.size() < dataplane::kMinInjectedBytes ||
          frame.bytes.size() > dataplane::kMaxInjectedBytes)
        return fail(Code::kInvalidArgument, "FRAME_SIZE", "a frame of that size");
    }
    return {};
  }

  void forget_count(const dataplane::RuleKey& key) {
    counts_.erase(key);
    before_.erase(key);
    discounts_.erase(key);
  }

  Result<void> apply_one(const dataplane::RuleChange& change) {
    if (const auto* remove = std::get_if<dataplane::RemoveRule>(&change)) {
      const auto held = rules.find(remove->key);
      if (held == rules.end()) return {};
      if (refuse_remove == held->second.purpose)
        return fail(Code::kHardwareRejected, "RULE_REFUSED", "told to refuse");
      rules.erase(held);
      forget_count(remove->key);
      return {};
    }
    if (const auto* discount = std::get_if<dataplane::DiscountRule>(&change)) {
      if (!rules.contains(discount->key)) return {};
      discounts_[discount->key].packets += discount->packets;
      discounts_[discount->key].bytes += discount->bytes;
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
    if (!rule.actions.count) forget_count(rule.key);
    return {};
  }

  std::map<dataplane::RuleKey, Count> counts_;
  std::map<dataplane::RuleKey, Count> before_;  // the last injection
  std::map<dataplane::RuleKey, Count> discounts_;
  std::size_t stale_reads_ = 0;
  dataplane::slowpath::Responder responder_;
  std::uint16_t function_count_;
};

}  // namespace berth::testing
