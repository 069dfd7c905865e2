// Server reflection (grpc.reflection v1 and v1alpha): lets grpcurl, buf curl and the like find out what
// a server offers. It tells what is in the linked .proto files, nothing about this host; who may ask is
// the authorize hook's business.
#pragma once

#include "rpc/server.h"

namespace berth::rpc {

// Call it after every other service was added. LIFETIME: `server` is the one that will run it.
void add_reflection(Server& server);

}  // namespace berth::rpc
