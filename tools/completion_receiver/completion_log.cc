#include "tools/completion_receiver/completion_log.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <unistd.h>
#include <utility>

#include <fmt/format.h>
#include <google/protobuf/util/json_util.h>

namespace berth::receiver {
namespace {

namespace pb = google::protobuf::util;

std::unexpected<Error> unusable(const std::filesystem::path& file, std::string_view why) {
  return fail(Code::kUnavailable, "LOG_UNUSABLE", fmt::format("{}: {}", file.string(), why));
}

std::unexpected<Error> unwritable() {
  return fail(Code::kUnavailable, "LOG_UNWRITABLE", fmt::format("the log: {}", std::strerror(errno)));
}

}  // namespace

Result<CompletionLog> CompletionLog::open(const std::filesystem::path& file) {
  CompletionLog log(::open(file.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  if (log.fd_ < 0) return unusable(file, std::strerror(errno));
  std::ifstream lines(file);
  off_t whole = 0;
  for (std::string line; std::getline(lines, line) && !lines.eof();) {
    northbound::v1::Operation operation;
    if (!pb::JsonStringToMessage(line, &operation).ok())
      return unusable(file, fmt::format("the line at byte {} is no operation", whole));
    log.known_.insert(operation.id());
    whole += static_cast<off_t>(line.size() + 1);
  }
  if (::ftruncate(log.fd_, whole) != 0) return unusable(file, std::strerror(errno));
  return log;
}

CompletionLog::~CompletionLog() {
  if (fd_ >= 0) ::close(fd_);
}

CompletionLog::CompletionLog(CompletionLog&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), known_(std::move(other.known_)) {}

Result<bool> CompletionLog::add(const northbound::v1::Operation& ended) {
  if (known_.contains(ended.id())) return false;
  std::string line;
  pb::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  if (!pb::MessageToJsonString(ended, &line, options).ok())
    return fail(Code::kInvalidArgument, "MALFORMED_OPERATION", "the operation has no JSON form");
  line += '\n';
  const off_t end = ::lseek(fd_, 0, SEEK_END);
  const ssize_t written = ::write(fd_, line.data(), line.size());
  if (written != static_cast<ssize_t>(line.size()) || ::fdatasync(fd_) != 0) {
    const auto failed = unwritable();
    if (end >= 0)
      (void)::ftruncate(fd_, end);  // half a line is none; should it stay, the next start cuts it off
    return failed;
  }
  known_.insert(ended.id());
  return true;
}

}  // namespace berth::receiver
