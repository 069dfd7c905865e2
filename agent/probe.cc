#include "agent/probe.h"

#include "agent/probe_frames.h"
#include "dataplane/explain/explain.h"
#include "dataplane/rule_text.h"

#include <algorithm>
#include <set>
#include <utility>

#include <fmt/format.h>

namespace berth::agent {
namespace {

using dataplane::EswitchPort;
using dataplane::Explanation;
using dataplane::HeldRule;
using dataplane::Purpose;
using dataplane::Rule;
using dataplane::RuleKey;

// Where a frame may end.
enum class Ending : std::uint8_t {
  kAtVm,  // delivered, unless the VPC's policy denies it
  kNotAdmitted,
  kNotTerminated,
};

std::string text_of(const Rule& rule) {
  return fmt::format("{} ({})", purpose_name(rule.purpose),
                     format_rule_body(rule, dataplane::berth_numbering));
}

bool is_delivered(const Explanation& way, EswitchPort port) {
  return way.end == Explanation::End::kDelivered && way.port == port;
}

bool is_right(const Explanation& way, EswitchPort port, Ending ending) {
  if (ending == Ending::kAtVm && is_delivered(way, port)) return true;
  if (way.end != Explanation::End::kDropped) return false;
  const Rule& last = way.steps.back().rule->rule;
  if (ending == Ending::kNotTerminated) return last.purpose == Purpose::kUnknownVniDrop;
  if (last.owner != port) return false;
  if (ending == Ending::kNotAdmitted) return last.purpose == Purpose::kSpoofDrop;
  return last.purpose == Purpose::kEgressPolicyDrop || last.purpose == Purpose::kIngressPolicyDrop;
}

class Planner {
 public:
  Planner(const ProbeSubject& subject, std::span<const HeldRule> rules) : subject_(subject), rules_(rules) {
    plan_.port = subject.port;
  }

  Result<ProbePlan> plan() {
    for (const IpAddress& ip : subject_.ips) {
      const std::string family = ip.is_v4() ? "ipv4" : "ipv6";
      const IpAddress stranger = spoofed(ip);
      add(family + " from the VM", Ending::kAtVm,
          [&](Payload payload) { return frame_from_vm(subject_, ip, ip, payload); });
      add(family + " from the wire", Ending::kAtVm,
          [&](Payload payload) { return frame_from_wire(subject_, subject_.vni, ip, payload); });
      add(family + " from a spoofed address", Ending::kNotAdmitted,
          [&](Payload payload) { return frame_from_vm(subject_, stranger, ip, payload); });
      add(family + " with a foreign VNI", Ending::kNotTerminated,
          [&](Payload payload) { return frame_from_wire(subject_, subject_.foreign_vni, ip, payload); });
    }
    if (!fault_.empty()) return fail(Code::kDataLoss, "PROBE_FAILED", fault_);
    for (const HeldRule& held : rules_) {
      if (held.rule.owner == subject_.port && held.rule.actions.count) watched_.insert(held.rule.key);
    }
    plan_.watched.assign(watched_.begin(), watched_.end());
    return std::move(plan_);
  }

 private:
  // Of the payloads, the first that gets through, so that as much of the way as possible is tried.
  template <typename MakeFrame>
  void add(std::string name, Ending ending, MakeFrame make_frame) {
    std::optional<ProbeFrame> chosen;
    for (const Payload payload : kPayloads) {
      const TestFrame made = make_frame(payload);
      const auto packet = dataplane::parse_frame(made.frame.bytes);
      if (!packet) return complain(name, "cannot be built");
      const Explanation way = dataplane::explain(rules_, made.frame.from, *packet);
      if (!is_right(way, subject_.port, ending)) return complain(name, say_end(way));
      const bool is_best = ending != Ending::kAtVm || is_delivered(way, subject_.port);
      if (!chosen || is_best) chosen = to_probe_frame(name, made, way);
      chosen->is_denied = !is_best;
      if (is_best) break;
    }
    for (const ProbeFrame::Step& step : chosen->chain) watched_.insert(step.rule.key);
    plan_.frames.push_back(*std::move(chosen));
  }

  static ProbeFrame to_probe_frame(std::string name, const TestFrame& made, const Explanation& way) {
    ProbeFrame frame{.name = std::move(name), .frame = made.frame, .chain = {}, .end = say_end(way)};
    std::uint64_t bytes = made.frame.bytes.size();
    for (const Explanation::Step& step : way.steps) {
      const Rule& rule = step.rule->rule;
      if (rule.actions.count) frame.chain.push_back({rule, bytes});
      if (rule.actions.decap) bytes = made.inner_bytes;
    }
    return frame;
  }

  void complain(std::string_view name, std::string_view what) {
    if (fault_.empty()) fault_ = fmt::format("the rules are wrong: a frame {} is {}", name, what);
  }

  const ProbeSubject& subject_;
  std::span<const HeldRule> rules_;
  ProbePlan plan_;
  std::set<RuleKey> watched_;
  std::string fault_;
};

// Packets that each rule should have counted.
std::map<RuleKey, std::uint64_t> expectations(std::span<const ProbeFrame> sent) {
  std::map<RuleKey, std::uint64_t> expected;
  for (const ProbeFrame& frame : sent) {
    for (const ProbeFrame::Step& step : frame.chain) ++expected[step.rule.key];
  }
  return expected;
}

// A rule that is not counted in both readings, or is another one in between.
const RuleKey* find_changed(const ProbePlan& plan, const Readings& before, const Readings& after) {
  for (const RuleKey& key : plan.watched) {
    const auto was = before.find(key);
    const auto is = after.find(key);
    if (was == before.end() || is == after.end() || was->second.rule.actions != is->second.rule.actions ||
        is->second.packets < was->second.packets) {
      return &key;
    }
  }
  for (const ProbeFrame& frame : plan.frames) {
    for (const ProbeFrame::Step& step : frame.chain) {
      if (after.at(step.rule.key).rule.actions != step.rule.actions) return &step.rule.key;
    }
  }
  return nullptr;
}

}  // namespace

Result<ProbePlan> plan_probe(const ProbeSubject& subject, std::span<const HeldRule> rules) {
  return Planner(subject, rules).plan();
}

Readings index_readings(std::vector<HeldRule> rules) {
  Readings readings;
  for (HeldRule& held : rules) {
    const RuleKey key = held.rule.key;
    readings.emplace(key, std::move(held));
  }
  return readings;
}

ProbeVerdict judge(const ProbePlan& plan, std::span<const ProbeFrame> sent, const Readings& before,
                   const Readings& after) {
  using State = ProbeVerdict::State;
  if (const RuleKey* changed = find_changed(plan, before, after)) {
    const Rule rule{.key = *changed, .actions = {}, .purpose = {}, .owner = {}};
    return {State::kChanged, fmt::format("a rule is gone or has changed: {}",
                                         format_rule_body(rule, dataplane::berth_numbering))};
  }
  const auto moved = [&](const RuleKey& key) { return after.at(key).packets - before.at(key).packets; };
  const auto expected = expectations(sent);
  for (const ProbeFrame& frame : sent) {
    for (const ProbeFrame::Step& step : frame.chain) {
      const std::uint64_t wanted = expected.at(step.rule.key);
      const std::uint64_t seen = moved(step.rule.key);
      if (seen >= wanted) continue;
      return {State::kShort,
              fmt::format("the frame {} should be {}, and its way ends before {}, which counted {} "
                          "of {}",
                          frame.name, frame.end, text_of(step.rule), seen, wanted)};
    }
  }
  for (const RuleKey& key : plan.watched) {
    const HeldRule& held = after.at(key);
    const auto found = expected.find(key);
    const std::uint64_t wanted = found == expected.end() ? 0 : found->second;
    if (held.rule.owner != plan.port || moved(key) == wanted) continue;
    return {State::kExcess,
            fmt::format("{} counted {} instead of {}", text_of(held.rule), moved(key), wanted)};
  }
  return {};
}

std::vector<dataplane::RuleChange> discounts_of(std::span<const ProbeFrame> sent) {
  std::map<RuleKey, dataplane::DiscountRule> discounts;
  for (const ProbeFrame& frame : sent) {
    for (const ProbeFrame::Step& step : frame.chain) {
      auto& discount = discounts[step.rule.key];
      discount.key = step.rule.key;
      discount.packets += 1;
      discount.bytes += step.bytes;
    }
  }
  std::vector<dataplane::RuleChange> changes;
  for (auto& [key, discount] : discounts) changes.emplace_back(std::move(discount));
  return changes;
}

std::size_t count_rules(std::span<const ProbeFrame> sent) {
  return expectations(sent).size();
}

}  // namespace berth::agent
