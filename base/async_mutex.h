// Keeps coroutines of one io_context out of each other's way across their awaits.
//
//   const auto lock = co_await mutex.lock();
//   if (!lock) co_return pass(lock);       // cancelled while waiting
#pragma once

#include "base/signal.h"

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

  explicit AsyncMutex(asio::any_io_executor executor) : unlocked_(std::move(executor)) {}

  Task<Lock> lock() {
    while (locked_) {
      const auto woken = co_await unlocked_.wait();
      if (!woken) co_return pass(woken);
    }
    locked_ = true;
    co_return Lock(*this);
  }

 private:
  void unlock() {
    locked_ = false;
    unlocked_.notify_all();
  }

  Signal unlocked_;
  bool locked_ = false;
};

}  // namespace berth
