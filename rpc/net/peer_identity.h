// The names in a verified X.509 certificate.
#pragma once

#include "rpc/peer.h"

struct x509_st;

namespace berth::rpc::net {

// Names with a NUL byte inside are left out: they would read differently elsewhere.
Peer identity_of(x509_st* certificate);

}  // namespace berth::rpc::net
