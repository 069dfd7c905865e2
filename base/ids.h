// Strong identifiers. An `int` or `string` that means an id is a review stop.
//
// Text ids come from outside (VMaaS, controller) and are checked once, at the edge, by parse_id:
// 1 to 63 characters of [A-Za-z0-9._-], starting with a letter or digit. Inside the tree an id is
// always well-formed.
#pragma once

#include "base/error.h"

#include <compare>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include <fmt/format.h>

namespace berth {

// Checks the shape of a text id; `field` names it in the error.
Result<std::string> parse_id_text(std::string_view field, std::string_view text);

template <typename Tag>
class TextId {
 public:
  TextId() = default;  // the empty id: "none"

  // INVALID_ARGUMENT, reason MALFORMED_ID, when `text` is not a well-formed id.
  static Result<TextId> parse(std::string_view field, std::string_view text) {
    auto checked = parse_id_text(field, text);
    if (!checked) return std::unexpected(checked.error());
    return TextId(*std::move(checked));
  }
  // For ids that this program makes itself, and for tests.
  static TextId trusted(std::string text) { return TextId(std::move(text)); }

  const std::string& str() const { return text_; }
  bool empty() const { return text_.empty(); }
  auto operator<=>(const TextId&) const = default;

 private:
  explicit TextId(std::string text) : text_(std::move(text)) {}
  std::string text_;
};

using VmId = TextId<struct VmIdTag>;
using VpcId = TextId<struct VpcIdTag>;
using AttachmentId = TextId<struct AttachmentIdTag>;
using OperationId = TextId<struct OperationIdTag>;
using RequestId = TextId<struct RequestIdTag>;
using ControllerId = TextId<struct ControllerIdTag>;

// VXLAN network identifier (RFC 7348 section 5): 24 bits. 0 is refused, because ConnectX-5 cannot
// match it (DPDK 22.11 mlx5 guide), and so is everything above 2^24-1.
class Vni {
 public:
  static constexpr std::uint32_t kMax = 0xFFFFFF;
  Vni() = default;
  static Result<Vni> parse(std::string_view field, std::uint64_t value);
  static constexpr Vni trusted(std::uint32_t value) { return Vni(value); }
  constexpr std::uint32_t value() const { return value_; }
  auto operator<=>(const Vni&) const = default;

 private:
  explicit constexpr Vni(std::uint32_t value) : value_(value) {}
  std::uint32_t value_ = 0;
};

}  // namespace berth

template <typename Tag>
struct fmt::formatter<berth::TextId<Tag>> : fmt::formatter<std::string_view> {
  auto format(const berth::TextId<Tag>& id, format_context& ctx) const {
    return fmt::formatter<std::string_view>::format(id.str(), ctx);
  }
};
template <>
struct fmt::formatter<berth::Vni> : fmt::formatter<std::uint32_t> {
  auto format(berth::Vni vni, format_context& ctx) const {
    return fmt::formatter<std::uint32_t>::format(vni.value(), ctx);
  }
};
template <typename Tag>
struct std::hash<berth::TextId<Tag>> {
  std::size_t operator()(const berth::TextId<Tag>& id) const { return std::hash<std::string>()(id.str()); }
};
