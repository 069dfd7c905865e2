#include "rpc/core/outbound.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

namespace berth::rpc::core {
namespace {

constexpr std::size_t kGatherBelow = 2048;  // a message smaller than this is copied
constexpr std::size_t kChunkBytes = 16384;  // into a chunk that may grow to this
constexpr std::size_t kSpentMax = 32;       // empty chunks kept in front before they are removed

std::array<char, 5> prefix_of(std::size_t length) {
  const auto byte = [length](unsigned shift) { return static_cast<char>(length >> shift & 255); };
  return {0, byte(24), byte(16), byte(8), byte(0)};
}

}  // namespace

void Outbound::append(std::string message) {
  const auto prefix = prefix_of(message.size());
  const std::size_t framed = prefix.size() + message.size();
  bytes_ += framed;
  const bool fits = !chunks_.empty() && chunks_.back().size() + framed <= kChunkBytes;
  if (!fits || chunks_.back().size() > kChunkBytes) {
    chunks_.emplace_back();
    if (chunks_.size() > 1) chunks_.back().reserve(message.size() < kGatherBelow ? kChunkBytes : 0);
  }
  chunks_.back().append(prefix.data(), prefix.size());
  if (message.size() < kGatherBelow) {
    chunks_.back() += message;
  } else {
    chunks_.push_back(std::move(message));
  }
}

std::size_t Outbound::read(std::span<std::uint8_t> into) {
  std::size_t done = 0;
  while (done < into.size() && bytes_ > 0) {
    std::string& chunk = chunks_[first_];
    const std::size_t count = std::min(into.size() - done, chunk.size() - offset_);
    std::memcpy(into.data() + done, chunk.data() + offset_, count);
    done += count;
    offset_ += count;
    bytes_ -= count;
    if (offset_ < chunk.size()) break;
    chunk = std::string();
    offset_ = 0;
    ++first_;
  }
  if (bytes_ == 0) {
    clear();
  } else if (first_ >= kSpentMax) {
    chunks_.erase(chunks_.begin(), chunks_.begin() + static_cast<std::ptrdiff_t>(first_));
    first_ = 0;
  }
  return done;
}

void Outbound::clear() {
  chunks_.clear();
  first_ = offset_ = bytes_ = 0;
}

}  // namespace berth::rpc::core
