// grpc.testing.TestService, the service that gRPC libraries prove their interoperability with
// (grpc/grpc doc/interop-test-descriptions.md). UnimplementedCall stays unimplemented on purpose.
#pragma once

#include "rpc/server.h"

namespace berth::test {

void add_test_service(rpc::Server& server);

}  // namespace berth::test
