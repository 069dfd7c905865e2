// The echo service on our server, for tests. It counts what its handlers go through.
#pragma once

#include "rpc/server.h"

namespace berth::test {

struct EchoCounts {
  int started = 0;
  int ended = 0;
  int cancelled = 0;  // of the ended ones: saw their cancellation
  int replies = 0;    // that streams have written
};

// LIFETIME: `counts` outlives the server's run().
void add_echo_service(rpc::Server& server, EchoCounts& counts);

}  // namespace berth::test
