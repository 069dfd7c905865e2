// Writes big-endian fields into a buffer of fixed size. What does not fit is not written and is remembered:
// a builder writes all it has and asks once, at the end, whether it fitted.
#pragma once

#include "base/ip_address.h"
#include "base/mac_address.h"

#include <algorithm>
#include <cstdint>
#include <span>
#include <string_view>

namespace berth::dataplane::slowpath {

class WireWriter {
 public:
  // LIFETIME: borrows `buffer`.
  explicit WireWriter(std::span<std::uint8_t> buffer) : buffer_(buffer) {}

  bool has_fitted() const { return has_fitted_; }
  std::size_t size() const { return size_; }
  std::size_t room() const { return buffer_.size() - size_; }
  std::span<std::uint8_t> written() const { return buffer_.first(size_); }

  void u8(std::uint8_t value) { number(value, 1); }
  void u16(std::uint16_t value) { number(value, 2); }
  void u32(std::uint32_t value) { number(value, 4); }
  void bytes(std::span<const std::uint8_t> bytes) {
    if (!has_room(bytes.size())) return;
    std::ranges::copy(bytes, buffer_.begin() + static_cast<std::ptrdiff_t>(size_));
    size_ += bytes.size();
  }
  void text(std::string_view text) {
    bytes({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()});
  }
  void zeros(std::size_t count) {
    if (!has_room(count)) return;
    std::ranges::fill(buffer_.subspan(size_, count), std::uint8_t{0});
    size_ += count;
  }
  void mac(const MacAddress& mac) { bytes(mac.bytes); }
  void ip(const IpAddress& ip) { bytes(ip.bytes()); }

  // Overwrites two bytes at `offset`, which were written before.
  void patch_u16(std::size_t offset, std::uint16_t value) {
    if (offset + 2 > size_) return;
    buffer_[offset] = static_cast<std::uint8_t>(value >> 8);
    buffer_[offset + 1] = static_cast<std::uint8_t>(value);
  }

 private:
  bool has_room(std::size_t count) {
    has_fitted_ = has_fitted_ && count <= room();
    return has_fitted_;
  }
  void number(std::uint32_t value, std::size_t width) {
    if (!has_room(width)) return;
    for (std::size_t i = 0; i < width; ++i) {
      buffer_[size_ + i] = static_cast<std::uint8_t>(value >> 8 * (width - 1 - i));
    }
    size_ += width;
  }

  std::span<std::uint8_t> buffer_;
  std::size_t size_ = 0;
  bool has_fitted_ = true;
};

}  // namespace berth::dataplane::slowpath
