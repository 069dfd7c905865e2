#include "rpc/net/tls_engine.h"

#include "rpc/net/peer_identity.h"

#include <algorithm>
#include <arpa/inet.h>
#include <cassert>
#include <cstring>
#include <limits>
#include <utility>

#include <fmt/format.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

namespace berth::rpc::net {

// The BIO methods; a friend, because a C callback cannot be a member.
// LIFETIME: BIO data is the TlsEngine, which owns the SSL and with it the BIO.
struct MemoryBio {
  static int read(BIO* bio, char* into, std::size_t room, std::size_t* done) {
    auto& input = static_cast<TlsEngine*>(BIO_get_data(bio))->input_;
    BIO_clear_retry_flags(bio);
    *done = std::min(room, input.size());
    if (*done == 0) {
      BIO_set_retry_read(bio);
      return 0;
    }
    std::memcpy(into, input.data(), *done);
    input = input.subspan(*done);
    return 1;
  }
  static int write(BIO* bio, const char* bytes, std::size_t size, std::size_t* done) {
    static_cast<TlsEngine*>(BIO_get_data(bio))->output_.append(bytes, size);
    *done = size;
    return 1;
  }
  static long control(BIO*, int command, long, void*) { return command == BIO_CTRL_FLUSH ? 1 : 0; }
  static int create(BIO* bio) {
    BIO_set_init(bio, 1);
    return 1;
  }
  static const BIO_METHOD* method() {
    static BIO_METHOD* const kMethod = [] {
      BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "berth memory");
      BIO_meth_set_read_ex(made, read);
      BIO_meth_set_write_ex(made, write);
      BIO_meth_set_ctrl(made, control);
      BIO_meth_set_create(made, create);
      return made;
    }();
    return kMethod;
  }
};

namespace {

// SSL_get_error() looks at the whole queue. It is empty but for what other users of OpenSSL left, and
// emptying an empty one costs more than looking.
void clear_errors() {
  if (ERR_peek_error() != 0) ERR_clear_error();
}

bool is_ip_address(const std::string& name) {
  unsigned char bytes[16];
  return inet_pton(AF_INET, name.c_str(), bytes) == 1 || inet_pton(AF_INET6, name.c_str(), bytes) == 1;
}

}  // namespace

TlsEngine::TlsEngine(std::shared_ptr<const TlsContext> context, const std::string& server_name)
    : context_(std::move(context)), ssl_(SSL_new(context_->native())) {
  assert(ssl_ != nullptr);
  BIO* bio = BIO_new(MemoryBio::method());
  BIO_set_data(bio, this);
  SSL_set_bio(ssl_, bio, bio);
  if (context_->role() == core::Role::kServer) {
    SSL_set_accept_state(ssl_);
    return;
  }
  SSL_set_connect_state(ssl_);
  if (is_ip_address(server_name)) {
    X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl_), server_name.c_str());
  } else {
    SSL_set_hostflags(ssl_, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    SSL_set1_host(ssl_, server_name.c_str());
    SSL_set_tlsext_host_name(ssl_, server_name.c_str());
  }
}

TlsEngine::~TlsEngine() {
  SSL_free(ssl_);
}

void TlsEngine::feed(std::span<const std::uint8_t> ciphertext) {
  assert(input_.empty() && "read() until it returns 0 before the next feed()");
  input_ = ciphertext;
}

Result<bool> TlsEngine::handshake() {
  ERR_clear_error();
  const int result = SSL_do_handshake(ssl_);
  if (result != 1) {
    if (SSL_get_error(ssl_, result) == SSL_ERROR_WANT_READ) return false;
    return std::unexpected(handshake_error());
  }
  const unsigned char* protocol = nullptr;
  unsigned int size = 0;
  SSL_get0_alpn_selected(ssl_, &protocol, &size);
  if (size != 2 || std::memcmp(protocol, "h2", 2) != 0) {
    return fail(Code::kUnauthenticated, "TLS_HANDSHAKE", "the peer does not offer HTTP/2 (ALPN h2)");
  }
  established_ = true;
  return true;
}

Error TlsEngine::handshake_error() const {
  const long verdict = SSL_get_verify_result(ssl_);
  const std::string reason = openssl_error();
  return {.code = Code::kUnauthenticated,
          .message = verdict == X509_V_OK ? fmt::format("TLS handshake: {}", reason)
                                          : fmt::format("TLS handshake: {} ({})", reason,
                                                        X509_verify_cert_error_string(verdict)),
          .reason = "TLS_HANDSHAKE"};
}

Result<std::size_t> TlsEngine::read(std::span<std::uint8_t> plaintext) {
  if (!established_) {
    const auto done = handshake();
    if (!done) return std::unexpected(done.error());
    if (!*done) return 0;
  }
  clear_errors();
  std::size_t size = 0;
  const int result = SSL_read_ex(ssl_, plaintext.data(), plaintext.size(), &size);
  if (result == 1) return size;
  switch (SSL_get_error(ssl_, result)) {
    case SSL_ERROR_WANT_READ:
      return 0;
    case SSL_ERROR_ZERO_RETURN:
      closed_ = true;
      return 0;
    default:
      return fail(Code::kUnavailable, "TLS_ERROR", "TLS: " + openssl_error());
  }
}

Result<void> TlsEngine::write(std::string_view plaintext) {
  clear_errors();
  std::size_t size = 0;
  // The BIO takes everything, so a write is never partial.
  if (SSL_write_ex(ssl_, plaintext.data(), plaintext.size(), &size) == 1) return {};
  return fail(Code::kUnavailable, "TLS_ERROR", "TLS: " + openssl_error());
}

void TlsEngine::send_close_notify() {
  if (!established_) return;
  ERR_clear_error();
  (void)SSL_shutdown(ssl_);
  ERR_clear_error();
}

void TlsEngine::free_buffers() {
  (void)SSL_free_buffers(ssl_);
}

Peer TlsEngine::peer() const {
  X509* certificate = SSL_get0_peer_certificate(ssl_);
  return certificate == nullptr ? Peer{} : identity_of(certificate);
}

}  // namespace berth::rpc::net
