// The load that bench_rpc puts on a server, always through our own channel, so that both servers get
// the same client.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace berth::bench {

struct Target {
  std::uint16_t port;
  std::string certificates;
};

struct UnaryLoad {
  std::uint64_t calls = 0;
  double seconds = 0;
  std::vector<double> latencies_us = {};  // sorted
};
// `streams` callers on each of `connections` connections, each one call after the other.
UnaryLoad run_unary(const Target& target, int connections, int streams, double seconds);

struct StreamLoad {
  std::uint64_t messages = 0;
  double seconds = 0;
};
StreamLoad run_stream(const Target& target, std::uint32_t messages);

// Holds connections that have made one call each, or have so many calls open.
class Holder {
 public:
  Holder(const Target& target, int connections, int streams_each);
  ~Holder();
  Holder(const Holder&) = delete;
  Holder& operator=(const Holder&) = delete;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace berth::bench
