#include "rpc/certificate.h"

#include "rpc/net/peer_identity.h"
#include "rpc/net/tls_context.h"

#include <ctime>

#include <openssl/ssl.h>
#include <openssl/x509.h>

namespace berth::rpc {
namespace {

Result<std::chrono::system_clock::time_point> to_time(const ASN1_TIME* time) {
  std::tm parts{};
  if (time == nullptr || ASN1_TIME_to_tm(time, &parts) != 1)
    return fail(Code::kUnavailable, "BAD_CERTIFICATE", "a certificate without dates");
  return std::chrono::system_clock::from_time_t(::timegm(&parts));
}

}  // namespace

Result<CertificateFacts> read_certificate(const TlsFiles& files) {
  const auto context = net::TlsContext::load(files, core::Role::kServer);
  if (!context) return pass(context);
  X509* certificate = SSL_CTX_get0_certificate((*context)->native());
  const auto not_before = to_time(X509_get0_notBefore(certificate));
  if (!not_before) return pass(not_before);
  const auto not_after = to_time(X509_get0_notAfter(certificate));
  if (!not_after) return pass(not_after);
  Peer names = net::identity_of(certificate);
  return CertificateFacts{.not_before = *not_before,
                          .not_after = *not_after,
                          .uri_sans = std::move(names.uri_sans),
                          .common_name = std::move(names.common_name)};
}

}  // namespace berth::rpc
