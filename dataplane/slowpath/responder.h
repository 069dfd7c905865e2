// Answers the frames that VMs send to their gateway: one Responder for all ports of an eSwitch. Bytes in,
// bytes out; no thread, no clock, no allocation per frame. Not thread-safe.
//
// Who may be answered is decided here (a port that is configured, within its rate, a frame from the VM's
// MAC); what is answered is each protocol's business (arp.h, neighbour.h, dhcpv4.h, dhcpv6.h, echo.h,
// too_big.h).
#pragma once

#include "base/error.h"
#include "dataplane/port.h"
#include "dataplane/slowpath/outcome.h"
#include "dataplane/slowpath/port_facts.h"
#include "dataplane/slowpath/token_bucket.h"

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

namespace berth::dataplane::slowpath {

// The longest reply: an echo of a whole packet of the largest MTU.
inline constexpr std::size_t kMaxReplyBytes = 9216 + kEthernetBytes;

struct ResponderLimits {
  RateLimit frames;  // taken up, whatever becomes of them
  RateLimit errors;  // packets of which answer_too_big() tells the VM
};

class Responder {
 public:
  // Ports are numbered from 0 to `port_count` - 1 (EswitchPort::number()).
  explicit Responder(std::size_t port_count, ResponderLimits limits = {});

  // Replaces what is answered at a port; nullopt: nothing. Idempotent. Counters start anew when a port that
  // had no answers gets some: it is another VM's. NOT_FOUND (PORT_UNKNOWN); INVALID_ARGUMENT (PORT_IS_UPLINK,
  // or as derive_port_facts() says), and then the old answers stay.
  Result<void> set_answers(EswitchPort port, std::optional<PortAnswers> answers, Time now);
  std::optional<PortAnswers> answers(EswitchPort port) const;

  // `frame` came from the VM at `port` and no rule took it. The reply, if any, is at the front of `reply`,
  // which has kMaxReplyBytes; it goes to the same VM. Counts the outcome.
  // A frame larger than the port's MTU is answered as such.
  Answer answer(EswitchPort port, Bytes frame, Time now, std::span<std::uint8_t> reply);

  // `frame` from the VM does not fit the VPC's MTU: what to tell it.
  Answer answer_too_big(EswitchPort port, Bytes frame, Time now, std::span<std::uint8_t> reply);

  // The router advertisement that nobody asked for, when one is due: right after IPv6 answers were set, so
  // that the VM learns what changed, and every kAdvertisementInterval from then on. Silence (kNotForUs, not
  // counted) otherwise.
  Answer advertise_if_due(EswitchPort port, Time now, std::span<std::uint8_t> reply);

  Counters counters(EswitchPort port) const;  // all zero for a port that does not exist

 private:
  struct Port {
    std::optional<PortFacts> facts;
    TokenBucket frames;
    TokenBucket errors;
    Time next_advertisement;
    Counters counters;
  };
  Port* find(EswitchPort port) { return port.number() < ports_.size() ? &ports_[port.number()] : nullptr; }

  ResponderLimits limits_;
  std::vector<Port> ports_;  // by EswitchPort::number()
};

}  // namespace berth::dataplane::slowpath
