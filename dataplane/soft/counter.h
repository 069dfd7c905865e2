// Packet and byte counters that the worker writes and everybody may read.
#pragma once

#include <atomic>
#include <cstdint>

namespace berth::soft {

struct CounterValue {
  std::uint64_t packets = 0;
  std::uint64_t bytes = 0;
};

// One writer, any readers. A reset keeps a base instead of writing (rule_book.h).
class PacketCounter {
 public:
  void add(std::uint64_t bytes) { add(1, bytes); }
  void add(std::uint64_t packets, std::uint64_t bytes) {
    packets_.store(packets_.load(std::memory_order_relaxed) + packets, std::memory_order_relaxed);
    bytes_.store(bytes_.load(std::memory_order_relaxed) + bytes, std::memory_order_relaxed);
  }
  std::uint64_t packets() const { return packets_.load(std::memory_order_relaxed); }
  std::uint64_t bytes() const { return bytes_.load(std::memory_order_relaxed); }
  CounterValue value() const { return {packets(), bytes()}; }

 private:
  std::atomic<std::uint64_t> packets_ = 0;
  std::atomic<std::uint64_t> bytes_ = 0;
};

}  // namespace berth::soft
