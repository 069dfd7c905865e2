#include "dataplane/slowpath/dhcpv6_message.h"

namespace berth::dataplane::slowpath {
namespace {

constexpr std::size_t kMinDuidBytes = 3;  // a type and something (RFC 8415 section 11.1)
constexpr std::size_t kMaxDuidBytes = 130;

bool take_duid(Bytes& duid, Bytes value) {
  if (!duid.empty() || value.size() < kMinDuidBytes || value.size() > kMaxDuidBytes) return false;
  duid = value;
  return true;
}

// Sections 21.4 to 21.6 and 21.21: options inside an association. Prefixes are not looked at: there are none
// to give.
bool read_addresses(WireReader& options, IdentityAssociation& association) {
  while (!options.is_empty()) {
    const std::uint16_t code = options.u16();
    WireReader value(options.bytes(options.u16()));
    if (!options.is_intact()) return false;
    if (code != dhcpv6_option::kIaAddress) continue;
    if (association.address_count == association.addresses.size()) return false;
    association.addresses[association.address_count++] = value.ipv6();
    value.skip(8);  // lifetimes that the client would like
    if (!value.is_intact()) return false;
  }
  return options.is_intact();
}

bool take_association(Dhcpv6Message& message, std::uint16_t kind, Bytes value) {
  if (message.association_count == message.associations.size()) return false;
  IdentityAssociation& association = message.associations[message.association_count++];
  WireReader reader(value);
  association.kind = kind;
  association.id = reader.u32();
  if (kind != dhcpv6_option::kIaTa) reader.skip(8);  // T1 and T2 that the client would like
  return reader.is_intact() && read_addresses(reader, association);
}

bool take_option(Dhcpv6Message& message, std::uint16_t code, Bytes value) {
  switch (code) {
    case dhcpv6_option::kClientId:
      return take_duid(message.client_id, value);
    case dhcpv6_option::kServerId:
      return take_duid(message.server_id, value);
    case dhcpv6_option::kRapidCommit:
      message.wants_rapid_commit = true;
      return value.empty();
    case dhcpv6_option::kIaNa:
    case dhcpv6_option::kIaTa:
    case dhcpv6_option::kIaPd:
      return take_association(message, code, value);
    default:
      return true;
  }
}

}  // namespace

std::optional<Dhcpv6Message> read_dhcpv6(Bytes bytes) {
  WireReader reader(bytes);
  Dhcpv6Message message;
  message.type = reader.u8();
  message.transaction = reader.u24();
  while (reader.is_intact() && !reader.is_empty()) {
    const std::uint16_t code = reader.u16();
    const Bytes value = reader.bytes(reader.u16());
    if (!reader.is_intact() || !take_option(message, code, value)) return std::nullopt;
  }
  if (!reader.is_intact()) return std::nullopt;
  return message;
}

}  // namespace berth::dataplane::slowpath
