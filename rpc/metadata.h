// Custom metadata of a call: keys are lower case; the value of a key that ends in "-bin" is raw
// bytes here and base64 on the wire. Keys that gRPC owns ("grpc-...", "content-type", "te") and
// HTTP/2's (":...") never appear.
#pragma once

#include <functional>
#include <map>
#include <string>

namespace berth::rpc {

using Metadata = std::multimap<std::string, std::string, std::less<>>;

}  // namespace berth::rpc
