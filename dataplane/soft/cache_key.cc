#include "dataplane/soft/cache_key.h"

#include <bit>
#include <cstring>

namespace berth::soft {
namespace {

// What a mask asks of the packet as it arrives: tags and colour are set by rules, and the source port is the
// cache's own business.
FieldWords arriving(FieldVector mask) {
  mask.port = 0;
  mask.tags = {};
  mask.color = 0;
  return words_of(mask);
}

FieldWords seen_inside(const FieldVector& mask) {
  FieldVector inside{};
  inside.inner = mask.outer;
  return words_of(inside);
}

template <typename Field>
void fill(Field& field) {
  std::memset(&field, 0xff, sizeof(field));
}

void add_written(ModifyField field, LayerFields& written) {
  std::uint8_t* addresses = written.addresses.data();
  switch (field) {
    case ModifyField::kSourceMac:
      return fill(written.src_mac);
    case ModifyField::kDestinationMac:
      return fill(written.dst_mac);
    case ModifyField::kIpv4Source:
      std::memset(addresses, 0xff, 4);
      return;
    case ModifyField::kIpv4Destination:
      std::memset(addresses + 4, 0xff, 4);
      return;
    case ModifyField::kIpv6Source:
      std::memset(addresses, 0xff, 16);
      return;
    case ModifyField::kIpv6Destination:
      std::memset(addresses + 16, 0xff, 16);
      return;
    case ModifyField::kIpv4Ttl:
    case ModifyField::kIpv6HopLimit:
      return fill(written.ttl);
    case ModifyField::kSourcePort:
      return fill(written.src_port);
    case ModifyField::kDestinationPort:
      return fill(written.dst_port);
    case ModifyField::kTag:
      return;
  }
}

void delete_plans(void* /*context*/, void* plans, std::size_t /*size*/) {
  delete static_cast<PortPlans*>(plans);
}

}  // namespace

KeyPlan KeyPlan::covering(const RawMask& mask, std::size_t least) {
  KeyPlan plan;
  RawMask left = mask;
  std::size_t count = 0;
  for (std::size_t byte = 0; byte < least; ++byte) {
    if (left[byte] == 0) continue;
    if (count == kMaxWords) return {};
    const std::size_t start = std::min(byte, least - 8);
    std::memcpy(&plan.mask[count], left.data() + start, 8);
    std::memset(left.data() + start, 0, 8);
    plan.offset[count++] = static_cast<std::uint8_t>(start);
  }
  plan.blocks = static_cast<std::uint8_t>(std::max<std::size_t>(1, (count + kBlock - 1) / kBlock));
  return plan;
}

// Tags and colour are not the packet's: their bits say nothing about which packets a change concerns.
CacheKeys::CacheKeys() {
  FieldVector all{};
  fill(all);
  compared_ = arriving(all);
}

CacheKeys::~CacheKeys() {
  for (const auto& plans : plans_) delete plans.load(std::memory_order_relaxed);
}

void CacheKeys::advance(PortIndex port, const MaskWords& words, const std::uint64_t* key) {
  const std::uint64_t next = generation_.load(std::memory_order_relaxed) + 1;
  journal_.record(next, port, words, key, compared_);
  generation_.store(next, std::memory_order_release);
}

void CacheKeys::rule_added(PortIndex port, const FieldVector& mask, const MaskWords& words,
                           const std::uint64_t* key, std::span<const Modify> modifies, Grace& grace) {
  FieldVector written{};
  for (const Modify& modify : modifies) add_written(modify.field, written.outer);
  const FieldWords changed = words_of(written);
  for (std::size_t i = 0; i < kFieldWords; ++i) compared_[i] &= ~changed[i];

  const FieldWords outside = arriving(mask);
  const FieldWords inside = seen_inside(mask);
  // Plans first: who sees the new generation sees the plans that came with it.
  if (port != kAnyPort) {
    if (port < kPorts) unite(port, outside, inside, grace);
  } else {
    bool is_new = false;
    for (std::size_t i = 0; i < kFieldWords; ++i) {
      is_new = is_new || ((outside[i] | inside[i]) & ~united_of_all_[i]) != 0;
      united_of_all_[i] |= outside[i] | inside[i];
    }
    for (PortIndex each = 0; is_new && each < kPorts; ++each) unite(each, outside, inside, grace);
  }
  advance(port, words, key);
}

void CacheKeys::unite(PortIndex port, const FieldWords& outside, const FieldWords& inside, Grace& grace) {
  FieldWords& united = united_[port];
  bool has_grown = plans_[port].load(std::memory_order_relaxed) == nullptr;
  for (std::size_t i = 0; i < kFieldWords; ++i) {
    // Only what comes from the wire can be decapsulated (HP-23).
    const std::uint64_t needed = outside[i] | (port == kUplink ? inside[i] : 0);
    has_grown = has_grown || (needed & ~united[i]) != 0;
    united[i] |= needed;
  }
  if (has_grown) publish_plans(port, grace);
}

void CacheKeys::publish_plans(PortIndex port, Grace& grace) {
  auto* fresh = new PortPlans;
  const auto united = std::bit_cast<FieldVector>(united_[port]);
  for (std::size_t of = kUnusual + 1; of < kFrameClasses; ++of) {
    const auto frame_class = static_cast<FrameClass>(of);
    fresh->of_class[of] = KeyPlan::covering(spread_mask(united, frame_class), kFrameShapes[of].least);
  }
  fresh->since = generation_.load(std::memory_order_relaxed) + 1;
  const PortPlans* old = plans_[port].exchange(fresh, std::memory_order_acq_rel);
  if (old != nullptr) grace.retire(&delete_plans, nullptr, const_cast<PortPlans*>(old), 0);
}

}  // namespace berth::soft
