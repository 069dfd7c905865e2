// Looks, again and again, whether the host is as it is meant to be, puts right what is not, and tells: what
// somebody, or a fault, has changed behind the agent's back. Changes that are made on purpose are verified
// where they are made; this finds what happens to them later.
//
// A part is one kind of thing that may drift. It looks at all attachments at once, because most kinds can be
// read for all at the price of one.
#pragma once

#include "agent/attachment_store.h"
#include "base/task.h"

#include <chrono>
#include <cstdint>
#include <deque>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace berth::agent {

class AuditedPart {
 public:
  virtual ~AuditedPart() = default;
  virtual std::string_view name() const = 0;  // "rules"

  // What differs from what is wanted now, one line each; nothing is changed. Called every few seconds: it
  // must cost little where nothing differs, and may hold nobody up.
  virtual Task<std::vector<std::string>> check(std::vector<Attachment> attachments) = 0;

  // Makes right what differs, whatever check() has seen: the world may have moved on. Idempotent. What can be
  // repaired is, and the first refusal is returned.
  virtual Task<void> repair(std::vector<Attachment> attachments) = 0;
};

struct AuditFinding {
  std::chrono::system_clock::time_point seen;
  std::string part;
  std::string what;
  std::string refusal;  // why it could not be repaired; empty: it is
};

struct AuditReport {
  static constexpr std::size_t kMaxFindings = 32;
  std::uint64_t runs = 0;
  std::uint64_t found = 0;     // ever; what stays is counted once
  std::uint64_t repaired = 0;  // of these
  std::chrono::system_clock::time_point last_run;
  std::chrono::microseconds took{0};
  std::string obstacle;               // why the last run could not look everywhere; empty: it could
  std::deque<AuditFinding> findings;  // the last ones, oldest first
};

class Auditor {
 public:
  // `attachments` outlives it, and so does every part.
  explicit Auditor(const AttachmentStore& attachments) : attachments_(attachments) {}
  void add(AuditedPart& part) { parts_.push_back(&part); }

  // Until cancelled.
  asio::awaitable<void> run(std::chrono::milliseconds interval);
  // One look at everything. Never fails: what goes wrong is in the report.
  asio::awaitable<void> look();

  const AuditReport& report() const { return report_; }

 private:
  asio::awaitable<void> look_at(AuditedPart& part);
  void tell(const AuditedPart& part, std::string what, std::string refusal);

  const AttachmentStore& attachments_;
  std::vector<AuditedPart*> parts_;
  AuditReport report_;
  std::set<std::pair<std::string, std::string>> open_;  // part and what: found, told, and still there
};

}  // namespace berth::agent
