#include "tools/berthctl/commands.h"

#include "berth/southbound/v1/vpc_control.pb.h"
#include "tools/berthctl/vpc_file.h"

#include <utility>

#include <fmt/format.h>

namespace berth::ctl {

using namespace northbound;

namespace {

constexpr std::chrono::seconds kReadTimeout{10};

std::string northbound_method(const char* name) {
  return std::string("berth.northbound.v1.Attachments/") + name;
}

}  // namespace

Task<void> follow(rpc::Channel& channel, v1::Operation operation, std::chrono::milliseconds timeout,
                  Format format) {
  v1::GetOperationRequest request;
  request.set_operation(operation.id());
  const auto done = co_await channel.unary<v1::Operation>(northbound_method("WaitOperation"), request,
                                                          {.timeout = timeout});
  if (!done) co_return pass(done, fmt::format("operation {}", operation.id()));
  print_operation(*done, format);
  if (done->has_error()) {
    co_return fail(static_cast<Code>(done->error().code()), done->error().reason(), done->error().message());
  }
  co_return Result<void>();
}

Task<void> attach(rpc::Channel& channel, AttachArgs args, Format format) {
  v1::AttachVmRequest request;
  request.set_request_id(args.request_id);
  request.set_vm(args.vm);
  request.set_validate_only(args.validate_only);
  for (const InterfaceArgs& one : args.interfaces) {
    v1::Interface& interface = *request.add_interfaces();
    interface.set_vpc(one.vpc);
    for (const std::string& ip : one.ips) interface.add_ips(ip);
    interface.set_mac(one.mac);
    interface.set_mtu_bytes(one.mtu_bytes);
    interface.set_max_rate_from_vm(one.max_rate_from_vm);
    interface.set_max_rate_to_vm(one.max_rate_to_vm);
    interface.set_network_class(one.network_class);
    for (const std::string& subnet : one.allocate) interface.add_allocate(subnet);
    for (const std::string& group : one.policy_groups) interface.add_policy_groups(group);
    interface.set_near(one.near);
  }
  for (const std::string& device : args.devices) request.add_devices(device);
  const auto operation = co_await channel.unary<v1::Operation>(northbound_method("AttachVm"), request,
                                                               {.timeout = args.timeout});
  if (!operation) co_return pass(operation);
  if (args.validate_only) {
    print_operation(*operation, format);
    co_return Result<void>();
  }
  co_return co_await follow(channel, *operation, args.timeout, format);
}

Task<void> detach(rpc::Channel& channel, std::string attachment, std::string request_id,
                  std::chrono::milliseconds timeout, Format format) {
  v1::DetachVmRequest request;
  request.set_request_id(request_id);
  request.set_attachment(attachment);
  const auto operation =
      co_await channel.unary<v1::Operation>(northbound_method("DetachVm"), request, {.timeout = timeout});
  if (!operation) co_return pass(operation);
  co_return co_await follow(channel, *operation, timeout, format);
}

Task<void> list_attachments(rpc::Channel& channel, Format format) {
  v1::ListAttachmentsResponse all;
  v1::ListAttachmentsRequest request;
  do {
    auto page = co_await channel.unary<v1::ListAttachmentsResponse>(northbound_method("ListAttachments"),
                                                                    request, {.timeout = kReadTimeout});
    if (!page) co_return pass(page);
    all.MergeFrom(*page);
    request.set_page_token(page->next_page_token());
  } while (!request.page_token().empty());
  print_attachments(all, format);
  co_return Result<void>();
}

Task<void> cancel(rpc::Channel& channel, std::string operation, Format format) {
  v1::CancelOperationRequest request;
  request.set_operation(operation);
  const auto as_it_is = co_await channel.unary<v1::Operation>(northbound_method("CancelOperation"), request,
                                                              {.timeout = kReadTimeout});
  if (!as_it_is) co_return pass(as_it_is);
  print_operation(*as_it_is, format);
  co_return Result<void>();
}

Task<void> list_operations(rpc::Channel& channel, std::string attachment, std::uint32_t count,
                           Format format) {
  v1::ListOperationsRequest request;
  request.set_attachment(attachment);
  request.set_page_size(count);
  const auto page = co_await channel.unary<v1::ListOperationsResponse>(northbound_method("ListOperations"),
                                                                       request, {.timeout = kReadTimeout});
  if (!page) co_return pass(page);
  for (const v1::Operation& operation : page->operations()) print_completion(operation, format);
  co_return Result<void>();
}

Task<void> show_capacity(rpc::Channel& channel, Format format) {
  const auto capacity = co_await channel.unary<v1::Capacity>(
      northbound_method("GetCapacity"), v1::GetCapacityRequest(), {.timeout = kReadTimeout});
  if (!capacity) co_return pass(capacity);
  print_capacity(*capacity, format);
  co_return Result<void>();
}

Task<void> get_attachment(rpc::Channel& channel, std::string attachment, Format format) {
  v1::GetAttachmentRequest request;
  request.set_attachment(attachment);
  const auto found = co_await channel.unary<v1::Attachment>(northbound_method("GetAttachment"), request,
                                                            {.timeout = kReadTimeout});
  if (!found) co_return pass(found);
  print_attachment(*found, format);
  co_return Result<void>();
}

Task<void> watch(rpc::Channel& channel, std::optional<std::uint64_t> after_revision,
                 std::optional<std::uint64_t> count, Format format) {
  v1::WatchOperationsRequest request;
  if (after_revision) request.set_after_revision(*after_revision);
  auto completions =
      co_await channel.server_stream<v1::Operation>(northbound_method("WatchOperations"), request);
  if (!completions) co_return pass(completions);
  for (std::uint64_t seen = 0; !count || seen < *count; ++seen) {
    const auto completion = co_await completions->read();
    if (!completion) co_return pass(completion);
    if (!*completion) co_return co_await completions->finish();
    print_completion(**completion, format);
  }
  co_return Result<void>();
}

namespace {

// The agent's verdict on a push; endpoint events that come before it are none of our business.
template <typename Stream>
Task<southbound::v1::AgentMessage> read_verdict(Stream& stream) {
  while (true) {
    const auto message = co_await stream.read();
    if (!message) co_return pass(message);
    if (!*message)
      co_return fail(Code::kUnavailable, "NO_VERDICT", "the agent ended the stream without a verdict");
    if (!(*message)->has_endpoint_event()) co_return **message;
  }
}

Result<void> judge(const southbound::v1::AgentMessage& verdict) {
  if (verdict.has_ack()) return {};
  Error refused{.code = Code::kInvalidArgument,
                .message = "the agent refused the push; nothing of it was applied"};
  for (const southbound::v1::ResourceError& error : verdict.nack().errors()) {
    if (refused.reason.empty()) {
      refused.reason = error.reason();
      refused.code = static_cast<Code>(error.code());
    }
    const std::string resource = error.resource().empty() ? "push" : error.resource();
    refused.violations.push_back({resource, fmt::format("{}: {}", error.reason(), error.message())});
  }
  return std::unexpected(std::move(refused));
}

}  // namespace

Task<void> push_vpcs(rpc::Channel& channel, std::string file, std::string controller,
                     std::uint64_t election_id, Format format) {
  using namespace southbound;
  const auto vpcs = load_vpc_file(file);
  if (!vpcs) co_return pass(vpcs);
  auto stream = co_await channel.bidi<southbound::v1::ControllerMessage, southbound::v1::AgentMessage>(
      "berth.southbound.v1.VpcControl/Sync", {.timeout = kReadTimeout});
  if (!stream) co_return pass(stream);

  std::vector<southbound::v1::ControllerMessage> messages;
  southbound::v1::Hello& hello = *messages.emplace_back().mutable_hello();
  hello.set_controller(controller);
  hello.set_election_id(election_id);
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const auto version =
      static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(now).count());
  messages.emplace_back().mutable_snapshot_begin()->set_version(version);
  for (const southbound::v1::Vpc& vpc : *vpcs) *messages.emplace_back().mutable_vpc() = vpc;
  messages.emplace_back().mutable_snapshot_end();
  for (const southbound::v1::ControllerMessage& message : messages) {
    const auto written = co_await stream->write(message);
    if (!written) break;  // the reason is in what the agent says
  }
  const auto greeting = co_await read_verdict(*stream);
  if (!greeting) co_return pass(greeting);
  const auto verdict = co_await read_verdict(*stream);
  if (!verdict) co_return pass(verdict);
  const auto judged = judge(*verdict);
  if (!judged) co_return judged;
  if (format == Format::kJson) {
    fmt::print("{{\"accepted\":true,\"vpcs\":{},\"version\":{}}}\n", vpcs->size(), version);
  } else {
    fmt::print("accepted: {} VPCs, version {}\n", vpcs->size(), version);
  }
  co_return Result<void>();
}

Task<void> show_vpcs(rpc::Channel& channel, Format format) {
  const auto vpcs = co_await channel.unary<v1::ShowVpcsResponse>(
      "berth.northbound.v1.Inspection/ShowVpcs", v1::ShowVpcsRequest(), {.timeout = kReadTimeout});
  if (!vpcs) co_return pass(vpcs);
  print_vpcs(*vpcs, format);
  co_return Result<void>();
}

Task<void> explain(rpc::Channel& channel, ExplainArgs args, Format format) {
  v1::ExplainRequest request;
  if (args.attachment.empty()) {
    request.set_uplink(true);
  } else {
    request.set_attachment(args.attachment);
  }
  if (args.frame.empty()) {
    request.set_text(args.packet);
  } else {
    request.set_frame(args.frame);
  }
  const auto explained = co_await channel.unary<v1::ExplainResponse>("berth.northbound.v1.Inspection/Explain",
                                                                     request, {.timeout = kReadTimeout});
  if (!explained) co_return pass(explained);
  print_explanation(*explained, format);
  co_return Result<void>();
}

Task<void> show_rules(rpc::Channel& channel, Format format) {
  auto rules = co_await channel.server_stream<v1::HeldRule>(
      "berth.northbound.v1.Inspection/ShowRules", v1::ShowRulesRequest(), {.timeout = kReadTimeout});
  if (!rules) co_return pass(rules);
  while (true) {
    const auto rule = co_await rules->read();
    if (!rule) co_return pass(rule);
    if (!*rule) co_return co_await rules->finish();
    print_rule(**rule, format);
  }
}

Task<void> show_audit(rpc::Channel& channel, Format format) {
  const auto audit = co_await channel.unary<v1::ShowAuditResponse>(
      "berth.northbound.v1.Inspection/ShowAudit", v1::ShowAuditRequest(), {.timeout = kReadTimeout});
  if (!audit) co_return pass(audit);
  print_audit(*audit, format);
  co_return Result<void>();
}

}  // namespace berth::ctl
