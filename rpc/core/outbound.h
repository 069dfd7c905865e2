// The messages of one stream on their way out, as the bytes of DATA frames. Small messages are
// gathered into common chunks, a large one is a chunk of its own and not copied.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace berth::rpc::core {

class Outbound {
 public:
  // Queues one message with its length prefix.
  void append(std::string message);
  // Moves up to into.size() bytes out; returns how many.
  std::size_t read(std::span<std::uint8_t> into);
  std::size_t size() const { return bytes_; }
  void clear();

 private:
  std::vector<std::string> chunks_;
  std::size_t first_ = 0;   // chunk being read
  std::size_t offset_ = 0;  // in it
  std::size_t bytes_ = 0;   // left
};

}  // namespace berth::rpc::core
