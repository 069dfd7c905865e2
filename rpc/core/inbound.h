// The messages of one stream on their way in: cuts DATA bytes into gRPC messages, checks the length
// prefix before anything is stored, and says when the peer may have flow-control credit back.
//
// Credit rules, which are the back-pressure of the whole library:
//  - a message gives its bytes back when it is taken with pop();
//  - a message of more than half a stream window cannot wait for that (nghttp2 announces credit only
//    by halves), so it reserves its length in the connection's budget first and then gives bytes back
//    as they come. A stream whose reservation does not fit stalls with at most one window stored
//    until resume() finds room. Every reserved message can end, so reservations cannot deadlock.
#pragma once

#include "base/error.h"
#include "rpc/core/byte_budget.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace berth::rpc::core {

class Inbound {
 public:
  struct Options {
    std::uint32_t message_bytes;  // limit
    std::uint32_t window_bytes;   // of the stream
  };
  Inbound(Options options, ByteBudget& budget) : options_(options), budget_(budget) {}
  ~Inbound() { drop(); }
  Inbound(const Inbound&) = delete;
  Inbound& operator=(const Inbound&) = delete;

  // Returns the credit to give back at once. RESOURCE_EXHAUSTED (MESSAGE_TOO_LARGE) over the limit,
  // INTERNAL for a bad flag byte; nothing may be pushed after an error.
  Result<std::size_t> push(std::span<const std::uint8_t> bytes);

  struct Message {
    std::string bytes;
    bool is_compressed = false;
    std::size_t credit = 0;  // to give back now that it is taken
  };
  std::optional<Message> pop();

  // Messages that have become complete so far.
  std::uint64_t completed_count() const { return completed_count_; }
  bool has_message() const { return head_ < complete_.size(); }
  // The peer stopped in the middle of a message.
  bool is_inside_message() const { return prefix_bytes_ > 0; }
  bool is_stalled() const { return stalled_; }
  // Tries a stalled reservation again; returns the credit to give back.
  std::size_t resume();
  // Forgets everything stored; returns the credit that was held.
  std::size_t drop();

 private:
  struct Stored {
    std::string bytes;
    bool is_compressed;
    std::size_t held;      // credit not given back yet
    std::size_t reserved;  // taken from the budget
  };
  Result<std::size_t> begin_message();

  Options options_;
  ByteBudget& budget_;  // LIFETIME: the session's, which outlives its streams
  // Complete messages from head_ on. A vector, because most calls have exactly one.
  std::vector<Stored> complete_;
  std::size_t head_ = 0;

  std::uint8_t prefix_[5] = {};
  std::size_t prefix_bytes_ = 0;
  std::uint32_t length_ = 0;
  Stored current_{};
  bool stalled_ = false;
  std::uint64_t completed_count_ = 0;
};

}  // namespace berth::rpc::core
