// One TLS connection without IO: ciphertext in, plaintext out, and the other way round.
//
// OpenSSL reads from and writes to memory through a BIO of ours, so one recv() may hold many records
// and one send() carries many. Handshake bytes appear in output() as feed() and read() make progress.
#pragma once

#include "base/error.h"
#include "rpc/net/tls_context.h"
#include "rpc/peer.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

struct ssl_st;
struct bio_st;

namespace berth::rpc::net {

class TlsEngine {
 public:
  // A client checks that the server's certificate names `server_name` (DNS name or IP address).
  TlsEngine(std::shared_ptr<const TlsContext> context, const std::string& server_name);
  ~TlsEngine();
  TlsEngine(const TlsEngine&) = delete;
  TlsEngine& operator=(const TlsEngine&) = delete;

  // LIFETIME: `ciphertext` must stay until read() has returned 0 or an error.
  void feed(std::span<const std::uint8_t> ciphertext);
  // Plaintext from what was fed; 0: no more for now (see is_closed). Drives the handshake first.
  // UNAUTHENTICATED (TLS_HANDSHAKE) when the peer or its certificate is refused, UNAVAILABLE
  // (TLS_ERROR) later.
  Result<std::size_t> read(std::span<std::uint8_t> plaintext);
  Result<void> write(std::string_view plaintext);
  // Ciphertext to be sent; the caller takes it away.
  std::string& output() { return output_; }
  void send_close_notify();
  // Gives OpenSSL's two record buffers back (34 KiB), if nothing is in them. For connections at rest:
  // a busy one would allocate them anew for every record.
  void free_buffers();

  bool is_established() const { return established_; }
  bool is_closed() const { return closed_; }  // the peer sent close_notify
  // Only when established; `address` is left for the caller.
  Peer peer() const;

 private:
  friend struct MemoryBio;
  Result<bool> handshake();
  Error handshake_error() const;

  std::shared_ptr<const TlsContext> context_;
  ssl_st* ssl_;
  std::span<const std::uint8_t> input_;
  std::string output_;
  bool established_ = false;
  bool closed_ = false;
};

}  // namespace berth::rpc::net
