#include "agent/wal_check.h"

#include <cstddef>
#include <cstdint>
#include <optional>

#include <fmt/format.h>

namespace berth::agent {
namespace {

constexpr std::size_t kHeaderBytes = 32;
constexpr std::size_t kFrameHeaderBytes = 24;
constexpr std::uint32_t kMagic = 0x377f0682;  // and one more when checksums are of big-endian words

std::uint32_t word(std::string_view bytes, std::size_t at, bool is_big_endian = true) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < 4; ++i) {
    const auto byte = std::uint32_t{static_cast<std::uint8_t>(bytes[at + i])};
    value |= byte << (8 * (is_big_endian ? 3 - i : i));
  }
  return value;
}

// Of everything before it, too.
struct Checksum {
  bool is_big_endian = false;
  std::uint32_t first = 0;
  std::uint32_t second = 0;

  void add(std::string_view bytes) {
    for (std::size_t at = 0; at + 8 <= bytes.size(); at += 8) {
      first += word(bytes, at, is_big_endian) + second;
      second += word(bytes, at + 4, is_big_endian) + first;
    }
  }
  bool is_at(std::string_view bytes, std::size_t at) const {
    return word(bytes, at) == first && word(bytes, at + 4) == second;
  }
};

std::unexpected<Error> damaged(std::string_view where) {
  return fail(Code::kDataLoss, "STATE_CORRUPT", fmt::format("the write-ahead log is damaged in {}", where));
}

}  // namespace

Result<void> check_wal(std::string_view log) {
  // The header is on the disk before the first frame is written.
  if (log.size() < kHeaderBytes + kFrameHeaderBytes) return {};
  const std::string_view header = log.substr(0, kHeaderBytes);
  Checksum checksum{.is_big_endian = (word(header, 0) & 1U) != 0};
  checksum.add(header.substr(0, 24));
  if ((word(header, 0) & ~1U) != kMagic || !checksum.is_at(header, 24)) return damaged("its header");
  const std::size_t page_bytes = word(header, 8);
  if (page_bytes < 512 || page_bytes > 65536) return damaged("its header");

  const std::string_view salts = header.substr(16, 8);  // frames of an earlier round have others
  const std::size_t frame_bytes = kFrameHeaderBytes + page_bytes;
  std::optional<std::size_t> broken;
  std::size_t commits_behind = 0;
  for (std::size_t i = 0; kHeaderBytes + (i + 1) * frame_bytes <= log.size(); ++i) {
    const std::string_view frame = log.substr(kHeaderBytes + i * frame_bytes, frame_bytes);
    const bool is_of_this_round = frame.substr(8, 8) == salts;
    if (!broken) {
      checksum.add(frame.substr(0, 8));
      checksum.add(frame.substr(kFrameHeaderBytes));
      if (!is_of_this_round || !checksum.is_at(frame, 16)) broken = i;
    }
    const bool is_commit = word(frame, 4) != 0;
    if (broken && is_of_this_round && is_commit) ++commits_behind;
  }
  if (commits_behind > 1) return damaged(fmt::format("frame {}", *broken));
  return {};
}

}  // namespace berth::agent
