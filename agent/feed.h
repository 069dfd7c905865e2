// An ordered record of events that any number of readers follow at their own pace. Revisions grow by one. Old
// events are dropped beyond `capacity`; a reader that was that far behind is told.
#pragma once

#include "base/signal.h"
#include "base/task.h"

#include <cassert>
#include <cstdint>
#include <deque>
#include <utility>

#include <fmt/format.h>

namespace berth::agent {

template <typename Event>
class Feed {
 public:
  Feed(asio::any_io_executor executor, std::size_t capacity)
      : capacity_(capacity), appended_(std::move(executor)) {}

  std::uint64_t latest_revision() const { return latest_; }

  std::uint64_t append(Event event) {
    append(std::move(event), latest_ + 1);
    return latest_;
  }
  // With the revision that somebody else has counted: the latest and one more, or any for the first event.
  void append(Event event, std::uint64_t revision) {
    assert(revision == latest_ + 1 || events_.empty());
    events_.push_back(std::move(event));
    if (events_.size() > capacity_) events_.pop_front();
    latest_ = revision;
    appended_.notify_all();
  }

  // The first event after `revision`; waits for it. DATA_LOSS (WATCH_COMPACTED) when it was dropped,
  // INVALID_ARGUMENT when `revision` has not happened yet.
  Task<Event> next_after(std::uint64_t revision) {
    if (revision > latest_) {
      co_return fail_field("after_revision", "REVISION_IN_FUTURE",
                           fmt::format("the latest revision is {}", latest_));
    }
    while (revision == latest_) {
      const auto woken = co_await appended_.wait();
      if (!woken) co_return pass(woken);
    }
    const std::uint64_t first_kept = latest_ - events_.size() + 1;
    if (revision + 1 < first_kept) {
      co_return fail(Code::kDataLoss, "WATCH_COMPACTED",
                     fmt::format("events before revision {} are not kept", first_kept));
    }
    co_return events_[revision + 1 - first_kept];
  }

 private:
  std::size_t capacity_;
  std::deque<Event> events_;
  std::uint64_t latest_ = 0;
  Signal appended_;
};

}  // namespace berth::agent
