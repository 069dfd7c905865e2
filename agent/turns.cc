#include "agent/turns.h"

#include <algorithm>

#include <fmt/format.h>

namespace berth::agent {

struct Turns::Entry {
  Entry(asio::any_io_executor executor, VpcId of, VmId owner)
      : turn(std::move(executor)), tenant(std::move(of)), vm(std::move(owner)) {}

  Signal turn;
  const VpcId tenant;
  const VmId vm;
  bool is_running = false;
};

struct Turns::State {
  using Queue = std::list<Entry>;

  void leave(Queue::iterator entry) {
    if (entry->is_running) --running_count;
    const auto of_vm = vms.find(entry->vm);
    std::erase(of_vm->second, &*entry);
    if (of_vm->second.empty()) vms.erase(of_vm);
    const auto queue = tenants.find(entry->tenant);
    queue->second.erase(entry);
    if (queue->second.empty()) tenants.erase(queue);
    --total;
    advance();
  }

  // Gives turns, tenant by tenant, as long as there are any.
  void advance() {
    std::size_t passed_over = 0;
    while (!is_gone && running_count < limits.running && passed_over < tenants.size()) {
      auto next = tenants.upper_bound(last_tenant);
      if (next == tenants.end()) next = tenants.begin();
      last_tenant = next->first;
      passed_over = give_turn(next->second) ? 0 : passed_over + 1;
    }
  }

  bool give_turn(Queue& queue) {
    const auto may_run = [this](const Entry& entry) {
      return !entry.is_running && vms.at(entry.vm).front() == &entry;
    };
    const auto entry = std::ranges::find_if(queue, may_run);
    if (entry == queue.end()) return false;
    entry->is_running = true;
    ++running_count;
    entry->turn.notify_all();
    return true;
  }

  asio::any_io_executor executor;
  TurnLimits limits;
  std::map<VpcId, Queue> tenants = {};
  std::map<VmId, std::deque<const Entry*>> vms = {};  // as they came; the first runs, or may
  VpcId last_tenant = {};
  std::size_t running_count = 0;
  std::size_t total = 0;
  bool is_gone = false;  // the Turns are: nobody gets one any more
};

Turns::Turns(asio::any_io_executor executor, TurnLimits limits)
    : state_(std::make_shared<State>(State{.executor = std::move(executor), .limits = limits})) {}

Turns::~Turns() {
  state_->is_gone = true;
}

Result<Turns::Place> Turns::queue_up(const VpcId& tenant, const VmId& vm) {
  const auto queue = state_->tenants.find(tenant);
  const std::size_t of_tenant = queue == state_->tenants.end() ? 0 : queue->second.size();
  const TurnLimits& limits = state_->limits;
  if (state_->total >= limits.total || of_tenant >= limits.of_tenant) {
    return fail(Code::kResourceExhausted, "TOO_MANY_OPERATIONS",
                fmt::format("{} operations run or wait, {} of them VPC {}'s; at most {} and {} may",
                            state_->total, of_tenant, tenant, limits.total, limits.of_tenant));
  }
  return queue_up_again(tenant, vm);
}

Turns::Place Turns::queue_up_again(const VpcId& tenant, const VmId& vm) {
  State::Queue& queue = state_->tenants[tenant];
  const auto entry = queue.emplace(queue.end(), state_->executor, tenant, vm);
  state_->vms[vm].push_back(&*entry);
  ++state_->total;
  state_->advance();
  return {state_, entry};
}

std::size_t Turns::count() const {
  return state_->total;
}
const TurnLimits& Turns::limits() const {
  return state_->limits;
}

Turns::Place::~Place() {
  if (state_ != nullptr) state_->leave(entry_);
}

Task<void> Turns::Place::wait_for_turn() {
  while (!entry_->is_running) {
    const auto woken = co_await entry_->turn.wait();
    if (!woken) co_return woken;
  }
  co_return Result<void>();
}

}  // namespace berth::agent
