#include "host/netlink/nl_message.h"

#include <cassert>
#include <cstring>
#include <linux/netlink.h>

#include <netlink/attr.h>

namespace berth::host {
namespace {

template <typename T>
std::optional<T> number(const NlAttributes& attributes, int type) {
  const auto value = attributes.find(type);
  return value ? structure_in<T>(*value) : std::nullopt;
}

}  // namespace

NlAttributes NlAttributes::of_message(Span message, std::size_t family_header) {
  const std::size_t before = NLMSG_HDRLEN + NLMSG_ALIGN(family_header);
  return NlAttributes(before <= message.size() ? message.subspan(before) : Span());
}

void NlAttributes::for_each(int type, const std::function<void(Span value)>& visit) const {
  Span rest = all_;
  while (rest.size() >= sizeof(nlattr)) {
    const nlattr header = *structure_in<nlattr>(rest);
    if (header.nla_len < sizeof(nlattr) || header.nla_len > rest.size()) return;
    if ((header.nla_type & NLA_TYPE_MASK) == type)
      visit(rest.subspan(NLA_HDRLEN, header.nla_len - sizeof(nlattr)));
    rest = rest.subspan(std::min<std::size_t>(NLA_ALIGN(header.nla_len), rest.size()));
  }
}

std::optional<NlAttributes::Span> NlAttributes::find(int type) const {
  std::optional<Span> found;
  for_each(type, [&](Span value) { found = value; });
  return found;
}

std::optional<std::uint8_t> NlAttributes::u8(int type) const {
  return number<std::uint8_t>(*this, type);
}
std::optional<std::uint16_t> NlAttributes::u16(int type) const {
  return number<std::uint16_t>(*this, type);
}
std::optional<std::uint32_t> NlAttributes::u32(int type) const {
  return number<std::uint32_t>(*this, type);
}
std::optional<std::uint64_t> NlAttributes::u64(int type) const {
  return number<std::uint64_t>(*this, type);
}

std::optional<std::string> NlAttributes::text(int type) const {
  const auto value = find(type);
  if (!value) return std::nullopt;
  const auto* begin = reinterpret_cast<const char*>(value->data());  // LIFETIME: copied in the next statement
  return std::string(begin, strnlen(begin, value->size()));
}

NlAttributes NlAttributes::nest(int type) const {
  return NlAttributes(find(type).value_or(Span()));
}

NlMessage start_message(int type, NlFlags flags, std::span<const std::byte> family_header) {
  NlMessage message(nlmsg_alloc());
  assert(message);
  nlmsghdr* header = nlmsg_put(message.get(), 0, kNlSequence, type, 0, static_cast<int>(flags));
  assert(header != nullptr);
  (void)header;
  // libnl's signature takes a pointer to non-const; it copies.
  nlmsg_append(message.get(), const_cast<std::byte*>(family_header.data()), family_header.size(),
               NLMSG_ALIGNTO);
  return message;
}

Bytes finish_message(const NlMessage& message) {
  const nlmsghdr* header = nlmsg_hdr(message.get());
  // LIFETIME: copied in this statement.
  const auto* begin = reinterpret_cast<const std::byte*>(header);
  return {begin, begin + header->nlmsg_len};
}

void put_nest(const NlMessage& message, int type, const std::function<void()>& fill) {
  nlattr* nest = nla_nest_start(message.get(), type);
  assert(nest != nullptr);
  fill();
  nla_nest_end(message.get(), nest);
}

}  // namespace berth::host
