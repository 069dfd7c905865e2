#include "agent/audit.h"

#include "base/log.h"

#include <algorithm>

#include <fmt/format.h>

namespace berth::agent {
namespace {

constexpr std::size_t kLoggedFindings = 8;  // of one look and part

}  // namespace

asio::awaitable<void> Auditor::run(std::chrono::milliseconds interval) {
  while (co_await sleep_for(interval)) co_await look();
}

asio::awaitable<void> Auditor::look() {
  const auto begun = std::chrono::steady_clock::now();
  report_.obstacle.clear();
  for (AuditedPart* part : parts_) co_await look_at(*part);
  ++report_.runs;
  report_.last_run = std::chrono::system_clock::now();
  report_.took =
      std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - begun);
}

asio::awaitable<void> Auditor::look_at(AuditedPart& part) {
  const std::string name(part.name());
  auto found = co_await part.check(attachments_.list());
  if (!found) {
    report_.obstacle = fmt::format("{}: {}", name, found.error().message);
    co_return;
  }
  const auto is_parts = [&](const auto& open) { return open.first == name; };
  if (found->empty()) {
    std::erase_if(open_, is_parts);
    co_return;
  }
  const auto repaired = co_await part.repair(attachments_.list());
  const std::string refusal = repaired ? "" : repaired.error().message;
  // What the repair has left; where that is not known, everything.
  std::vector<std::string> left = *found;
  if (auto again = co_await part.check(attachments_.list())) left = *std::move(again);
  const std::set<std::pair<std::string, std::string>> known = open_;
  std::erase_if(open_, is_parts);
  std::size_t logged = 0;
  for (std::string& what : *found) {
    const bool is_left = std::ranges::find(left, what) != left.end();
    const bool is_known = known.contains({name, what});
    if (is_left) open_.emplace(name, what);
    if (!is_left) ++report_.repaired;
    if (!is_known) ++report_.found;
    if (is_known && is_left) continue;  // it has been told
    const std::string why = !is_left ? "" : refusal.empty() ? "it came back" : refusal;
    if (logged++ < kLoggedFindings) {
      log_event(LogLevel::kWarning, is_left ? "drift not repaired" : "drift repaired",
                {{"part", name}, {"what", what}, {"why", why}});
    }
    tell(part, std::move(what), why);
  }
  if (logged > kLoggedFindings)
    log_event(LogLevel::kWarning, "more drift", {{"part", name}, {"count", logged - kLoggedFindings}});
}

void Auditor::tell(const AuditedPart& part, std::string what, std::string refusal) {
  report_.findings.push_back({.seen = std::chrono::system_clock::now(),
                              .part = std::string(part.name()),
                              .what = std::move(what),
                              .refusal = std::move(refusal)});
  if (report_.findings.size() > AuditReport::kMaxFindings) report_.findings.pop_front();
}

}  // namespace berth::agent
