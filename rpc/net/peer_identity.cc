#include "rpc/net/peer_identity.h"

#include <memory>
#include <optional>
#include <string>

#include <openssl/x509v3.h>

namespace berth::rpc::net {
namespace {

std::optional<std::string> text_of(const ASN1_STRING* string) {
  const auto* bytes = reinterpret_cast<const char*>(ASN1_STRING_get0_data(string));
  std::string text(bytes, static_cast<std::size_t>(ASN1_STRING_length(string)));
  if (text.find('\0') != std::string::npos) return std::nullopt;
  return text;
}

std::string common_name_of(X509* certificate) {
  const X509_NAME* subject = X509_get_subject_name(certificate);
  const int index = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
  if (index < 0) return {};
  return text_of(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, index))).value_or("");
}

}  // namespace

Peer identity_of(X509* certificate) {
  Peer peer;
  peer.common_name = common_name_of(certificate);
  const std::unique_ptr<GENERAL_NAMES, decltype(&GENERAL_NAMES_free)> names(
      static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)),
      GENERAL_NAMES_free);
  for (int i = 0; i < sk_GENERAL_NAME_num(names.get()); ++i) {
    int type = 0;
    const void* value = GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(names.get(), i), &type);
    if (type != GEN_URI && type != GEN_DNS) continue;
    if (auto text = text_of(static_cast<const ASN1_STRING*>(value))) {
      (type == GEN_URI ? peer.uri_sans : peer.dns_sans).push_back(*std::move(text));
    }
  }
  return peer;
}

}  // namespace berth::rpc::net
