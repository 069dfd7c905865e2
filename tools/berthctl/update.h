// berthctl update: other rates and policy groups for an interface, while its VM runs.
#pragma once

#include "rpc/channel.h"
#include "tools/berthctl/print.h"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace berth::ctl {

struct UpdateArgs {
  std::string attachment;
  std::optional<std::size_t> interface;  // its place in the attachment, from 0
  std::string vpc;                       // or the VPC that it is in; neither: there is only one
  std::optional<std::uint64_t> max_rate_from_vm, max_rate_to_vm;
  std::vector<std::string> policy_groups;
  bool clears_policy_groups = false;
  bool validate_only = false;
  std::string request_id;
  std::chrono::milliseconds timeout{10000};
};

// The subcommand; `args` gets what is typed, but for the request id and the time.
CLI::App* add_update(CLI::App& app, UpdateArgs& args);

// Reads the attachment, and changes it as it was read: ETAG_MISMATCH when it has become another one in
// between. Waits for the operation; its failure is the command's. INVALID_ARGUMENT (WHICH_INTERFACE).
Task<void> update(rpc::Channel& channel, UpdateArgs args, Format format);

}  // namespace berth::ctl
