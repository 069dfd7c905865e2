// What a set of TLS files says about itself, for those who check before anything connects.
#pragma once

#include "base/error.h"
#include "rpc/tls.h"

#include <chrono>
#include <string>
#include <vector>

namespace berth::rpc {

struct CertificateFacts {
  std::chrono::system_clock::time_point not_before;
  std::chrono::system_clock::time_point not_after;
  std::vector<std::string> uri_sans;
  std::string common_name;
};

// UNAVAILABLE (BAD_CERTIFICATE), naming the file: one cannot be read or parsed, or the key belongs to another
// certificate. Whether the dates are good is for the caller to judge.
Result<CertificateFacts> read_certificate(const TlsFiles& files);

}  // namespace berth::rpc
