// Tells the VMaaS how every operation ended: each at least once, those of one attachment in order. What it
// has not confirmed is on the disk (state_db.h) and told again by the next process.
#pragma once

#include "agent/feed.h"
#include "agent/operation.h"
#include "agent/state_db.h"
#include "base/log_limit.h"
#include "base/signal.h"
#include "base/task_group.h"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <random>
#include <vector>

namespace berth::agent {

// The VMaaS's end.
class CompletionSink {
 public:
  virtual ~CompletionSink() = default;
  // Success: the VMaaS has it for good. It must know an operation that it has heard of before by its id.
  virtual Task<void> deliver(Operation ended) = 0;
};

struct OutboxTimes {
  std::chrono::milliseconds backoff_first{
      100};  // after each failure twice as long, and up to half of that less
  std::chrono::milliseconds backoff_max{30'000};
};

class Outbox {
 public:
  // Beyond this many new attaches are refused (OUTBOX_FULL), so that nothing has to be thrown away.
  static constexpr std::size_t kMaxUntold = 50'000;
  // Deliveries under way at a time.
  static constexpr std::size_t kMaxUnderWay = 32;

  // Between two log lines that say why completions are not taken.
  static constexpr std::chrono::minutes kFailuresInterval{1};

  // All outlive this.
  Outbox(asio::any_io_executor executor, StateDb& state, Feed<Operation>& completions, CompletionSink& sink,
         OutboxTimes times);

  // Before run(): what a former process did not get confirmed, by revision.
  void restore(const std::vector<Operation>& untold);
  bool is_full() const { return untold_ >= kMaxUntold; }
  std::size_t untold() const { return untold_; }

  // Delivers what is there and what comes. Until cancelled; then stop().
  asio::awaitable<void> run();
  asio::awaitable<void> stop();

 private:
  // What one attachment's owner is to be told, in order. One is under way, or waits for its next attempt.
  struct Queue {
    std::deque<Operation> operations;
    bool is_busy = false;
    std::uint32_t failures = 0;
  };

  void add(Operation ended);
  void deliver_more();
  asio::awaitable<void> tell_next(AttachmentId attachment);
  void note_failure(const OperationId& operation, const Error& why);
  std::chrono::milliseconds backoff(std::uint32_t failures);

  StateDb& state_;
  Feed<Operation>& completions_;
  CompletionSink& sink_;
  OutboxTimes times_;
  std::uint64_t heard_ = 0;  // revision of the last completion that was taken up
  std::map<AttachmentId, Queue> queues_;
  std::deque<AttachmentId> ready_;  // queues that nobody works at, the longest waiting first
  std::size_t under_way_ = 0;
  std::size_t untold_ = 0;
  bool is_failing_ = false;
  LogLimit failures_{kFailuresInterval};
  std::minstd_rand random_{std::random_device()()};
  TaskGroup tasks_;
};

}  // namespace berth::agent
