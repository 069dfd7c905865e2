// Every limit of a server or a channel, with its default. docs/rpc.md says what happens at each.
//
// "Connection" limits marked (server) mean nothing to a channel. Zero means "no limit" only where it
// is said so.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace berth::rpc {

using std::chrono::milliseconds;

struct Limits {
  // Connections.
  std::size_t connections = 1024;                             // (server) more are closed as they come
  milliseconds handshake = std::chrono::seconds(10);          // TLS and the HTTP/2 preface together
  milliseconds idle = std::chrono::minutes(30);               // (server) without a call; 0: for ever
  milliseconds connection_age = milliseconds(0);              // (server) then GOAWAY; 0: for ever
  milliseconds connection_grace = std::chrono::seconds(30);   // (server) from that GOAWAY to the close
  milliseconds keepalive = std::chrono::seconds(60);          // silence after which a PING is sent; 0: never
  milliseconds keepalive_timeout = std::chrono::seconds(20);  // for its answer
  milliseconds accept_pause = milliseconds(100);              // (server) after accept ran out of something
  milliseconds drain = std::chrono::seconds(10);  // (server) for running calls when run() is cancelled

  // Calls of one connection.
  std::uint32_t streams = 100;              // (server) concurrent streams, as HTTP/2 counts them
  std::uint32_t running_calls = 200;        // (server) handlers not ended yet; they outlive a reset stream
  milliseconds call_age = milliseconds(0);  // (server) a deadline for calls that bring none; 0: none
  std::uint32_t header_list_bytes = 16 * 1024;    // as RFC 9113 section 6.5.2 counts them
  std::uint32_t message_bytes = 4 * 1024 * 1024;  // checked on the length prefix, and when inflated

  // Memory of one connection.
  std::uint32_t stream_window_bytes = 64 * 1024;  // what a peer may send unread on one stream
  std::uint32_t connection_window_bytes = 1024 * 1024;
  std::size_t inbound_bytes = 16 * 1024 * 1024;   // messages larger than the window, all together
  std::size_t outbound_bytes = 16 * 1024 * 1024;  // messages written and not taken by the peer
  std::size_t write_ahead_bytes = 64 * 1024;      // of one stream; write() waits beyond it

  // Frames that cost the peer nothing: PING, SETTINGS, PRIORITY, RST_STREAM, empty DATA, refused and
  // malformed frames. A bucket of credits; time and real work (messages) fill it, an empty one ends
  // the connection with ENHANCE_YOUR_CALM.
  std::uint32_t control_burst = 1000;
  std::uint32_t control_per_second = 100;
  std::uint32_t resets_burst = 200;  // (server) RST_STREAM of the peer
  std::uint32_t resets_per_second = 50;
  std::size_t continuations = 4;     // CONTINUATION frames of one header block
  std::size_t unsent_answers = 256;  // to PING and SETTINGS, while the peer does not read
};

}  // namespace berth::rpc
