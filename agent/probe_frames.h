// The frames of a probe, byte by byte. Pure.
#pragma once

#include "agent/probe.h"

#include <array>
#include <cstddef>

namespace berth::agent {

// What a policy may tell apart. In the order in which they are tried.
enum class Payload : std::uint8_t { kDiscard, kEcho, kHttps, kHttp, kSsh };
inline constexpr std::array kPayloads = {Payload::kDiscard, Payload::kEcho, Payload::kHttps, Payload::kHttp,
                                         Payload::kSsh};

struct TestFrame {
  dataplane::InjectedFrame frame;
  std::size_t inner_bytes = 0;  // of the frame in the tunnel; without one, of the frame
};

// The VM sends to the gateway what is for `dst`.
TestFrame frame_from_vm(const ProbeSubject& subject, const IpAddress& src, const IpAddress& dst,
                        Payload payload);

// The wire brings, in a tunnel to this host, what is for `ip`. It says that it comes from `ip`, so that
// nobody else is spoken for.
TestFrame frame_from_wire(const ProbeSubject& subject, Vni vni, const IpAddress& ip, Payload payload);

// An address of the same subnet that is not `ip`.
IpAddress spoofed(const IpAddress& ip);

}  // namespace berth::agent
