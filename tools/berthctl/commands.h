// berthctl's commands: each is one conversation with the agent. The VMaaS's come first, then the
// controller's, then the operator's.
#pragma once

#include "rpc/channel.h"
#include "tools/berthctl/interface_args.h"
#include "tools/berthctl/print.h"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace berth::ctl {

struct AttachArgs {
  std::string vm;
  std::vector<InterfaceArgs> interfaces;
  std::vector<std::string> devices;
  bool validate_only = false;
  std::string request_id;
  std::chrono::milliseconds timeout{10000};
};

// Waits for the operation, and prints its end; its error becomes the command's.
Task<void> follow(rpc::Channel& channel, northbound::v1::Operation operation,
                  std::chrono::milliseconds timeout, Format format);

// Waits for the operation; its failure is the command's.
Task<void> attach(rpc::Channel& channel, AttachArgs args, Format format);
Task<void> detach(rpc::Channel& channel, std::string attachment, std::string request_id,
                  std::chrono::milliseconds timeout, Format format);
Task<void> cancel(rpc::Channel& channel, std::string operation, Format format);
Task<void> list_operations(rpc::Channel& channel, std::string attachment, std::uint32_t count, Format format);
Task<void> show_capacity(rpc::Channel& channel, Format format);
Task<void> list_attachments(rpc::Channel& channel, Format format);
Task<void> get_attachment(rpc::Channel& channel, std::string attachment, Format format);
// Ends after `count` completions, if given.
Task<void> watch(rpc::Channel& channel, std::optional<std::uint64_t> after_revision,
                 std::optional<std::uint64_t> count, Format format);

// Pushes the file as the whole state of the host and waits for the agent's verdict.
Task<void> push_vpcs(rpc::Channel& channel, std::string file, std::string controller,
                     std::uint64_t election_id, Format format);

Task<void> show_vpcs(rpc::Channel& channel, Format format);
struct ExplainArgs {
  std::string attachment;  // empty: from the wire
  std::string packet;      // as text; empty: frame
  std::string frame;
};
Task<void> explain(rpc::Channel& channel, ExplainArgs args, Format format);
Task<void> show_rules(rpc::Channel& channel, Format format);
Task<void> show_audit(rpc::Channel& channel, Format format);

Task<void> show_topology(rpc::Channel& channel, Format format);
Task<void> plan_topology(rpc::Channel& channel, std::vector<std::string> devices, std::uint32_t spare_ports,
                         Format format);

}  // namespace berth::ctl
