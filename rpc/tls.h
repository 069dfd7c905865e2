// Where a server's or a client's TLS material lies. Every connection of this tree is mutually
// authenticated TLS 1.3 with ALPN "h2"; the only ones without TLS are those on a unix socket that is for
// one user of this host (ServerOptions::only_uid).
//
// The files are read when a server starts to listen or a channel connects for the first time, and
// again by reload(); a set that does not load is refused whole and the last good one stays in use.
#pragma once

#include <filesystem>

namespace berth::rpc {

struct TlsFiles {
  std::filesystem::path certificate;  // PEM: the leaf first, then its intermediates
  std::filesystem::path private_key;  // PEM, must belong to the leaf
  std::filesystem::path trusted_ca;   // PEM: who may have signed the peer's certificate
  // PEM revocation lists, one for each CA of the peer's chain; empty: revocation is not checked.
  std::filesystem::path crl = {};
};

}  // namespace berth::rpc
