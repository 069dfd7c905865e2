#include "dataplane/soft/rewrite.h"

#include "dataplane/soft/rule.h"

#include <cstring>

namespace berth::soft {
namespace {

constexpr std::size_t kIpv4Checksum = 10;
constexpr std::size_t kTcpChecksum = 16;
constexpr std::size_t kUdpChecksum = 6;
constexpr std::size_t kIcmp6Checksum = 2;

std::uint16_t read16(const std::uint8_t* at) {
  return static_cast<std::uint16_t>(at[0] << 8 | at[1]);
}

void write16(std::uint8_t* at, std::uint32_t value) {
  at[0] = static_cast<std::uint8_t>(value >> 8);
  at[1] = static_cast<std::uint8_t>(value);
}

// RFC 1624: ~(~sum + ~old + new), over fields at even offsets; a single byte is padded as told.
std::uint16_t adjust(std::uint16_t checksum, const std::uint8_t* before, const std::uint8_t* after,
                     std::size_t bytes) {
  std::uint32_t sum = static_cast<std::uint16_t>(~checksum);
  for (std::size_t i = 0; i < bytes; i += 2) {
    sum += static_cast<std::uint16_t>(~read16(before + i));
    sum += read16(after + i);
  }
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum);
}

class Rewriter {
 public:
  Rewriter(std::uint8_t* frame, ParsedPacket& parsed) : frame_(frame), parsed_(parsed) {}

  // Bytes at `at` of the IP header; the layer-4 checksum covers them if `in_pseudo_header`.
  void set_ip(std::size_t at, const std::uint8_t* value, std::size_t bytes, bool in_pseudo_header) {
    std::uint8_t* ip = frame_ + parsed_.outer.l3;
    if (has(kHasIpv4)) fix(ip + kIpv4Checksum, ip + at, value, bytes);
    if (in_pseudo_header) fix_l4(ip + at, value, bytes);
    std::memcpy(ip + at, value, bytes);
  }

  void set_ttl(std::size_t at, std::uint8_t value) {
    // Checksums are over 16-bit words: take the byte's neighbour along.
    std::uint8_t* word = frame_ + parsed_.outer.l3 + (at & ~std::size_t{1});
    std::uint8_t changed[2] = {word[0], word[1]};
    changed[at & 1] = value;
    set_ip(at & ~std::size_t{1}, changed, 2, false);
    fields().ttl = value;
  }

  void set_port(std::size_t at, const std::uint8_t* value) {
    std::uint8_t* l4 = frame_ + parsed_.outer.l4;
    fix_l4(l4 + at, value, 2);
    std::memcpy(l4 + at, value, 2);
  }

  void set_mac(std::size_t at, const std::uint8_t* value) {
    std::memcpy(frame_ + parsed_.outer.l2 + at, value, 6);
  }

  LayerFields& fields() { return parsed_.fields.outer; }
  FieldVector& vector() { return parsed_.fields; }
  bool has(std::uint16_t bits) const { return (parsed_.fields.outer.presence & bits) != 0; }

 private:
  static void fix(std::uint8_t* checksum, const std::uint8_t* before, const std::uint8_t* after,
                  std::size_t bytes) {
    write16(checksum, adjust(read16(checksum), before, after, bytes));
  }

  void fix_l4(const std::uint8_t* before, const std::uint8_t* after, std::size_t bytes) {
    std::uint8_t* l4 = frame_ + parsed_.outer.l4;
    if (has(kHasTcp)) fix(l4 + kTcpChecksum, before, after, bytes);
    if (has(kHasIcmp6)) fix(l4 + kIcmp6Checksum, before, after, bytes);
    if (has(kHasUdp) && read16(l4 + kUdpChecksum) != 0) {
      fix(l4 + kUdpChecksum, before, after, bytes);
      if (read16(l4 + kUdpChecksum) == 0) write16(l4 + kUdpChecksum, 0xffff);  // 0 would mean "none"
    }
  }

  std::uint8_t* frame_;
  ParsedPacket& parsed_;
};

std::size_t value_bytes(ModifyField field) {
  switch (field) {
    case ModifyField::kSourceMac:
    case ModifyField::kDestinationMac:
      return 6;
    case ModifyField::kIpv4Source:
    case ModifyField::kIpv4Destination:
      return 4;
    case ModifyField::kIpv6Source:
    case ModifyField::kIpv6Destination:
      return 16;
    case ModifyField::kIpv4Ttl:
    case ModifyField::kIpv6HopLimit:
      return 1;
    case ModifyField::kSourcePort:
    case ModifyField::kDestinationPort:
      return 2;
    case ModifyField::kTag:
      return 1 + 4 + 4;
  }
  return 0;
}

void apply_one(ModifyField field, const std::uint8_t* value, Rewriter& packet) {
  LayerFields& fields = packet.fields();
  std::uint8_t* addresses = fields.addresses.data();
  switch (field) {
    case ModifyField::kSourceMac:
      packet.set_mac(6, value);
      std::memcpy(fields.src_mac.data(), value, 6);
      break;
    case ModifyField::kDestinationMac:
      packet.set_mac(0, value);
      std::memcpy(fields.dst_mac.data(), value, 6);
      break;
    case ModifyField::kIpv4Source:
      if (!packet.has(kHasIpv4)) break;
      packet.set_ip(12, value, 4, true);
      std::memcpy(addresses, value, 4);
      break;
    case ModifyField::kIpv4Destination:
      if (!packet.has(kHasIpv4)) break;
      packet.set_ip(16, value, 4, true);
      std::memcpy(addresses + 4, value, 4);
      break;
    case ModifyField::kIpv4Ttl:
      if (packet.has(kHasIpv4)) packet.set_ttl(8, *value);
      break;
    case ModifyField::kIpv6Source:
      if (!packet.has(kHasIpv6)) break;
      packet.set_ip(8, value, 16, true);
      std::memcpy(addresses, value, 16);
      break;
    case ModifyField::kIpv6Destination:
      if (!packet.has(kHasIpv6)) break;
      packet.set_ip(24, value, 16, true);
      std::memcpy(addresses + 16, value, 16);
      break;
    case ModifyField::kIpv6HopLimit:
      if (packet.has(kHasIpv6)) packet.set_ttl(7, *value);
      break;
    case ModifyField::kSourcePort:
      if (!packet.has(kHasUdp | kHasTcp)) break;
      packet.set_port(0, value);
      std::memcpy(fields.src_port.data(), value, 2);
      break;
    case ModifyField::kDestinationPort:
      if (!packet.has(kHasUdp | kHasTcp)) break;
      packet.set_port(2, value);
      std::memcpy(fields.dst_port.data(), value, 2);
      break;
    case ModifyField::kTag: {
      std::uint32_t bits = 0;
      std::uint32_t mask = 0;
      std::memcpy(&bits, value + 1, 4);
      std::memcpy(&mask, value + 5, 4);
      std::uint32_t& tag = packet.vector().tags[value[0]];
      tag = (tag & ~mask) | bits;
      break;
    }
  }
}

}  // namespace

const std::uint8_t* Rule::only_destination_mac() const {
  const std::span<const std::uint8_t> packed = modifies();
  const bool is_it =
      packed.size() == 1 + 6 && packed[0] == static_cast<std::uint8_t>(ModifyField::kDestinationMac);
  return is_it ? destination_mac() : nullptr;
}

void append_modify(const Modify& modify, std::vector<std::uint8_t>& packed) {
  packed.push_back(static_cast<std::uint8_t>(modify.field));
  if (modify.field == ModifyField::kTag) {
    packed.push_back(modify.tag_index);
    for (std::uint32_t word : {modify.tag_value, modify.tag_mask}) {
      const auto* bytes = reinterpret_cast<const std::uint8_t*>(&word);
      packed.insert(packed.end(), bytes, bytes + 4);
    }
    return;
  }
  const auto size = static_cast<std::ptrdiff_t>(value_bytes(modify.field));
  packed.insert(packed.end(), modify.value.begin(), modify.value.begin() + size);
}

std::vector<Modify> unpack_modifies(std::span<const std::uint8_t> packed) {
  std::vector<Modify> modifies;
  for (std::size_t at = 0; at < packed.size();) {
    Modify modify{.field = static_cast<ModifyField>(packed[at])};
    const std::uint8_t* value = packed.data() + at + 1;
    if (modify.field == ModifyField::kTag) {
      modify.tag_index = value[0];
      std::memcpy(&modify.tag_value, value + 1, 4);
      std::memcpy(&modify.tag_mask, value + 5, 4);
    } else {
      std::memcpy(modify.value.data(), value, value_bytes(modify.field));
    }
    modifies.push_back(modify);
    at += 1 + value_bytes(modify.field);
  }
  return modifies;
}

void apply_modifies(std::span<const std::uint8_t> packed, std::uint8_t* frame, ParsedPacket& parsed) {
  Rewriter packet(frame, parsed);
  for (std::size_t at = 0; at < packed.size();) {
    const auto field = static_cast<ModifyField>(packed[at]);
    apply_one(field, packed.data() + at + 1, packet);
    at += 1 + value_bytes(field);
  }
}

}  // namespace berth::soft
