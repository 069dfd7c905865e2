// The bytes of one connection, without IO: what the socket carries on one side, HTTP/2 on the other.
// TlsEngine is what nearly every connection has; PlainEngine is for unix sockets between processes of one
// user of this host.
#pragma once

#include "base/error.h"
#include "rpc/peer.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace berth::rpc::net {

class Engine {
 public:
  virtual ~Engine() = default;

  // What the socket has received. LIFETIME: `received` must stay until read() has returned 0 or an error.
  virtual void feed(std::span<const std::uint8_t> received) = 0;
  // Plaintext from what was fed; 0: no more for now (see is_closed). Drives a handshake first.
  // UNAUTHENTICATED (TLS_HANDSHAKE) when the peer or its certificate is refused, UNAVAILABLE
  // (TLS_ERROR) later.
  virtual Result<std::size_t> read(std::span<std::uint8_t> plaintext) = 0;
  virtual Result<void> write(std::string_view plaintext) = 0;
  virtual void send_close_notify() = 0;
  // Gives back what a connection at rest does not need, if nothing is in it.
  virtual void free_buffers() = 0;

  virtual bool is_established() const = 0;
  virtual bool is_closed() const = 0;  // the peer said that it sends no more
  // Only when established; `address` is left for the caller.
  virtual Peer peer() const = 0;

  // Bytes to be sent; the caller takes them away.
  std::string& output() { return output_; }

 protected:
  std::string output_;
};

}  // namespace berth::rpc::net
