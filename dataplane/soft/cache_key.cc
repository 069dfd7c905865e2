#include "dataplane/soft/cache_key.h"

namespace berth::soft {
namespace {

// What the mask asks of the packet as it arrives: tags and colour are set by rules, and the source port is
// the cache's own business.
FieldWords arriving(const FieldVector& mask) {
  FieldVector needed = mask;
  needed.port = 0;
  needed.tags = {};
  needed.color = 0;
  FieldWords words = words_of(needed);
  FieldVector inside{};
  inside.inner = mask.outer;
  const FieldWords shifted = words_of(inside);
  for (std::size_t i = 0; i < words.size(); ++i) words[i] |= shifted[i];
  return words;
}

void delete_mask(void* /*context*/, void* mask, std::size_t /*size*/) {
  delete static_cast<CacheMask*>(mask);
}

}  // namespace

CacheKeys::~CacheKeys() {
  for (Slot& slot : slots_) delete slot.mask.load(std::memory_order_relaxed);
}

void CacheKeys::rule_added(PortIndex port, const FieldVector& mask, Grace& grace) {
  Slot& slot = slots_[port % kPorts];
  const FieldWords needed = arriving(mask);
  // Behind a function there is no tunnel that a rule could take off.
  const std::size_t count = port == kUplink ? needed.size() : sizeof(LayerFields) / 8;
  bool has_grown = slot.mask.load(std::memory_order_relaxed) == nullptr;
  for (std::size_t i = 0; i < count; ++i) {
    has_grown = has_grown || (needed[i] & ~slot.united[i]) != 0;
    slot.united[i] |= needed[i];
  }
  if (has_grown) {
    auto* fresh = new CacheMask{.words = {}, .version = ++slot.version};
    if (!MaskWords::from(std::bit_cast<FieldVector>(slot.united), fresh->words)) {
      delete fresh;
      fresh = nullptr;
    }
    const CacheMask* old = slot.mask.exchange(fresh, std::memory_order_acq_rel);
    if (old != nullptr) grace.retire(&delete_mask, nullptr, const_cast<CacheMask*>(old), 0);
  }
  bump(slot);
}

}  // namespace berth::soft
