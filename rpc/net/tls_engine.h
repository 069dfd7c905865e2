// One TLS connection without IO: ciphertext in, plaintext out, and the other way round.
//
// OpenSSL reads from and writes to memory through a BIO of ours, so one recv() may hold many records
// and one send() carries many. Handshake bytes appear in output() as feed() and read() make progress.
#pragma once

#include "base/error.h"
#include "rpc/net/engine.h"
#include "rpc/net/tls_context.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

struct ssl_st;
struct bio_st;

namespace berth::rpc::net {

class TlsEngine : public Engine {
 public:
  // A client checks that the server's certificate names `server_name` (DNS name or IP address).
  TlsEngine(std::shared_ptr<const TlsContext> context, const std::string& server_name);
  ~TlsEngine() override;
  TlsEngine(const TlsEngine&) = delete;
  TlsEngine& operator=(const TlsEngine&) = delete;

  void feed(std::span<const std::uint8_t> ciphertext) override;
  Result<std::size_t> read(std::span<std::uint8_t> plaintext) override;
  Result<void> write(std::string_view plaintext) override;
  void send_close_notify() override;
  // OpenSSL's two record buffers (34 KiB): a busy connection would allocate them anew for every record.
  void free_buffers() override;

  bool is_established() const override { return established_; }
  bool is_closed() const override { return closed_; }  // the peer sent close_notify
  Peer peer() const override;

 private:
  friend struct MemoryBio;
  Result<bool> handshake();
  Error handshake_error() const;

  std::shared_ptr<const TlsContext> context_;
  ssl_st* ssl_;
  std::span<const std::uint8_t> input_;
  bool established_ = false;
  bool closed_ = false;
};

}  // namespace berth::rpc::net
