// Opens a socket to an endpoint: resolves its name, tries each address in turn.
#pragma once

#include "base/task.h"
#include "rpc/net/socket.h"

namespace berth::rpc {

// UNAVAILABLE (NAME_UNKNOWN, CONNECT_FAILED).
Task<net::Fd> connect_to(net::Endpoint endpoint);

}  // namespace berth::rpc
