// Who is at the other end of a connection, as its verified certificate says, or, of a unix socket without
// TLS, the kernel.
//
// Roles are decided from the subject alternative names; the common name is for logs only.
#pragma once

#include "base/error.h"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace berth::rpc {

struct Peer {
  std::string address;  // "192.0.2.7:41000", "[2001:db8::7]:41000" or "unix"
  std::vector<std::string> uri_sans;
  std::vector<std::string> dns_sans;
  std::string common_name;
  // Without TLS: the user of the process that connected (SO_PEERCRED, unix(7)).
  std::optional<std::uint32_t> uid = std::nullopt;

  // The SPIFFE id, "" unless the certificate has exactly one URI name and that is a spiffe:// one
  // (SPIFFE X.509-SVID section 2: more than one URI makes the identity invalid).
  std::string_view spiffe_id() const;
};

// Asked once for each call, before its first message is read. `method` is "pkg.Service/Method".
// An error becomes the status of the call.
using Authorize = std::function<Result<void>(const Peer&, std::string_view method)>;

// Told of a peer that was hung up on before it could say who it is: its certificate is of nobody we trust, or
// not valid now, or it speaks no TLS 1.3. `address` as in Peer.
using Refused = std::function<void(const std::string& address, const Error& why)>;

}  // namespace berth::rpc
