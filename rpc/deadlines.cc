#include "rpc/deadlines.h"

#include <utility>

namespace berth::rpc {

struct Deadlines::State {
  explicit State(asio::any_io_executor executor) : timer(std::move(executor)) {}

  Entries entries;
  asio::steady_timer timer;
  Time armed_for = Time::max();
};

Deadlines::Deadlines(asio::any_io_executor executor) : state_(std::make_shared<State>(std::move(executor))) {}

Deadlines::~Deadlines() {
  state_->entries.clear();
  state_->timer.cancel();
}

Deadlines::Handle Deadlines::add(Time when, Action action) {
  const auto handle = state_->entries.emplace(when, std::move(action));
  if (when < state_->armed_for) arm(state_);
  return handle;
}

void Deadlines::remove(Handle handle) {
  state_->entries.erase(handle);
  if (!state_->entries.empty()) return;
  state_->timer.cancel();  // or it would keep the io_context running
  state_->armed_for = Time::max();
}

void Deadlines::arm(const std::shared_ptr<State>& state) {
  state->armed_for = state->entries.begin()->first;
  state->timer.expires_at(state->armed_for);
  // LIFETIME: the state, not the Deadlines, which may be gone by then.
  state->timer.async_wait([weak = std::weak_ptr(state)](boost::system::error_code error) {
    const auto alive = weak.lock();
    if (!alive || error) return;  // re-armed, or everything was removed
    fire(alive);
  });
}

void Deadlines::fire(const std::shared_ptr<State>& state) {
  state->armed_for = Time::max();
  const auto now = std::chrono::steady_clock::now();
  while (!state->entries.empty() && state->entries.begin()->first <= now) {
    auto due = state->entries.extract(state->entries.begin());
    due.mapped()();
  }
  if (!state->entries.empty() && state->entries.begin()->first < state->armed_for) arm(state);
}

}  // namespace berth::rpc
