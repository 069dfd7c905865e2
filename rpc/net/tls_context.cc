#include "rpc/net/tls_context.h"

#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

namespace berth::rpc::net {
namespace {

constexpr unsigned char kAlpnH2[] = {2, 'h', '2'};

// A client that offers ALPN without h2 gets a fatal alert; one that offers none is dropped by
// TlsEngine after the handshake.
int select_alpn(SSL*, const unsigned char** out, unsigned char* out_size, const unsigned char* offered,
                unsigned int offered_size, void*) {
  unsigned char* selected = nullptr;
  if (SSL_select_next_proto(&selected, out_size, kAlpnH2, sizeof(kAlpnH2), offered, offered_size) !=
      OPENSSL_NPN_NEGOTIATED) {
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  }
  *out = selected;
  return SSL_TLSEXT_ERR_OK;
}

Error bad_file(std::string_view what, const std::filesystem::path& file) {
  return {.code = Code::kUnavailable,
          .message = fmt::format("{} {}: {}", what, file.string(), openssl_error()),
          .reason = "BAD_CERTIFICATE"};
}

Result<void> load_files(SSL_CTX* context, const TlsFiles& files) {
  if (SSL_CTX_use_certificate_chain_file(context, files.certificate.c_str()) != 1) {
    return std::unexpected(bad_file("certificate", files.certificate));
  }
  if (SSL_CTX_use_PrivateKey_file(context, files.private_key.c_str(), SSL_FILETYPE_PEM) != 1 ||
      SSL_CTX_check_private_key(context) != 1) {
    return std::unexpected(bad_file("private key", files.private_key));
  }
  if (SSL_CTX_load_verify_file(context, files.trusted_ca.c_str()) != 1) {
    return std::unexpected(bad_file("trusted CA", files.trusted_ca));
  }
  if (files.crl.empty()) return {};
  X509_STORE* store = SSL_CTX_get_cert_store(context);
  X509_LOOKUP* lookup = X509_STORE_add_lookup(store, X509_LOOKUP_file());
  if (lookup == nullptr || X509_load_crl_file(lookup, files.crl.c_str(), X509_FILETYPE_PEM) < 1) {
    return std::unexpected(bad_file("revocation list", files.crl));
  }
  X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
  return {};
}

}  // namespace

std::string openssl_error() {
  const unsigned long code = ERR_get_error();
  ERR_clear_error();
  if (code == 0) return "unknown error";
  const char* reason = ERR_reason_error_string(code);
  return reason != nullptr ? reason : fmt::format("OpenSSL error {:x}", code);
}

Result<std::shared_ptr<const TlsContext>> TlsContext::load(const TlsFiles& files, core::Role role) {
  ERR_clear_error();
  const bool is_server = role == core::Role::kServer;
  SSL_CTX* native = SSL_CTX_new(is_server ? TLS_server_method() : TLS_client_method());
  if (native == nullptr) return fail(Code::kUnavailable, "BAD_CERTIFICATE", openssl_error());
  std::shared_ptr<const TlsContext> context(new TlsContext(native, role));

  SSL_CTX_set_min_proto_version(native, TLS1_3_VERSION);
  SSL_CTX_set_options(native, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION | SSL_OP_IGNORE_UNEXPECTED_EOF);
  SSL_CTX_set_session_cache_mode(native, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_num_tickets(native, 0);
  SSL_CTX_set_verify(native, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  SSL_CTX_set_verify_depth(native, 5);
  SSL_CTX_set_purpose(native, is_server ? X509_PURPOSE_SSL_CLIENT : X509_PURPOSE_SSL_SERVER);
  if (is_server) {
    SSL_CTX_set_alpn_select_cb(native, select_alpn, nullptr);
  } else {
    SSL_CTX_set_alpn_protos(native, kAlpnH2, sizeof(kAlpnH2));
  }
  if (auto loaded = load_files(native, files); !loaded) return std::unexpected(loaded.error());
  return context;
}

TlsContext::~TlsContext() {
  SSL_CTX_free(context_);
}

}  // namespace berth::rpc::net
