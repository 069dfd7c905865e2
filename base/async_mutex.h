// Keeps coroutines of one io_context out of each other's way across their awaits; who came first is next, and
// nobody else is woken.
//
//   const auto lock = co_await mutex.lock();
//   if (!lock) co_return pass(lock);       // cancelled while waiting
//
// LIFETIME: outlives whoever waits for it.
#pragma once

#include "base/signal.h"

#include <list>
#include <utility>

namespace berth {

class AsyncMutex {
 public:
  class [[nodiscard]] Lock {
   public:
    explicit Lock(AsyncMutex& mutex) : mutex_(&mutex) {}
    Lock(Lock&& other) noexcept : mutex_(std::exchange(other.mutex_, nullptr)) {}
    Lock& operator=(Lock&&) = delete;
    ~Lock() {
      if (mutex_ != nullptr) mutex_->unlock();
    }

   private:
    AsyncMutex* mutex_;
  };

  explicit AsyncMutex(asio::any_io_executor executor) : executor_(std::move(executor)) {}

  Task<Lock> lock() {
    if (!std::exchange(locked_, true)) co_return Lock(*this);
    Place place(*this);
    const auto woken = co_await place.turn().wait();
    if (!woken) co_return pass(woken);
    co_return place.take();
  }

 private:
  struct Waiter {
    explicit Waiter(asio::any_io_executor executor) : turn(std::move(executor)) {}
    Signal turn;
    bool is_next = false;  // the mutex is its own, and it has been told
  };

  // In the queue. Who leaves it without having taken what it was given, passes it on: a coroutine can be
  // cancelled between the two.
  class Place {
   public:
    explicit Place(AsyncMutex& mutex)
        : mutex_(mutex), waiter_(mutex.queue_.emplace(mutex.queue_.end(), mutex.executor_)) {}
    ~Place() {
      const bool was_given = waiter_->is_next;
      mutex_.queue_.erase(waiter_);
      if (was_given) mutex_.unlock();
    }
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;

    Signal& turn() { return waiter_->turn; }
    Lock take() {
      waiter_->is_next = false;
      return Lock(mutex_);
    }

   private:
    AsyncMutex& mutex_;
    std::list<Waiter>::iterator waiter_;
  };

  // Stays locked when it is handed on.
  void unlock() {
    if (queue_.empty()) {
      locked_ = false;
      return;
    }
    queue_.front().is_next = true;
    queue_.front().turn.notify_all();
  }

  asio::any_io_executor executor_;
  std::list<Waiter> queue_;
  bool locked_ = false;
};

}  // namespace berth
