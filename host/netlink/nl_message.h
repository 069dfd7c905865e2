// Netlink messages: made with libnl, taken apart by NlAttributes, which trusts no length.
#pragma once

#include "host/netlink/exchange.h"
#include "host/netlink/nl_handles.h"

#include <cstdint>
#include <cstring>
#include <functional>
#include <optional>
#include <span>
#include <string>

namespace berth::host {

// Attributes of a message or of a nest. LIFETIME: refers to the bytes that it was made of.
// Numbers are in host byte order, as netlink has them. An attribute that is too short for its type is not
// there.
class NlAttributes {
 public:
  using Span = std::span<const std::byte>;

  NlAttributes() = default;
  explicit NlAttributes(Span attributes) : all_(attributes) {}
  // What follows a message's header and the family's own.
  static NlAttributes of_message(Span message, std::size_t family_header);

  bool has(int type) const { return find(type).has_value(); }
  std::optional<Span> find(int type) const;  // the last of this type, its value only
  std::optional<std::uint8_t> u8(int type) const;
  std::optional<std::uint16_t> u16(int type) const;
  std::optional<std::uint32_t> u32(int type) const;
  std::optional<std::uint64_t> u64(int type) const;
  std::optional<std::string> text(int type) const;
  NlAttributes nest(int type) const;  // empty when there is none
  void for_each(int type, const std::function<void(Span value)>& visit) const;

 private:
  Span all_;
};

// The structure that a value, or a message behind its header, begins with; nothing when it is shorter.
template <typename T>
std::optional<T> structure_in(std::span<const std::byte> bytes) {
  if (bytes.size() < sizeof(T)) return std::nullopt;
  T value;
  std::memcpy(&value, bytes.data(), sizeof value);
  return value;
}

enum class NlFlags : std::uint16_t {
  kOne = 0x001 | 0x004,   // NLM_F_REQUEST | NLM_F_ACK
  kList = 0x001 | 0x300,  // NLM_F_REQUEST | NLM_F_DUMP
};

// A request that waits for its attributes.
NlMessage start_message(int type, NlFlags flags, std::span<const std::byte> family_header);
Bytes finish_message(const NlMessage& message);

// Opens a nest, lets `fill` put attributes into it, and closes it.
void put_nest(const NlMessage& message, int type, const std::function<void()>& fill);

}  // namespace berth::host
