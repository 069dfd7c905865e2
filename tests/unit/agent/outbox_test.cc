#include "agent/outbox.h"

#include "tests/fakes/run_task.h"

#include <filesystem>
#include <functional>
#include <map>
#include <set>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace berth::agent {
namespace {

using std::chrono::milliseconds;
using ::testing::ElementsAre;

// The VMaaS's end: what it has heard, and what it says to it.
class FakeReceiver : public CompletionSink {
 public:
  explicit FakeReceiver(asio::any_io_executor executor) : changed_(std::move(executor)) {}

  Task<void> deliver(Operation ended) override {
    heard.push_back(ended.id.str());
    when.push_back(std::chrono::steady_clock::now());
    ++under_way;
    most_under_way = std::max(most_under_way, under_way);
    while (silent.contains(ended.id.str())) {
      const auto woken = co_await changed_.wait();
      if (!woken) break;
    }
    --under_way;
    if (silent.contains(ended.id.str())) co_return fail(Code::kCancelled, "", "cancelled");
    int& refusals = refusals_left[ended.id.str()];
    if (refusals == 0) co_return Result<void>();
    --refusals;
    co_return fail(Code::kUnavailable, "", "not now");
  }
  void speak() {
    silent.clear();
    changed_.notify_all();
  }

  std::vector<std::string> heard;
  std::vector<std::chrono::steady_clock::time_point> when;
  std::set<std::string> silent;              // of these it says nothing
  std::map<std::string, int> refusals_left;  // and these it refuses so often
  std::size_t under_way = 0;
  std::size_t most_under_way = 0;

 private:
  Signal changed_;
};

class OutboxTest : public ::testing::Test {
 protected:
  ~OutboxTest() override {
    if (tasks) tasks->cancel();
    if (tasks) testing::run_until_done(io, tasks->join());
    testing::run_until_done(io, outbox.stop());
    std::filesystem::remove_all(folder);
  }

  static Operation ended(const std::string& id, const std::string& attachment, std::uint64_t revision = 0) {
    return {.id = OperationId::trusted(id),
            .request = RequestId::trusted("req-" + id),
            .attachment = AttachmentId::trusted(attachment),
            .done = true,
            .revision = revision};
  }
  void start() {
    tasks.emplace(io.get_executor());
    tasks->spawn("outbox", outbox.run());
  }
  void append(const std::string& id, const std::string& attachment) {
    completions.append(ended(id, attachment, completions.latest_revision() + 1));
  }
  // As long as there is something to do now; what waits for a time waits on.
  void run() {
    io.restart();
    io.poll();
  }
  void run_until_all_is_told() {
    run();
    run_until([&] { return outbox.untold() == 0; });
  }
  // Or until it is clear that it will not come.
  void run_until(const std::function<bool()>& is_over) {
    const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    io.restart();
    while (!is_over() && io.run_one_until(give_up) > 0) {
    }
  }

  asio::io_context io;
  std::filesystem::path folder =
      std::filesystem::temp_directory_path() / fmt::format("berth-outbox-{}", ::getpid());
  StateDb state;  // keeps nothing
  Feed<Operation> completions{io.get_executor(), 100};
  FakeReceiver receiver{io.get_executor()};
  Outbox outbox{io.get_executor(), state, completions, receiver, {milliseconds(4), milliseconds(16)}};
  std::optional<TaskGroup> tasks;
};

TEST_F(OutboxTest, OfOneAttachmentTheNextIsToldWhenTheFirstIsConfirmed) {
  start();
  receiver.silent = {"attach-a"};
  append("attach-a", "a");
  append("detach-a", "a");
  append("attach-b", "b");
  run();
  EXPECT_THAT(receiver.heard, ElementsAre("attach-a", "attach-b")) << "b does not wait for a";
  receiver.speak();
  run();
  EXPECT_THAT(receiver.heard, ElementsAre("attach-a", "attach-b", "detach-a"));
  EXPECT_EQ(outbox.untold(), 0U);
}

TEST_F(OutboxTest, WhatIsRefusedIsToldAgainBeforeWhatFollowsIt) {
  start();
  receiver.refusals_left = {{"attach-a", 2}};
  append("attach-a", "a");
  append("detach-a", "a");
  append("attach-b", "b");
  run_until_all_is_told();
  EXPECT_THAT(receiver.heard, ElementsAre("attach-a", "attach-b", "attach-a", "attach-a", "detach-a"));
}

// Each pause is at least half of one that doubles from the first to the longest; longer than that a loaded
// machine may make it.
TEST_F(OutboxTest, PausesGrowToTheLongest) {
  start();
  receiver.refusals_left = {{"attach-a", 30}};
  append("attach-a", "a");
  run_until_all_is_told();
  ASSERT_EQ(receiver.heard.size(), 31U) << "without a longest one the last pauses would be months";
  const std::vector<int> at_least = {2, 4, 8, 8, 8};
  for (std::size_t i = 0; i < at_least.size(); ++i)
    EXPECT_GE(receiver.when[i + 1] - receiver.when[i], milliseconds(at_least[i])) << "pause " << i;
}

TEST_F(OutboxTest, PausesBeginAnewAfterAConfirmation) {
  Outbox patient(io.get_executor(), state, completions, receiver, {milliseconds(1), std::chrono::days(1)});
  TaskGroup group(io.get_executor());
  group.spawn("outbox", patient.run());
  receiver.refusals_left = {{"attach-a", 8}, {"detach-a", 8}};
  append("attach-a", "a");
  append("detach-a", "a");
  run();
  run_until([&] { return patient.untold() == 0; });
  EXPECT_EQ(patient.untold(), 0U) << "if they went on growing, the last pauses would be half a minute each";
  group.cancel();
  testing::run_until_done(io, group.join());
  testing::run_until_done(io, patient.stop());
}

TEST_F(OutboxTest, NoMoreAreUnderWayThanTheLimitAndAllAreTold) {
  for (std::size_t i = 0; i < 2 * Outbox::kMaxUnderWay; ++i) {
    append(fmt::format("op-{}", i), fmt::format("att-{}", i));
    receiver.silent.insert(fmt::format("op-{}", i));
  }
  start();
  run();
  EXPECT_EQ(receiver.under_way, Outbox::kMaxUnderWay);
  receiver.speak();
  run();
  EXPECT_EQ(receiver.heard.size(), 2 * Outbox::kMaxUnderWay);
  EXPECT_EQ(receiver.most_under_way, Outbox::kMaxUnderWay);
  EXPECT_EQ(outbox.untold(), 0U);
}

// One that waits for its next attempt does not hold a place: a VMaaS that refuses some hears of the others.
TEST_F(OutboxTest, RefusedOnesDoNotHoldUpTheOthers) {
  for (std::size_t i = 0; i < 2 * Outbox::kMaxUnderWay; ++i) {
    append(fmt::format("op-{}", i), fmt::format("att-{}", i));
    receiver.refusals_left[fmt::format("op-{}", i)] = 1000;
  }
  append("good", "att-good");
  for (const auto& [id, refusals] : receiver.refusals_left) receiver.silent.insert(id);
  start();
  run();
  ASSERT_EQ(receiver.under_way, Outbox::kMaxUnderWay);
  receiver.speak();  // and refuses
  run();
  EXPECT_THAT(receiver.heard, ::testing::Contains("good"));
  EXPECT_EQ(outbox.untold(), 2 * Outbox::kMaxUnderWay);
}

TEST_F(OutboxTest, StopEndsWhileTheReceiverIsSilentAndWhileItWaits) {
  start();
  receiver.silent = {"silent"};
  receiver.refusals_left = {{"refused", 1000}};
  append("silent", "a");
  append("refused", "b");
  run();
  ASSERT_EQ(receiver.heard.size(), 2U);
  testing::run_until_done(io, outbox.stop());
  const auto heard = receiver.heard.size();
  EXPECT_EQ(outbox.untold(), 2U) << "neither was confirmed";
  receiver.speak();
  run();
  EXPECT_EQ(receiver.heard.size(), heard);
}

TEST_F(OutboxTest, WhatAFormerProcessDidNotGetConfirmedIsToldFirstAndInOrder) {
  completions.append(ended("detach-a", "a", 8), 8);  // kept for watchers, and told by restore()
  outbox.restore({ended("attach-a", "a", 7), ended("detach-a", "a", 8)});
  EXPECT_EQ(outbox.untold(), 2U);
  start();
  append("attach-again", "a");
  run();
  EXPECT_THAT(receiver.heard, ElementsAre("attach-a", "detach-a", "attach-again"));
}

TEST_F(OutboxTest, OnTheDiskOnlyWhatIsConfirmedCountsAsTold) {
  {
    StateDb disk = StateDb::open(folder).value();
    Outbox durable(io.get_executor(), disk, completions, receiver, {milliseconds(1), milliseconds(1)});
    TaskGroup group(io.get_executor());
    group.spawn("outbox", durable.run());
    receiver.silent = {"silent"};
    for (const std::string id : {"taken", "silent"}) {
      Operation operation = ended(id, id);
      const Freed freed{.functions = {{.index = 0, .generation = 1}}};
      operation.revision = testing::run_until_done(io, disk.finish({operation, ""}, freed, false)).value();
      completions.append(operation, operation.revision);
    }
    run();
    run_until([&] { return durable.untold() == 1; });
    group.cancel();
    testing::run_until_done(io, group.join());
    testing::run_until_done(io, durable.stop());
  }
  const auto untold = StateDb::open(folder)->load()->untold;
  ASSERT_EQ(untold.size(), 1U);
  EXPECT_EQ(untold[0].id, OperationId::trusted("silent"));
}

// The receiver is down, and is known to be: nobody waits before he is refused.
TEST_F(OutboxTest, AsManyAsCanBeKeptMayBeRefusedAtOnce) {
  std::vector<Operation> untold;
  for (std::size_t i = 0; i < Outbox::kMaxUntold; ++i) {
    untold.push_back(ended(fmt::format("op-{}", i), fmt::format("att-{}", i), i + 1));
    receiver.refusals_left[untold.back().id.str()] = 1;
  }
  outbox.restore(untold);
  start();
  run_until([&] { return receiver.heard.size() >= Outbox::kMaxUntold; });
  EXPECT_GE(receiver.heard.size(), Outbox::kMaxUntold);
  EXPECT_LE(receiver.most_under_way, Outbox::kMaxUnderWay);
  run_until_all_is_told();
  EXPECT_EQ(outbox.untold(), 0U);
}

TEST_F(OutboxTest, ItIsFullAtTheLimitAndNoLongerWhenOneIsConfirmed) {
  std::vector<Operation> untold;
  for (std::size_t i = 0; i < Outbox::kMaxUntold; ++i)
    untold.push_back(ended(fmt::format("op-{}", i), "att-1", i + 1));
  outbox.restore(untold);
  EXPECT_TRUE(outbox.is_full());
  receiver.silent = {"op-1"};
  start();
  run();
  EXPECT_EQ(outbox.untold(), Outbox::kMaxUntold - 1) << "the first was confirmed, the second is not";
  EXPECT_FALSE(outbox.is_full());
}

}  // namespace
}  // namespace berth::agent
