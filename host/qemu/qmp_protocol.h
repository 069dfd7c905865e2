// QEMU's monitor protocol (QMP) without IO: bytes of the monitor in, messages out; commands in, bytes out.
// One JSON object a line. The monitor greets, capabilities are negotiated, then every command gets one reply
// with its id; events come in between. A client that hangs up, or dies, may leave a command behind, and QEMU
// answers that to the client after it.
// Source: QEMU docs/interop/qmp-spec.rst; monitor/qmp.c (a reply goes to whoever is connected).
//
//   kGreeting --greeting--> kNegotiating --reply--> kReady;  any broken promise: error, for good
#pragma once

#include "base/error.h"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include <boost/json.hpp>

namespace berth::host::qemu {

// The answer to query-pci of a VM with every port of 256 buses taken is below 400 KiB.
inline constexpr std::size_t kMaxLineBytes = 1024UL * 1024;
inline constexpr std::size_t kMaxDepth = 64;  // query-pci nests five levels for each bridge in a bridge
// Messages that nobody has taken yet: a monitor that floods is not followed without end.
inline constexpr std::size_t kMaxWaitingMessages = 1024;

struct QmpReply {
  std::uint64_t id = 0;
  // The monitor's "return", or an error: NOT_FOUND (QMP_DEVICE_NOT_FOUND), UNIMPLEMENTED
  // (QMP_COMMAND_NOT_FOUND), FAILED_PRECONDITION (QMP_REFUSED) for everything else. The message is QEMU's
  // own "desc".
  Result<boost::json::value> outcome;
};

struct QmpEvent {
  std::string name;          // "DEVICE_DELETED"
  boost::json::object data;  // empty when the event has none
};

using QmpMessage = std::variant<QmpReply, QmpEvent>;

class QmpProtocol {
 public:
  // `client` begins the ids of this connection's commands, and of no other's: what answers others is passed
  // over.
  explicit QmpProtocol(std::string client) : client_(std::move(client)) {}

  // Whole lines become messages. DATA_LOSS, and the same again from then on: QMP_LINE_TOO_LONG, QMP_TOO_DEEP,
  // QMP_MALFORMED (no JSON object, or none that QMP knows), QMP_NO_GREETING, QMP_UNKNOWN_REPLY (to one of
  // our ids, and nothing that was asked), QMP_FLOODED, QMP_NO_CAPABILITIES (the monitor refuses the
  // negotiation).
  Result<void> receive(std::string_view bytes);

  // What the monitor said, in its order.
  std::optional<QmpMessage> take();

  // Bytes to send to the monitor, if there are any.
  std::string take_output();

  bool is_ready() const { return state_ == State::kReady; }
  std::string version() const { return version_; }  // "10.0.2", once greeted

  // Queues a command. Only when is_ready(). One id is never used twice.
  std::uint64_t request(std::string_view command, boost::json::object arguments);

 private:
  enum class State : std::uint8_t { kGreeting, kNegotiating, kReady };
  Result<void> receive_line(std::string_view line);
  Result<void> receive_greeting(const boost::json::object& object);
  Result<void> receive_reply(boost::json::object object);
  std::uint64_t queue(std::string_view command, boost::json::object arguments);
  std::string name_of(std::uint64_t id) const { return client_ + "-" + std::to_string(id); }

  std::string client_;
  State state_ = State::kGreeting;
  std::string version_;
  std::string partial_;  // of a line
  std::string output_;
  std::uint64_t last_id_ = 0;
  std::deque<std::uint64_t> asked_;  // ids without a reply: QMP answers in order
  std::deque<QmpMessage> messages_;
  std::optional<Error> broken_;
};

}  // namespace berth::host::qemu
