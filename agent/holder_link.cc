#include "agent/holder_link.h"

#include "base/log.h"

#include <string>
#include <utility>

namespace berth::agent {

using dataplane::remote::RemoteEswitch;

namespace {

constexpr std::chrono::seconds kHolderWait{10};
constexpr std::chrono::seconds kResyncInterval{1};

}  // namespace

void log_adoption(const Adoption& adopted, std::chrono::steady_clock::time_point begun) {
  const auto took = std::chrono::steady_clock::now() - begun;
  log_event(LogLevel::kInfo, "eswitch in step",
            {{"rules", adopted.wanted_count},
             {"read", adopted.read_count},
             {"added", adopted.added_count},
             {"removed", adopted.removed_count},
             {"ms", std::chrono::duration_cast<std::chrono::milliseconds>(took).count()}});
  for (const std::string& line : adopted.isolated)
    log_event(LogLevel::kWarning, "function isolated", {{"what", line}});
}

Task<void> wait_for_holder(RemoteEswitch& eswitch) {
  const auto give_up = std::chrono::steady_clock::now() + kHolderWait;
  while (!eswitch.has_session()) {
    const auto left = give_up - std::chrono::steady_clock::now();
    const auto woken = co_await with_deadline(left, eswitch.session_changed().wait());
    const bool is_final = !woken || eswitch.why_away().code != Code::kUnavailable;
    if (is_final && !eswitch.has_session()) co_return std::unexpected(eswitch.why_away());
  }
  co_return Result<void>();
}

asio::awaitable<void> follow_holder(Agent& agent, RemoteEswitch& eswitch, std::uint64_t epoch_in_step,
                                    std::function<void(bool)> is_in_step) {
  auto instance = eswitch.instance();
  bool is_away_told = false;
  while (true) {
    if (!eswitch.has_session() || eswitch.epoch() == epoch_in_step) {
      if (!eswitch.has_session() && !std::exchange(is_away_told, true)) {
        log_event(LogLevel::kError, "rule holder away", {{"why", eswitch.why_away().message}});
        is_in_step(false);
      }
      if (!co_await eswitch.session_changed().wait()) co_return;
      continue;
    }
    is_away_told = false;
    const auto epoch = eswitch.epoch();
    const auto begun = std::chrono::steady_clock::now();
    const bool is_new = std::exchange(instance, eswitch.instance()) != eswitch.instance();
    log_event(LogLevel::kInfo, "rule holder back", {{"started_anew", is_new}});
    const auto adopted = co_await agent.resync();
    if (adopted) {
      epoch_in_step = epoch;
      log_adoption(*adopted, begun);
      is_in_step(true);
      continue;
    }
    log_event(LogLevel::kError, "eswitch out of step", {{"error", adopted.error().message}});
    if (!co_await sleep_for(kResyncInterval)) co_return;
  }
}

}  // namespace berth::agent
