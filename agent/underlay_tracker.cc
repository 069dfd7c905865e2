#include "agent/underlay_tracker.h"

#include "base/log.h"

#include <chrono>

namespace berth::agent {
namespace {

constexpr std::chrono::seconds kProbeInterval{1};

struct Resolution {
  std::map<IpAddress, MacAddress> next_hops;
  bool is_complete = true;
};

// One look at the kernel's tables; probes what is missing. A next hop that the kernel has forgotten (it
// never sees the tunnelled traffic) stays until a new one is known. Endpoints that the kernel would reach
// by another device than the uplink stay unresolved: packets leave by the uplink only.
Result<Resolution> resolve(const std::set<IpAddress>& vteps, const std::map<IpAddress, MacAddress>& last,
                           host::Neighbours& neighbours, int uplink_ifindex) {
  const auto table = neighbours.read_table();
  if (!table) return pass(table);
  Resolution resolution;
  for (const IpAddress& vtep : vteps) {
    const auto hop = neighbours.find_route(vtep);
    if (!hop || hop->ifindex != uplink_ifindex) {
      resolution.is_complete = false;
      continue;
    }
    const auto known = table->find(*hop);
    if (known != table->end()) {
      resolution.next_hops.emplace(vtep, known->second);
      continue;
    }
    resolution.is_complete = false;
    if (const auto old = last.find(vtep); old != last.end()) resolution.next_hops.insert(*old);
    (void)neighbours.probe(*hop);  // a refusal (too many entries, device down) is tried again with the rest
  }
  return resolution;
}

}  // namespace

asio::awaitable<void> track_underlay(Agent& agent, host::Neighbours& neighbours, int uplink_ifindex) {
  using namespace asio::experimental::awaitable_operators;
  while (true) {
    const auto version = agent.vpcs().version();
    auto resolution = resolve(agent.wanted_vteps(), agent.next_hops(), neighbours, uplink_ifindex);
    bool retry = !resolution || !resolution->is_complete;
    if (resolution) {
      const auto set = co_await agent.set_next_hops(std::move(resolution->next_hops));
      retry = retry || !set;
      if (!set) log_event(LogLevel::kError, "next hops not programmed", {{"error", set.error().message}});
    } else {
      log_event(LogLevel::kError, "next hops unknown", {{"error", resolution.error().message}});
    }
    if (agent.vpcs().version() != version) continue;  // a push came while rules were written
    const auto pause =
        retry ? std::chrono::nanoseconds(kProbeInterval) : std::chrono::nanoseconds(std::chrono::hours(1));
    (void)co_await (agent.vpcs_changed().wait() || neighbours.wait_for_change() || sleep_for(pause));
    if (const auto state = co_await asio::this_coro::cancellation_state;
        state.cancelled() != asio::cancellation_type::none) {
      co_return;
    }
  }
}

}  // namespace berth::agent
