// What became of a frame that reached the slow path, and how often each happened at a port.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <string_view>

namespace berth::dataplane::slowpath {

enum class Outcome : std::uint8_t {
  // Answered.
  kArp,
  kNeighbour,      // neighbour advertisement
  kRouter,         // router advertisement: asked for, or sent unasked because it was time
  kDhcpv4,         // OFFER, ACK
  kDhcpv4Refused,  // NAK
  kDhcpv6,         // Advertise, Reply
  kEcho,           // ping of the gateway
  kPacketTooBig,   // ICMP "fragmentation needed", ICMPv6 "packet too big"
  // Silent, as it should be.
  kOwnAddress,   // the VM asks for or announces an address of its own (duplicate address detection)
  kDhcpRelease,  // DHCPv4 only: DHCPv6 has a reply for it
  kDhcpDecline,  // the VM says that somebody else has its address; DHCPv4 only
  kOtherServer,  // DHCP meant for another server
  kNotForUs,     // well-formed, and nothing that a gateway answers
  // Silent, because something is wrong.
  kNoAnswers,  // nothing is configured for the port
  kRateLimited,
  kVlanTagged,
  kMalformed,    // cut short, lengths that disagree, wrong checksum or hop limit
  kUnsupported,  // fragments, relayed DHCP, DHCP option overload
  kSpoofed,      // addresses that are not the VM's; advertisements, redirects, DHCP servers in a VM
  kTooLong,      // the answer would not fit the buffer
};
inline constexpr std::size_t kOutcomeCount = static_cast<std::size_t>(Outcome::kTooLong) + 1;

// "arp", "dhcpv4-refused": for counters' names.
std::string_view outcome_name(Outcome outcome);
bool is_answered(Outcome outcome);

struct Counters {
  std::array<std::uint64_t, kOutcomeCount> frames{};

  std::uint64_t operator[](Outcome outcome) const { return frames[static_cast<std::size_t>(outcome)]; }
  void add(Outcome outcome) { ++frames[static_cast<std::size_t>(outcome)]; }
  auto operator<=>(const Counters&) const = default;
};

// What a protocol's answer_*() returns: `size` bytes of the reply buffer are a frame to send to the VM; 0 is
// silence.
struct Answer {
  Outcome outcome = Outcome::kNotForUs;
  std::size_t size = 0;

  static Answer silent(Outcome why) { return {why, 0}; }
  // `size` as PacketBuilder::finish() says it.
  static Answer of(Outcome kind, std::size_t size) {
    return size == 0 ? silent(Outcome::kTooLong) : Answer{kind, size};
  }
  bool operator==(const Answer&) const = default;
};

}  // namespace berth::dataplane::slowpath
