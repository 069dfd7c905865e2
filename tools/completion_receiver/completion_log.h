// Completions that were received, one JSON object a line, on the disk before they are confirmed. Each
// operation once, however often it is told.
#pragma once

#include "base/error.h"
#include "berth/northbound/v1/attachments.pb.h"

#include <filesystem>
#include <set>
#include <string>

namespace berth::receiver {

class CompletionLog {
 public:
  // Reads what is there, and cuts off a last line that a crash has left unfinished. UNAVAILABLE
  // (LOG_UNUSABLE).
  static Result<CompletionLog> open(const std::filesystem::path& file);
  ~CompletionLog();
  CompletionLog(CompletionLog&& other) noexcept;
  CompletionLog& operator=(CompletionLog&&) = delete;

  // True: it is new. Blocks until it is on the disk. UNAVAILABLE (LOG_UNWRITABLE).
  Result<bool> add(const northbound::v1::Operation& ended);

 private:
  explicit CompletionLog(int fd) : fd_(fd) {}

  int fd_;
  std::set<std::string> known_;  // operations' ids
};

}  // namespace berth::receiver
