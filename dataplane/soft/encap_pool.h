// Encapsulation headers, shared by all rules that push the same bytes (the NIC has a pool of them, too).
#pragma once

#include "dataplane/soft/encap.h"
#include "dataplane/soft/grace.h"

#include <cstdint>
#include <string_view>
#include <unordered_map>

namespace berth::soft {

struct alignas(64) Encap {
  EncapHeader header;
  std::uint32_t references = 0;  // control side only
};

class EncapPool {
 public:
  EncapPool(std::uint32_t limit, Grace& grace) : limit_(limit), grace_(grace) {}
  ~EncapPool() {
    for (auto& [bytes, encap] : encaps_) delete encap;
  }
  EncapPool(const EncapPool&) = delete;
  EncapPool& operator=(const EncapPool&) = delete;

  // Null when the pool is exhausted.
  const Encap* acquire(const EncapHeader& header) {
    const auto found = encaps_.find(bytes_of(header));
    if (found != encaps_.end()) {
      ++found->second->references;
      return found->second;
    }
    if (encaps_.size() >= limit_) return nullptr;
    auto* encap = new Encap{header, 1};
    encaps_.emplace(bytes_of(encap->header), encap);
    return encap;
  }

  void release(const Encap* encap) {
    const auto found = encaps_.find(bytes_of(encap->header));
    if (--found->second->references != 0) return;
    Encap* last = found->second;
    encaps_.erase(found);
    grace_.retire([](void*, void* object, std::size_t) { delete static_cast<Encap*>(object); }, nullptr, last,
                  0);
  }

 private:
  static std::string_view bytes_of(const EncapHeader& header) {
    return {reinterpret_cast<const char*>(header.data.data()), header.length};
  }

  const std::uint32_t limit_;
  Grace& grace_;
  std::unordered_map<std::string_view, Encap*> encaps_;  // the key points into the value
};

}  // namespace berth::soft
