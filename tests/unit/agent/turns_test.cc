#include "agent/turns.h"

#include "base/task_group.h"
#include "tests/fakes/run_task.h"

#include <memory>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace berth::agent {
namespace {

VpcId tenant(const std::string& name) {
  return VpcId::trusted(name);
}
VmId vm(int number) {
  return VmId::trusted("vm-" + std::to_string(number));
}

// Operations that run until they are told to end.
class TurnsTest : public ::testing::Test {
 protected:
  ~TurnsTest() override {
    const auto end = [](TaskGroup& tasks) -> asio::awaitable<void> {
      tasks.cancel();
      co_await tasks.join();
    };
    testing::run_until_done(io, end(tasks));
  }

  void begin(const std::string& name, const VpcId& of, const VmId& owner) {
    auto place = turns.queue_up(of, owner);
    ASSERT_TRUE(place) << place.error().message;
    const auto run = [](TurnsTest& self, std::string own_name, Turns::Place own) -> asio::awaitable<void> {
      if (!co_await own.wait_for_turn()) co_return;
      self.running.push_back(own_name);
      while (!self.ended.contains(own_name)) (void)co_await self.changed.wait();
      std::erase(self.running, own_name);
    };
    tasks.spawn(name, run(*this, name, *std::move(place)));
    io.restart();
    io.poll();
  }
  void end(const std::string& name) {
    ended.insert(name);
    changed.notify_all();
    io.restart();
    io.poll();
  }
  using Names = std::vector<std::string>;

  asio::io_context io;
  TaskGroup tasks{io.get_executor()};
  Signal changed{io.get_executor()};
  Turns turns{io.get_executor(), {.running = 2, .total = 6, .of_tenant = 4}};
  Names running;
  std::set<std::string> ended;
};

TEST_F(TurnsTest, AsManyAsMayRunTheOthersWait) {
  begin("a", tenant("blue"), vm(1));
  begin("b", tenant("blue"), vm(2));
  begin("c", tenant("blue"), vm(3));
  EXPECT_EQ(running, (Names{"a", "b"}));
  EXPECT_EQ(turns.count(), 3U);
  end("a");
  EXPECT_EQ(running, (Names{"b", "c"}));
  EXPECT_EQ(turns.count(), 2U);
}

TEST_F(TurnsTest, ThoseOfOneVmRunOneAfterTheOtherAsTheyCame) {
  begin("attach", tenant("blue"), vm(1));
  begin("detach", tenant("blue"), vm(1));
  begin("other", tenant("blue"), vm(2));
  EXPECT_EQ(running, (Names{"attach", "other"}));
  end("other");
  EXPECT_EQ(running, (Names{"attach"})) << "there is room, but not for this VM";
  begin("in another vpc", tenant("green"), vm(1));
  EXPECT_EQ(running, (Names{"attach"}));
  end("attach");
  EXPECT_EQ(running, (Names{"detach"}));
  end("detach");
  EXPECT_EQ(running, (Names{"in another vpc"}));
}

TEST_F(TurnsTest, ATenantWithManyDoesNotKeepAnotherWaiting) {
  for (int i = 0; i < 4; ++i) begin("blue-" + std::to_string(i), tenant("blue"), vm(i));
  begin("green", tenant("green"), vm(9));
  EXPECT_EQ(running, (Names{"blue-0", "blue-1"}));
  end("blue-0");
  EXPECT_EQ(running, (Names{"blue-1", "green"})) << "not blue-2, which came before";
  end("blue-1");
  EXPECT_EQ(running, (Names{"green", "blue-2"}));
}

TEST_F(TurnsTest, TooManyAreRefusedForOneTenantFirst) {
  for (int i = 0; i < 4; ++i) begin("blue-" + std::to_string(i), tenant("blue"), vm(i));
  const auto fifth = turns.queue_up(tenant("blue"), vm(9));
  ASSERT_FALSE(fifth);
  EXPECT_EQ(fifth.error().code, Code::kResourceExhausted);
  EXPECT_EQ(fifth.error().reason, "TOO_MANY_OPERATIONS");
  begin("green-0", tenant("green"), vm(10));
  begin("green-1", tenant("green"), vm(11));
  EXPECT_FALSE(turns.queue_up(tenant("red"), vm(12))) << "all together";
  const auto again = turns.queue_up_again(tenant("red"), vm(12));
  EXPECT_EQ(turns.count(), 7U) << "what was accepted before has its place";
}

TEST_F(TurnsTest, WhoGivesUpLeavesItsPlace) {
  begin("a", tenant("blue"), vm(1));
  begin("b", tenant("blue"), vm(2));
  {
    const auto unused = turns.queue_up(tenant("blue"), vm(1));
    EXPECT_EQ(turns.count(), 3U);
  }
  begin("c", tenant("blue"), vm(1));
  end("a");
  EXPECT_EQ(running, (Names{"b", "c"}));
}

TEST_F(TurnsTest, APlaceMayOutliveTheTurns) {
  auto others = std::make_unique<Turns>(io.get_executor(), TurnLimits{.running = 1});
  auto first = others->queue_up(tenant("blue"), vm(1));
  auto second = others->queue_up(tenant("blue"), vm(2));
  others.reset();
  first = fail(Code::kCancelled, "", "gone");
  second = fail(Code::kCancelled, "", "gone");
}

}  // namespace
}  // namespace berth::agent
