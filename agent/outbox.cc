#include "agent/outbox.h"

#include "base/log.h"

#include <algorithm>
#include <utility>

#include <boost/asio/post.hpp>

namespace berth::agent {

Outbox::Outbox(asio::any_io_executor executor, StateDb& state, Feed<Operation>& completions,
               CompletionSink& sink, OutboxTimes times)
    : state_(state), completions_(completions), sink_(sink), times_(times), tasks_(executor) {}

void Outbox::restore(const std::vector<Operation>& untold) {
  for (const Operation& operation : untold) add(operation);
  heard_ = completions_.latest_revision();
}

asio::awaitable<void> Outbox::run() {
  deliver_more();
  while (true) {
    auto ended = co_await completions_.next_after(heard_);
    if (!ended) co_return;  // cancelled: nothing else ends a feed that is followed this closely
    heard_ = ended->revision;
    add(*std::move(ended));
    deliver_more();
  }
}

asio::awaitable<void> Outbox::stop() {
  tasks_.cancel();
  co_await tasks_.join();
}

void Outbox::add(Operation ended) {
  Queue& queue = queues_[ended.attachment];
  if (queue.operations.empty() && !queue.is_busy) ready_.push_back(ended.attachment);
  queue.operations.push_back(std::move(ended));
  ++untold_;
}

void Outbox::deliver_more() {
  while (under_way_ < kMaxUnderWay && !ready_.empty()) {
    const AttachmentId attachment = std::move(ready_.front());
    ready_.pop_front();
    queues_.at(attachment).is_busy = true;
    ++under_way_;
    tasks_.spawn(fmt::format("tell of {}", attachment), tell_next(attachment));
  }
}

asio::awaitable<void> Outbox::tell_next(AttachmentId attachment) {
  // Whoever ends at once starts the next, and that one the next but one: each begins on a stack of its own.
  co_await asio::post(co_await asio::this_coro::executor, asio::use_awaitable);
  Queue& queue = queues_.at(attachment);
  const Operation operation = queue.operations.front();
  auto told = co_await sink_.deliver(operation);
  --under_way_;
  if (told) {
    if (std::exchange(is_failing_, false)) log_event(LogLevel::kInfo, "completions are taken again");
    // Should this not get on the disk, the VMaaS hears of it once more some day.
    (void)co_await state_.told(operation.revision);
    queue.operations.pop_front();
    queue.failures = 0;
    --untold_;
  } else {
    if (told.error().code != Code::kCancelled) note_failure(operation.id, told.error());
    // Others may go meanwhile.
    deliver_more();
    if (!co_await sleep_for(backoff(queue.failures++))) co_return;
  }
  queue.is_busy = false;
  if (queue.operations.empty()) {
    queues_.erase(attachment);
  } else {
    ready_.push_back(attachment);
  }
  deliver_more();
}

// The first one at once, and why it goes on failing once a minute.
void Outbox::note_failure(const OperationId& operation, const Error& why) {
  if (!std::exchange(is_failing_, true)) failures_ = LogLimit(kFailuresInterval);
  if (const auto others = failures_.tell(std::chrono::steady_clock::now())) {
    log_event(LogLevel::kWarning, "a completion was not taken",
              {{"operation", operation}, {"error", why.message}, {"others", *others}, {"untold", untold_}});
  }
}

std::chrono::milliseconds Outbox::backoff(std::uint32_t failures) {
  constexpr std::uint32_t kMostDoublings = 20;
  const auto whole =
      std::min(times_.backoff_max, times_.backoff_first * (1U << std::min(failures, kMostDoublings)));
  std::uniform_int_distribution<std::chrono::milliseconds::rep> less(0, whole.count() / 2);
  return whole - std::chrono::milliseconds(less(random_));
}

}  // namespace berth::agent
