// Values as bytes, for the state database: little-endian numbers, counted strings and lists. Reading never
// goes beyond the end; is_good() says whether all that was read was there.
#pragma once

#include "base/ip_address.h"
#include "base/mac_address.h"

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace berth::agent {

class BlobWriter {
 public:
  template <std::unsigned_integral T>
  void number(T value) {
    for (std::size_t i = 0; i < sizeof(T); ++i)
      bytes_.push_back(static_cast<char>(static_cast<std::uint64_t>(value) >> (8 * i)));
  }
  void text(std::string_view text) {
    number(static_cast<std::uint32_t>(text.size()));
    bytes_.append(text);
  }
  void ip(const IpAddress& ip) {
    text({reinterpret_cast<const char*>(ip.bytes().data()), ip.bytes().size()});
  }
  void prefix(const IpPrefix& prefix) {
    ip(prefix.address());
    number(prefix.length());
  }
  void mac(const MacAddress& mac) { bytes_.append(mac.bytes.begin(), mac.bytes.end()); }
  template <typename T, typename Write>
  void list(const std::vector<T>& items, Write write) {
    number(static_cast<std::uint32_t>(items.size()));
    for (const T& item : items) write(item);
  }
  template <typename T, typename Write>
  void optional(const std::optional<T>& value, Write write) {
    number(static_cast<std::uint8_t>(value ? 1 : 0));
    if (value) write(*value);
  }
  std::string take() { return std::move(bytes_); }

 private:
  std::string bytes_;
};

class BlobReader {
 public:
  // LIFETIME: `bytes` outlives the reader.
  explicit BlobReader(std::string_view bytes) : rest_(bytes) {}

  template <std::unsigned_integral T>
  T number() {
    const std::string_view bytes = take(sizeof(T));
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < bytes.size(); ++i)
      value |= std::uint64_t{static_cast<std::uint8_t>(bytes[i])} << (8 * i);
    return static_cast<T>(value);
  }
  // An enumerator from 0 to `last`.
  template <typename E>
  E choice(E last) {
    const auto value = number<std::uint8_t>();
    if (value > static_cast<std::uint8_t>(last)) fail();
    return is_good_ ? static_cast<E>(value) : E{};
  }
  std::string text() { return std::string(take(number<std::uint32_t>())); }
  IpAddress ip();
  IpPrefix prefix();
  MacAddress mac();
  template <typename T, typename Read>
  std::vector<T> list(Read read) {
    std::vector<T> items;
    for (auto left = number<std::uint32_t>(); left > 0 && is_good_; --left) items.push_back(read());
    return items;
  }
  template <typename T, typename Read>
  std::optional<T> optional(Read read) {
    if (number<std::uint8_t>() == 0) return std::nullopt;
    return read();
  }

  void fail() { is_good_ = false; }
  bool is_good() const { return is_good_; }
  bool is_at_end() const { return rest_.empty(); }

 private:
  std::string_view take(std::size_t size);

  std::string_view rest_;
  bool is_good_ = true;
};

}  // namespace berth::agent
