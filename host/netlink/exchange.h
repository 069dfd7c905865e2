// One netlink request and all of its answers. AnswerReader is the protocol (datagrams in, answer out);
// exchange() carries it over a socket of its own and blocks: a driver may do minutes of work inside the
// kernel's send(), so it runs on NetlinkChannel's thread and nowhere else.
//
// Source: Documentation/userspace-api/netlink/intro.rst; include/uapi/linux/netlink.h (nlmsgerr).
#pragma once

#include "base/error.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace berth::host {

using Bytes = std::vector<std::byte>;

// NETLINK_ROUTE and NETLINK_GENERIC of linux/netlink.h.
enum class NlProtocol : std::uint8_t { kRoute = 0, kGeneric = 16 };

// What the kernel said. A refusal is an answer: who asked knows what it means.
struct NlAnswer {
  int error_number = 0;  // positive errno; 0: it was done
  std::string words;     // the kernel's own, often empty
  std::vector<Bytes> messages;

  bool is_refused() const { return error_number != 0; }
  // "EBUSY: Can't change mode, E-Switch is busy"
  std::string refusal() const;
};

inline constexpr std::uint32_t kNlSequence = 1;  // of every request: a socket carries one, see nl_message.h

class AnswerReader {
 public:
  // More than any host has: a dump of a PF with 1000 VFs is below 1 MB.
  static constexpr std::size_t kMaxBytes = 64U << 20U;

  // Takes one datagram. UNAVAILABLE (NETLINK_MALFORMED), RESOURCE_EXHAUSTED (NETLINK_ANSWER_TOO_LONG).
  Result<void> take(std::span<const std::byte> datagram);
  bool is_complete() const { return is_complete_; }
  // The list changed while it was read: what was taken is not one state. Ask again.
  bool is_torn() const { return is_torn_; }
  NlAnswer& answer() { return answer_; }

 private:
  Result<void> take_error(std::span<const std::byte> message);

  NlAnswer answer_;
  std::size_t bytes_ = 0;
  bool is_complete_ = false;
  bool is_torn_ = false;
};

// Blocks. UNAVAILABLE (NETLINK_FAILED) when there is no socket, or nothing but errors on it.
Result<NlAnswer> exchange(NlProtocol protocol, Bytes request);

}  // namespace berth::host
