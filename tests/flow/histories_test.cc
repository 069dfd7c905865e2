// Random histories: a VMaaS that attaches, updates, detaches, retries, withdraws and gives up, a controller
// that pushes, functions and an eSwitch that refuse, and a berthd that is killed in between. When the dust
// has settled, what the VMaaS was told and what is on the host must agree.
//
//   BERTH_HISTORIES=10000 BERTH_SEED=1 flow_agent --gtest_filter=Histories.*
#include "base/task_group.h"
#include "tests/flow/crash_world.h"

#include <algorithm>
#include <cstdlib>
#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace berth::testing {
namespace {

using agent::AttachmentState;
using agent::Operation;
using agent::OperationKind;

class History {
 public:
  explicit History(std::uint64_t seed) : random_(seed) { begin(std::make_unique<CrashWorld>()); }
  ~History() { end_calls(); }
  History(const History&) = delete;
  History& operator=(const History&) = delete;

  void live(int actions) {
    for (int i = 0; i < actions; ++i) {
      switch (below(12)) {
        case 0:
        case 1:
          ask_attach();
          break;
        case 2:
        case 3:
          ask_detach();
          break;
        case 4:
          ask_again();
          break;
        case 5:
          push();
          break;
        case 6:
          change_weather();
          break;
        case 7:
          kill();
          break;
        case 8:
          ask_cancel();
          break;
        case 9:
        case 10:
          ask_update();
          break;
        default:
          run_some(below(60));
      }
    }
  }

  // Good weather; the VMaaS asks for everything again that it has not seen the end of.
  void settle() {
    world_->driver.failing.clear();
    world_->eswitch.refuse_add = nullptr;
    if (below(2) == 0) kill();
    end_calls();
    for (const auto& [request, intent] : attaches_) {
      const auto accepted = world_->run(world_->agent->attach(intent));
      if (accepted) finish(request, *accepted);
    }
    for (const auto& [request, intent] : updates_) {
      const auto accepted = world_->run(world_->agent->update(intent));
      if (accepted) finish(request, *accepted);
    }
    for (const auto& [request, intent] : detaches_) {
      const auto accepted = world_->run(world_->agent->detach(intent));
      if (accepted) finish(request, *accepted);
    }
    world_->settle();
    // What the eSwitch refused of a push that was refused for it comes with the next look at all rules.
    EXPECT_TRUE(world_->run(world_->agent->resync()));
    world_->run_while([this] {
      const auto all = world_->agent->attachments().list();
      return std::ranges::any_of(all,
                                 [](const auto& one) { return one.state != AttachmentState::kAttached; });
    });
  }

  void check() {
    std::map<OperationId, Operation> ends;
    for (const Operation& told : world_->vmaas.told) {
      const auto [known, is_new] = ends.emplace(told.id, told);
      EXPECT_EQ(known->second.error, told.error) << told.id.str() << " ended in two ways";
    }
    for (const auto& [request, operation] : world_->answered)
      EXPECT_TRUE(ends.contains(operation)) << "nobody told how " << request.str() << " ended";
    std::set<AttachmentId> expected;
    for (const auto& [id, end] : ends) {
      if (end.kind == OperationKind::kAttach && !end.error) expected.insert(end.attachment);
    }
    for (const auto& [id, end] : ends) {
      if (end.kind == OperationKind::kDetach && !end.error) expected.erase(end.attachment);
    }
    std::set<AttachmentId> attached;
    std::set<std::uint16_t> functions;
    for (const agent::Attachment& one : world_->agent->attachments().list()) {
      attached.insert(one.id);
      for (const agent::Interface& interface : one.interfaces) functions.insert(interface.function.index);
    }
    EXPECT_EQ(attached, expected) << "what is attached is not what the VMaaS was told";
    std::map<IpAddress, AttachmentId> owners;
    for (const agent::Attachment& one : world_->agent->attachments().list()) {
      for (const agent::Interface& interface : one.interfaces) {
        for (const IpAddress& address : interface.intent.ips)
          EXPECT_TRUE(owners.emplace(address, one.id).second) << address.str() << " is that of two";
      }
    }
    for (const auto& [attachment, last] : last_told(ends)) {
      const agent::Attachment* now = world_->agent->attachments().find(attachment);
      if (now == nullptr) continue;
      for (std::size_t i = 0; i < now->interfaces.size(); ++i) {
        const agent::Interface& one = now->interfaces[i];
        EXPECT_EQ(one.intent, last.result->interfaces[i].intent) << "not what was told";
        EXPECT_EQ(world_->driver.rates.at(one.function.index), one.intent.rates.from_vm);
      }
    }
    std::set<std::uint16_t> plugged;
    for (const auto& [function, vm] : world_->driver.plugged) plugged.insert(function);
    EXPECT_EQ(plugged, functions);
    EXPECT_EQ(world_->driver.bound, functions);
    const auto resynced = world_->run(world_->agent->resync()).value();
    EXPECT_EQ(resynced.added_count + resynced.removed_count, 0U) << "rules are not those that are wanted";
    for (const auto& [key, rule] : world_->eswitch.rules) {
      EXPECT_TRUE(rule.owner.is_uplink() || functions.contains(rule.owner.function_index()))
          << dataplane::purpose_name(rule.purpose) << " of a function that nobody has";
    }
    EXPECT_GE(world_->agent->vpcs().version(), accepted_version_);
    EXPECT_EQ(world_->on_disk().attachments.size(), attached.size());
  }

  // The last attach or update of each attachment, whether it succeeded or not, but for attaches that did not.
  static std::map<AttachmentId, Operation> last_told(const std::map<OperationId, Operation>& ends) {
    std::map<AttachmentId, Operation> last;
    for (const auto& [id, end] : ends) {
      if (end.kind == OperationKind::kDetach || !end.result) continue;
      const auto [known, is_new] = last.emplace(end.attachment, end);
      if (!is_new && known->second.revision < end.revision) known->second = end;
    }
    return last;
  }

 private:
  unsigned below(unsigned limit) { return static_cast<unsigned>(random_() % limit); }

  void begin(std::unique_ptr<CrashWorld> world) {
    calls_.reset();  // its timer is of the old world's loop
    world_ = std::move(world);
    world_->start();
    calls_ = std::make_unique<TaskGroup>(world_->io.get_executor());
    if (accepted_version_ != 0) return;
    world_->run(world_->agent->set_next_hops({{ip("192.0.2.2"), mac("02:00:00:00:ff:02")}})).value();
    push();
    run_some(200);
  }
  void end_calls() {
    const auto end = [](TaskGroup& calls) -> asio::awaitable<void> {
      calls.cancel();
      co_await calls.join();
    };
    run_until_done(world_->io, end(*calls_));
    calls_ = std::make_unique<TaskGroup>(world_->io.get_executor());
  }
  // So many handlers, or what comes within a few milliseconds.
  void run_some(unsigned handlers) {
    world_->io.restart();
    const auto enough = std::chrono::steady_clock::now() + std::chrono::milliseconds(3);
    for (unsigned i = 0; i < handlers && world_->io.run_one_until(enough) != 0; ++i) {
    }
  }

  void ask_attach() {
    const auto vm = static_cast<std::uint8_t>(1 + below(4));
    agent::AttachIntent intent =
        CrashWorld::intent(fmt::format("vm-{}", vm), static_cast<std::uint8_t>(4 + vm));
    intent.request = RequestId::trusted(fmt::format("attach-{}", ++requests_));
    if (below(3) == 0)
      intent.interfaces.push_back(make_interface("blue", static_cast<std::uint8_t>(14 + vm)));
    if (below(3) == 0) {
      intent.interfaces.back().ips.clear();
      intent.interfaces.back().allocate = {prefix("10.1.0.0/24")};
    }
    for (const auto& group : groups()) {
      if (below(3) == 0) intent.interfaces.back().policy_groups.push_back(group.id);
    }
    attaches_.emplace(intent.request, intent);
    call(intent.request, world_->agent->attach(intent));
  }
  void ask_detach() {
    const auto all = world_->agent->attachments().list();
    if (all.empty()) return;
    const agent::DetachIntent intent{RequestId::trusted(fmt::format("detach-{}", ++requests_)),
                                     all[below(static_cast<unsigned>(all.size()))].id};
    detaches_.emplace(intent.request, intent);
    call(intent.request, world_->agent->detach(intent));
  }
  void ask_update() {
    const auto all = world_->agent->attachments().list();
    if (all.empty()) return;
    const agent::Attachment& of = all[below(static_cast<unsigned>(all.size()))];
    agent::UpdateIntent intent{.request = RequestId::trusted(fmt::format("update-{}", ++requests_)),
                               .attachment = of.id};
    for (const agent::Interface& one : of.interfaces) {
      if (below(2) == 0) continue;
      agent::InterfaceChange& change = intent.interfaces.emplace_back(
          agent::InterfaceChange{.vpc = one.intent.vpc, .mac = one.intent.mac});
      if (below(2) == 0) change.rate_from_vm = below(3) * 1'000'000;
      if (below(2) == 0) continue;
      change.policy_groups.emplace();
      for (const auto& group : groups()) {
        if (below(2) == 0) change.policy_groups->push_back(group.id);
      }
    }
    updates_.emplace(intent.request, intent);
    call(intent.request, world_->agent->update(intent));
  }
  void ask_cancel() {
    if (world_->answered.empty()) return;
    auto known = world_->answered.begin();
    std::advance(known, below(static_cast<unsigned>(world_->answered.size())));
    call(known->first, world_->agent->cancel(known->second));
  }
  void ask_again() {
    if (world_->answered.empty()) return;
    auto known = world_->answered.begin();
    std::advance(known, below(static_cast<unsigned>(world_->answered.size())));
    const auto attach = attaches_.find(known->first);
    const auto update = updates_.find(known->first);
    if (attach != attaches_.end()) {
      call(known->first, world_->agent->attach(attach->second));
    } else if (update != updates_.end()) {
      call(known->first, world_->agent->update(update->second));
    } else {
      call(known->first, world_->agent->detach(detaches_.at(known->first)));
    }
  }
  // The VMaaS waits for a while, or hangs up at once.
  void call(RequestId request, Task<Operation> answer) {
    const auto ask = [](History& self, RequestId id, Task<Operation> call) -> asio::awaitable<void> {
      const auto accepted = co_await std::move(call);
      if (accepted) self.note(id, accepted->id);
    };
    calls_->spawn("call", ask(*this, std::move(request), std::move(answer)));
    run_some(below(80));
    if (below(4) == 0) end_calls();
  }
  void note(const RequestId& request, const OperationId& operation) {
    const auto [known, is_new] = world_->answered.emplace(request, operation);
    EXPECT_EQ(known->second, operation) << request.str() << " is two operations";
  }
  void finish(const RequestId& request, const Operation& accepted) {
    note(request, accepted.id);
    EXPECT_TRUE(world_->run(world_->agent->operations().wait(accepted.id)));
  }

  // Two, with rules that are others each time.
  std::vector<dataplane::PolicyGroup> groups() {
    std::vector<dataplane::PolicyGroup> both;
    for (const char* id : {"web", "mail"}) {
      const auto priority = static_cast<std::uint16_t>(below(3));
      both.push_back(
          {.id = dataplane::PolicyGroupId::trusted(id),
           .rules = {{dataplane::Direction::kIngress, priority, dataplane::Verdict::kDeny, {}, {}, {}}}});
    }
    return both;
  }

  void push() {
    dataplane::Vpc blue = make_vpc("blue", 7001);
    if (below(2) == 0) blue.mappings.push_back({ip("10.1.0.201"), mac("02:00:00:00:01:c9"), ip("192.0.2.2")});
    if (below(2) == 0)
      blue.policy = {{dataplane::Direction::kIngress, 5, dataplane::Verdict::kDeny, {}, {}, {}}};
    blue.subnets[0].host_blocks = {IpRange::parse("", "10.1.0.40-10.1.0.43").value()};
    blue.policy_groups = groups();
    if (accepted_version_ != 0 && below(4) == 0) blue.policy_groups.pop_back();  // refused, if it is in use
    const auto vpcs = make_vpcs({blue});
    const std::uint64_t version = ++version_;
    const auto send = [](History& self, std::shared_ptr<const dataplane::VpcSet> set,
                         std::uint64_t number) -> asio::awaitable<void> {
      const auto errors = co_await self.world_->agent->push_vpcs({.vpcs = set, .version = number});
      if (errors && errors->empty()) self.accepted_version_ = std::max(self.accepted_version_, number);
    };
    calls_->spawn("push", send(*this, vpcs, version));
    run_some(below(60));
  }

  void change_weather() {
    static constexpr std::array<const char*, 7> kSteps = {"prepare", "expose", "bind",    "plug",
                                                          "unplug",  "reset",  "set_rate"};
    world_->driver.failing.clear();
    world_->eswitch.refuse_add = nullptr;
    if (below(2) == 0) world_->driver.failing = {kSteps[below(kSteps.size())]};
    if (below(3) == 0) {
      world_->eswitch.refuse_add = [left = below(20)](const dataplane::Rule&) mutable -> Result<void> {
        if (left > 0) --left;
        if (left > 0) return {};
        return fail(Code::kResourceExhausted, "ESWITCH_FULL", "told to be full");
      };
    }
  }

  void kill() {
    run_some(below(40));
    const Remains remains = world_->remains();
    const auto failing = world_->driver.failing;
    end_calls();
    auto next = std::make_unique<CrashWorld>(remains);
    next->driver.failing = failing;
    begin(std::move(next));
  }

  std::mt19937_64 random_;
  std::unique_ptr<CrashWorld> world_;
  std::unique_ptr<TaskGroup> calls_;
  std::map<RequestId, agent::AttachIntent> attaches_;
  std::map<RequestId, agent::UpdateIntent> updates_;
  std::map<RequestId, agent::DetachIntent> detaches_;
  unsigned requests_ = 0;
  std::uint64_t version_ = 0;
  std::uint64_t accepted_version_ = 0;
};

unsigned long from_environment(const char* name, unsigned long otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoul(text, nullptr, 10);
}

TEST(Histories, WhatTheVmaasWasToldIsWhatIsOnTheHost) {
  const unsigned long first = from_environment("BERTH_SEED", 1);
  const unsigned long count = from_environment("BERTH_HISTORIES", 200);
  for (unsigned long seed = first; seed < first + count; ++seed) {
    SCOPED_TRACE(fmt::format("BERTH_SEED={} BERTH_HISTORIES=1", seed));
    History history(seed);
    history.live(12);
    history.settle();
    history.check();
    if (HasFailure()) return;
  }
}

}  // namespace
}  // namespace berth::testing
