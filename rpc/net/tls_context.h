// The immutable TLS configuration of one role, loaded whole from files or not at all: TLS 1.3 only,
// ALPN "h2" only, peer certificate required, no tickets, no session cache. Connections keep the
// context they started with, so a reload never touches them.
#pragma once

#include "base/error.h"
#include "rpc/core/session.h"
#include "rpc/tls.h"

#include <memory>

struct ssl_ctx_st;

namespace berth::rpc::net {

class TlsContext {
 public:
  // UNAVAILABLE (BAD_CERTIFICATE), naming the file and OpenSSL's reason.
  static Result<std::shared_ptr<const TlsContext>> load(const TlsFiles& files, core::Role role);
  ~TlsContext();
  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;

  ssl_ctx_st* native() const { return context_; }
  core::Role role() const { return role_; }

 private:
  TlsContext(ssl_ctx_st* context, core::Role role) : context_(context), role_(role) {}

  ssl_ctx_st* context_;
  core::Role role_;
};

// The oldest entry of OpenSSL's error queue in words; empties the queue.
std::string openssl_error();

}  // namespace berth::rpc::net
