// What a handler knows about its call besides the messages. Cheap to copy; lives as long as any copy.
#pragma once

#include "rpc/metadata.h"
#include "rpc/peer.h"

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace berth::rpc {

struct CallState;  // rpc/call_state.h, private

class Context {
 public:
  explicit Context(std::shared_ptr<CallState> state) : state_(std::move(state)) {}

  const Peer& peer() const;
  // "pkg.Service/Method"
  const std::string& method() const;
  std::optional<std::chrono::steady_clock::time_point> deadline() const;
  // What the client sent.
  const Metadata& metadata() const;

  // For the client. Initial metadata leaves with the first message and is ignored after it.
  void add_initial_metadata(std::string key, std::string value);
  void add_trailing_metadata(std::string key, std::string value);

 private:
  std::shared_ptr<CallState> state_;
};

}  // namespace berth::rpc
