// A VMaaS that takes no completions: what has ended is kept for it, and so nothing new is begun at the limit.
#include "tests/fakes/intents.h"
#include "tests/flow/agent_world.h"

#include <gtest/gtest.h>

namespace berth::testing {
namespace {

// Says nothing until it may.
class SilentVmaas : public agent::CompletionSink {
 public:
  explicit SilentVmaas(asio::any_io_executor executor) : changed_(std::move(executor)) {}
  Task<void> deliver(agent::Operation) override {
    while (!may_speak) {
      const auto woken = co_await changed_.wait();
      if (!woken) co_return pass(woken);
    }
    co_return Result<void>();
  }
  void speak() {
    may_speak = true;
    changed_.notify_all();
  }
  bool may_speak = false;

 private:
  Signal changed_;
};

TEST(OutboxFull, AnAttachIsRefusedByNameAndADetachIsNot) {
  asio::io_context io;
  FakeEswitch eswitch{AgentWorld::kFunctions};
  FakeDriver driver;
  agent::StateDb state;  // keeps nothing
  SilentVmaas vmaas(io.get_executor());
  agent::Agent agent(io.get_executor(), eswitch, driver, AgentWorld::make_functions(), state,
                     {.completions = &vmaas,
                      .outbox_times = {},
                      .underlay = {.vtep = ip("192.0.2.1"), .mac = mac("02:00:00:00:ff:01")},
                      .vpc_wait = std::chrono::milliseconds(0),
                      .probe = {.patience = std::chrono::milliseconds(5)}});
  const auto run = [&](auto task) { return run_until_done(io, std::move(task)); };
  const auto intent = [](const std::string& vm, std::uint8_t last_octet) {
    return make_intent(vm, "blue", last_octet);
  };
  // One less than the limit is left by a former process; the first attach of this one is the last.
  agent::SavedState saved;
  for (std::size_t i = 1; i < agent::Outbox::kMaxUntold; ++i) {
    saved.untold.push_back({.id = OperationId::trusted(fmt::format("op-{}", i)),
                            .attachment = AttachmentId::trusted("att-of-old"),
                            .done = true,
                            .revision = i});
  }
  ASSERT_TRUE(run(agent.start(std::move(saved))));
  ASSERT_TRUE(run(agent.push_vpcs({.vpcs = make_vpcs({make_vpc("blue", 7001)}), .version = 1}))->empty());
  const auto first = run(agent.attach(intent("vm-1", 5)));
  ASSERT_TRUE(first) << first.error().message;
  ASSERT_FALSE(run(agent.operations().wait(first->id))->error);
  io.restart();
  io.poll();
  ASSERT_EQ(agent.untold(), agent::Outbox::kMaxUntold);

  const auto rules = eswitch.rules;
  const auto refused = run(agent.attach(intent("vm-2", 6)));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kResourceExhausted);
  EXPECT_EQ(refused.error().reason, "OUTBOX_FULL");
  EXPECT_EQ(eswitch.rules, rules);
  EXPECT_EQ(agent.attachments().list().size(), 1U);
  // What has to end may end: nothing is thrown away, and a host must be emptied.
  const auto detached = run(agent.detach({RequestId::trusted("bye"), first->attachment}));
  ASSERT_TRUE(detached) << detached.error().message;
  EXPECT_FALSE(run(agent.operations().wait(detached->id))->error);

  vmaas.speak();
  io.restart();
  while (agent.untold() != 0 && io.run_one() > 0) {
  }
  const auto again = run(agent.attach(intent("vm-2", 6)));
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_FALSE(run(agent.operations().wait(again->id))->error);
  run_until_done(io, agent.stop());
}

}  // namespace
}  // namespace berth::testing
