#include "agent/prober.h"

#include "dataplane/explain/explain.h"

#include <algorithm>
#include <iterator>
#include <set>
#include <utility>

#include <fmt/format.h>

namespace berth::agent {
namespace {

using State = ProbeVerdict::State;

constexpr std::chrono::milliseconds kLongestPause{20};
constexpr std::size_t kLeastReads = 6;  // of a machine that is too busy to read often

// The largest that no VPC of this host has.
Vni find_foreign_vni(const dataplane::VpcSet& vpcs) {
  std::set<Vni> taken;
  for (const auto& [id, vpc] : vpcs) taken.insert(vpc->vni);
  std::uint32_t value = Vni::kMax;
  while (taken.contains(Vni::trusted(value))) --value;
  return Vni::trusted(value);
}

}  // namespace

Prober::Prober(dataplane::Eswitch& eswitch, Reconciler& reconciler, const VpcStore& vpcs, Interface interface,
               ProbeLimits limits)
    : eswitch_(eswitch),
      reconciler_(reconciler),
      vpcs_(vpcs),
      interface_(std::move(interface)),
      limits_(limits) {}

Task<host::StepOutcome> Prober::run() {
  for (std::size_t round = 0; round < limits_.rounds; ++round) {
    auto trial = co_await try_frames(std::nullopt);
    if (!trial && trial.error().reason == "PROBE_NOT_SUPPORTED")
      co_return host::StepOutcome{host::StepStatus::kNotApplicable, trial.error().message};
    if (!trial) co_return pass(trial);
    if (trial->verdict.state == State::kProven) {
      proven_ = std::move(trial->sent);
      co_return co_await finish();
    }
    if (trial->verdict.state == State::kChanged) continue;
    std::ranges::move(trial->sent, std::back_inserter(late_));
    break;
  }
  const auto failed = co_await try_one_by_one();
  if (!failed) co_return pass(failed);
  if (!failed->empty()) co_return fail(Code::kDataLoss, "PROBE_FAILED", *failed);
  co_return co_await finish();
}

Task<std::string> Prober::try_one_by_one() {
  const std::size_t count = 4 * interface_.intent.ips.size();
  for (std::size_t number = 0; number < count; ++number) {
    std::string why;
    for (std::size_t i = 0; i < limits_.tries; ++i) {
      auto failed = co_await try_alone(number);
      if (!failed) co_return pass(failed);
      why = *std::move(failed);
      if (why.empty()) break;
    }
    if (!why.empty()) co_return why;
  }
  co_return std::string();
}

Task<std::string> Prober::try_alone(std::size_t number) {
  const auto still = co_await reconciler_.hold_still();
  if (!still) co_return pass(still);
  auto trial = co_await try_frames(number);
  if (!trial) co_return pass(trial);
  if (trial->verdict.state == State::kExcess) {
    const auto others = co_await has_other_traffic();
    if (!others) co_return pass(others);
    others_send_ = others_send_ || *others;
    if (!*others) {
      co_return fmt::format("the frame {}: {}, and nothing moves it when no frame is sent",
                            trial->sent.front().name, trial->verdict.why);
    }
  } else if (trial->verdict.state != State::kProven) {
    if (trial->verdict.state == State::kShort) std::ranges::move(trial->sent, std::back_inserter(late_));
    co_return trial->verdict.why;
  }
  for (ProbeFrame& frame : trial->sent) proven_.push_back(std::move(frame));
  co_return std::string();
}

Task<Prober::Trial> Prober::try_frames(std::optional<std::size_t> only) {
  const auto subject = make_subject();
  if (!subject) co_return pass(subject);
  auto plan = plan_probe(*subject, reconciler_.rules_on_the_way(interface_));
  if (!plan) co_return Trial{.verdict = {State::kChanged, plan.error().message}, .sent = {}};
  plan_ = *std::move(plan);
  Trial trial;
  if (only) {
    trial.sent = {plan_.frames.at(*only)};
  } else {
    trial.sent = plan_.frames;
  }
  const auto before = co_await read_watched();
  if (!before) co_return pass(before);
  std::vector<dataplane::InjectedFrame> frames;
  for (const ProbeFrame& frame : trial.sent) frames.push_back(frame.frame);
  const auto injected = co_await eswitch_.inject(std::move(frames));
  if (!injected) co_return pass(injected);

  const auto give_up = std::chrono::steady_clock::now() + limits_.patience;
  std::chrono::nanoseconds pause = limits_.first_pause;
  for (std::size_t reads = 1;; ++reads) {
    const auto slept = co_await sleep_for(pause);
    if (!slept) co_return pass(slept);
    const auto after = co_await read_watched();
    if (!after) co_return pass(after);
    trial.verdict = judge(plan_, trial.sent, *before, *after);
    const bool is_late = reads >= kLeastReads && std::chrono::steady_clock::now() >= give_up;
    if (trial.verdict.state != State::kShort || is_late) co_return trial;
    pause = std::min<std::chrono::nanoseconds>(2 * pause, kLongestPause);
  }
}

Task<bool> Prober::has_other_traffic() {
  const auto before = co_await read_watched();
  if (!before) co_return pass(before);
  const auto slept = co_await sleep_for(limits_.patience);
  if (!slept) co_return pass(slept);
  const auto after = co_await read_watched();
  if (!after) co_return pass(after);
  co_return judge(plan_, {}, *before, *after).state == State::kExcess;
}

Task<Readings> Prober::read_watched() {
  auto rules = co_await eswitch_.read_rules(plan_.watched);
  if (!rules) co_return pass(rules);
  co_return index_readings(*std::move(rules));
}

// Takes the frames out of the counts that others see.
Task<host::StepOutcome> Prober::finish() {
  std::vector<ProbeFrame> sent = proven_;
  sent.insert(sent.end(), late_.begin(), late_.end());
  const auto outcomes = co_await eswitch_.apply(discounts_of(sent));
  if (!outcomes) co_return pass(outcomes);
  std::string detail =
      fmt::format("{} frames, {} rules: counters moved", proven_.size(), count_rules(proven_));
  for (const ProbeFrame& frame : proven_) {
    if (frame.is_denied) detail += fmt::format("; {}: {}", frame.name, frame.end);
  }
  if (others_send_) detail += "; others send to the VM already, so its own counters are a lower bound";
  co_return host::StepOutcome{host::StepStatus::kDone, std::move(detail)};
}

Result<ProbeSubject> Prober::make_subject() const {
  const dataplane::Vpc* vpc = vpcs_.find_staged(interface_.intent.vpc);
  if (vpc == nullptr) {
    return fail(Code::kNotFound, "VPC_UNKNOWN", fmt::format("VPC {} is gone", interface_.intent.vpc));
  }
  return ProbeSubject{.port = port_of(interface_),
                      .mac = interface_.intent.mac,
                      .ips = interface_.intent.ips,
                      .vni = vpc->vni,
                      .foreign_vni = find_foreign_vni(vpcs_.staged()),
                      .vtep = reconciler_.underlay().vtep,
                      .uplink_mac = reconciler_.underlay().mac};
}

}  // namespace berth::agent
