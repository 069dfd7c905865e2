// Whose operation runs next. Those of one VM run one after the other, as they came; those of different VMs at
// the same time, up to a limit; and when more wait, tenants take turns, so that one with a thousand does not
// keep another with one waiting. A tenant is the VPC of an attachment's first interface.
//
//   auto place = turns.queue_up(tenant, vm);
//   if (!place) co_return pass(place);              // too many
//   const auto turn = co_await place->wait_for_turn();
//   if (!turn) co_return pass(turn);                // cancelled
//   ...                                             // until `place` dies
#pragma once

#include "base/ids.h"
#include "base/signal.h"

#include <cstddef>
#include <deque>
#include <list>
#include <map>
#include <memory>
#include <utility>

namespace berth::agent {

struct TurnLimits {
  std::size_t running = 64;
  std::size_t total = 4096;      // running or waiting
  std::size_t of_tenant = 2048;  // of these, one tenant's
};

class Turns {
  struct State;
  struct Entry;

 public:
  // In the queue, and then running, as long as it lives.
  class [[nodiscard]] Place {
   public:
    Place(std::shared_ptr<State> state, std::list<Entry>::iterator entry)
        : state_(std::move(state)), entry_(entry) {}
    Place(Place&&) noexcept = default;
    Place& operator=(Place&&) = delete;
    ~Place();

    // CANCELLED when the coroutine is cancelled meanwhile.
    Task<void> wait_for_turn();

   private:
    std::shared_ptr<State> state_;
    std::list<Entry>::iterator entry_;
  };

  Turns(asio::any_io_executor executor, TurnLimits limits);
  ~Turns();
  Turns(const Turns&) = delete;
  Turns& operator=(const Turns&) = delete;

  // RESOURCE_EXHAUSTED (TOO_MANY_OPERATIONS).
  Result<Place> queue_up(const VpcId& tenant, const VmId& vm);
  // For what was accepted before: there is always room.
  Place queue_up_again(const VpcId& tenant, const VmId& vm);

  std::size_t count() const;  // running or waiting
  const TurnLimits& limits() const;

 private:
  std::shared_ptr<State> state_;
};

}  // namespace berth::agent
