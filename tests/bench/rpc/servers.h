// The two servers that bench_rpc compares. Each serves until standard input ends, and prints its port.
#pragma once

#include <filesystem>
#include <string>

namespace berth::bench {

struct ServerFiles {
  std::filesystem::path certificate, private_key, trusted_ca;
};

int serve_ours(const ServerFiles& files);
// Debian's grpc++, callback API: its own fastest way.
int serve_grpc(const ServerFiles& files);

}  // namespace berth::bench
