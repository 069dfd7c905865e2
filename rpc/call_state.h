// The part of a server call that its Context shares with the server.
#pragma once

#include "rpc/metadata.h"
#include "rpc/peer.h"

#include <chrono>
#include <memory>
#include <optional>
#include <string>

namespace berth::rpc {

struct CallState {
  std::shared_ptr<const Peer> peer;  // one for all calls of a connection
  std::string method;
  std::optional<std::chrono::steady_clock::time_point> deadline;
  Metadata metadata;
  Metadata initial_metadata;   // ours, until sent
  Metadata trailing_metadata;  // ours, until sent
};

}  // namespace berth::rpc
