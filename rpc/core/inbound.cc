#include "rpc/core/inbound.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include <fmt/format.h>

namespace berth::rpc::core {

Result<std::size_t> Inbound::push(std::span<const std::uint8_t> bytes) {
  std::size_t credit = 0;
  while (!bytes.empty()) {
    if (prefix_bytes_ < sizeof(prefix_)) {
      const std::size_t count = std::min(bytes.size(), sizeof(prefix_) - prefix_bytes_);
      std::memcpy(prefix_ + prefix_bytes_, bytes.data(), count);
      bytes = bytes.subspan(count);
      prefix_bytes_ += count;
      current_.held += count;
      if (prefix_bytes_ < sizeof(prefix_)) break;
      const auto begun = begin_message();
      if (!begun) return std::unexpected(begun.error());
      credit += *begun;
    }
    const std::size_t count = std::min<std::size_t>(bytes.size(), length_ - current_.bytes.size());
    current_.bytes.append(reinterpret_cast<const char*>(bytes.data()), count);
    bytes = bytes.subspan(count);
    (current_.reserved > 0 ? credit : current_.held) += count;
    if (current_.bytes.size() < length_) break;
    stalled_ = false;  // the peer had enough credit after all
    complete_.push_back(std::exchange(current_, Stored{}));
    ++completed_count_;
    prefix_bytes_ = 0;
  }
  return credit;
}

Result<std::size_t> Inbound::begin_message() {
  if (prefix_[0] > 1) {
    return fail(Code::kInternal, "BAD_MESSAGE_FLAG", "a message prefix has an unknown compression flag");
  }
  length_ = static_cast<std::uint32_t>(prefix_[1]) << 24 | static_cast<std::uint32_t>(prefix_[2]) << 16 |
            static_cast<std::uint32_t>(prefix_[3]) << 8 | prefix_[4];
  if (length_ > options_.message_bytes) {
    return fail(
        Code::kResourceExhausted, "MESSAGE_TOO_LARGE",
        fmt::format("a message of {} bytes exceeds the limit of {}", length_, options_.message_bytes));
  }
  current_.is_compressed = prefix_[0] == 1;
  if (length_ + sizeof(prefix_) <= options_.window_bytes / 2) {
    current_.bytes.reserve(length_);
    return 0;
  }
  stalled_ = true;
  return resume();
}

std::size_t Inbound::resume() {
  if (!stalled_ || !budget_.take(length_)) return 0;
  stalled_ = false;
  current_.reserved = length_;
  current_.bytes.reserve(length_);
  return std::exchange(current_.held, 0);
}

std::optional<Inbound::Message> Inbound::pop() {
  if (!has_message()) return std::nullopt;
  Stored& stored = complete_[head_++];
  budget_.give_back(stored.reserved);
  Message message{
      .bytes = std::move(stored.bytes), .is_compressed = stored.is_compressed, .credit = stored.held};
  if (head_ == complete_.size()) {
    complete_.clear();
    head_ = 0;
  }
  return message;
}

std::size_t Inbound::drop() {
  std::size_t credit = current_.held;
  budget_.give_back(current_.reserved);
  for (; head_ < complete_.size(); ++head_) {
    credit += complete_[head_].held;
    budget_.give_back(complete_[head_].reserved);
  }
  complete_.clear();
  head_ = 0;
  current_ = Stored{};
  prefix_bytes_ = 0;
  stalled_ = false;
  return credit;
}

}  // namespace berth::rpc::core
