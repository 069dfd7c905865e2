// Keeps coroutines of one io_context out of each other's way across their awaits; who came first is next, and
// nobody else is woken.
//
//   const auto lock = co_await mutex.lock();
//   if (!lock) co_return pass(lock);       // cancelled while waiting
//
// A mutex that dies takes those who wait for it along; who has it may let go of it later.
#pragma once

#include "base/signal.h"

#include <list>
#include <memory>
#include <utility>

namespace berth {

class AsyncMutex {
  struct Waiter {
    explicit Waiter(asio::any_io_executor executor) : turn(std::move(executor)) {}
    Signal turn;
    bool is_next = false;  // the mutex is its own, and it has been told
  };
  struct State {
    asio::any_io_executor executor;
    std::list<Waiter> queue = {};
    bool is_locked = false;
    bool is_gone = false;  // the mutex is: nobody waits any more

    // Stays locked when it is handed on.
    void unlock() {
      if (queue.empty()) {
        is_locked = false;
        return;
      }
      queue.front().is_next = true;
      queue.front().turn.notify_all();
    }
  };

 public:
  class [[nodiscard]] Lock {
   public:
    explicit Lock(std::shared_ptr<State> state) : state_(std::move(state)) {}
    Lock(Lock&&) noexcept = default;
    Lock& operator=(Lock&&) = delete;
    ~Lock() {
      if (state_ != nullptr) state_->unlock();
    }

   private:
    std::shared_ptr<State> state_;
  };

  explicit AsyncMutex(asio::any_io_executor executor)
      : state_(std::make_shared<State>(State{.executor = std::move(executor)})) {}
  ~AsyncMutex() {
    state_->is_gone = true;
    state_->queue.clear();  // and with their signals, the coroutines that wait
  }
  AsyncMutex(const AsyncMutex&) = delete;
  AsyncMutex& operator=(const AsyncMutex&) = delete;

  Task<Lock> lock() {
    if (!std::exchange(state_->is_locked, true)) co_return Lock(state_);
    Place place(state_);
    const auto woken = co_await place.turn().wait();
    if (!woken) co_return pass(woken);
    co_return place.take();
  }

 private:
  // In the queue. Who leaves it without having taken what it was given, passes it on: a coroutine can be
  // cancelled between the two.
  class Place {
   public:
    explicit Place(std::shared_ptr<State> state)
        : state_(std::move(state)), waiter_(state_->queue.emplace(state_->queue.end(), state_->executor)) {}
    ~Place() {
      if (state_->is_gone) return;
      const bool was_given = waiter_->is_next;
      state_->queue.erase(waiter_);
      if (was_given) state_->unlock();
    }
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;

    Signal& turn() { return waiter_->turn; }
    Lock take() {
      waiter_->is_next = false;
      return Lock(state_);
    }

   private:
    std::shared_ptr<State> state_;
    std::list<Waiter>::iterator waiter_;
  };

  std::shared_ptr<State> state_;
};

}  // namespace berth
