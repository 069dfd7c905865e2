#include "tests/bench/agent/load.h"

#include "base/task_group.h"
#include "berth/northbound/v1/attachments.pb.h"
#include "berth/southbound/v1/vpc_control.pb.h"

#include <algorithm>
#include <unistd.h>
#include <utility>

#include <fmt/format.h>

namespace berth::bench {
namespace {

namespace v1 = northbound::v1;
using Clock = std::chrono::steady_clock;

constexpr std::uint32_t kPolicyRules = 20;
constexpr std::uint32_t kFirstVni = 100000;

std::unique_ptr<rpc::Channel> make_channel(asio::any_io_executor executor, const LoadOptions& options,
                                           const std::string& role) {
  const std::string file = options.certificates + "/" + role;
  return std::make_unique<rpc::Channel>(
      std::move(executor), rpc::ChannelOptions{.endpoints = {options.endpoint},
                                               .tls = {.certificate = file + ".crt",
                                                       .private_key = file + ".key",
                                                       .trusted_ca = options.certificates + "/ca.crt"}});
}

std::string method(const char* name) {
  return std::string("berth.northbound.v1.Attachments/") + name;
}

std::string ip_text(std::uint32_t base, std::uint32_t number) {
  const std::uint32_t ip = base + number;
  return fmt::format("{}.{}.{}.{}", ip >> 24, ip >> 16 & 0xFF, ip >> 8 & 0xFF, ip & 0xFF);
}

std::string mac_text(std::uint32_t kind, std::uint32_t number) {
  return fmt::format("02:{:02x}:{:02x}:{:02x}:{:02x}:{:02x}", kind, number >> 24, number >> 16 & 0xFF,
                     number >> 8 & 0xFF, number & 0xFF);
}

constexpr std::uint32_t kVmSubnet = 0x0A000000;       // 10.0.0.0/12
constexpr std::uint32_t kMappingSubnet = 0x0A100000;  // 10.16.0.0/12
constexpr std::uint32_t kFirstHost = 16;

southbound::v1::Vpc make_vpc(std::uint32_t number, std::uint32_t mappings, const std::string& vtep) {
  southbound::v1::Vpc vpc;
  vpc.set_id(fmt::format("bench-{}", number));
  vpc.set_vni(kFirstVni + number);
  for (const char* subnet : {"10.0", "10.16"}) {
    vpc.add_subnets()->set_prefix(fmt::format("{}.0.0/12", subnet));
    vpc.mutable_subnets(vpc.subnets_size() - 1)->set_gateway(fmt::format("{}.0.1", subnet));
  }
  for (std::uint32_t i = 0; i < mappings; ++i) {
    southbound::v1::Mapping& mapping = *vpc.add_mappings();
    mapping.set_ip(ip_text(kMappingSubnet + kFirstHost, i));
    mapping.set_mac(mac_text(0x10, i));
    mapping.set_vtep(vtep);
  }
  for (std::uint32_t i = 0; i < kPolicyRules; ++i) {
    southbound::v1::PolicyRule& rule = *vpc.add_policy();
    rule.set_direction(southbound::v1::PolicyRule::INGRESS);
    rule.set_priority(i);
    rule.set_action(southbound::v1::PolicyRule::DENY);
    rule.set_protocol(southbound::v1::PolicyRule::TCP);
    rule.set_port_first(1000 + i);
    rule.set_port_last(1000 + i);
  }
  return vpc;
}

}  // namespace

Load::Load(asio::any_io_executor executor, const LoadOptions& options)
    : executor_(executor),
      options_(options),
      watcher_(make_channel(executor, options, "vmaas")),
      controller_(make_channel(executor, options, "controller")),
      run_name_(fmt::format("load-{}", ::getpid())) {
  for (std::size_t i = 0; i < options.connections; ++i)
    channels_.push_back(make_channel(executor, options, "vmaas"));
}

Task<void> Load::push(PushWanted wanted) {
  using southbound::v1::AgentMessage;
  using southbound::v1::ControllerMessage;
  vpcs_ = wanted.vpcs;
  const auto stream =
      co_await controller_->bidi<ControllerMessage, AgentMessage>("berth.southbound.v1.VpcControl/Sync");
  if (!stream) co_return pass(stream);
  std::vector<ControllerMessage> messages;
  messages.emplace_back().mutable_hello()->set_controller("bench");
  messages.back().mutable_hello()->set_election_id(1);
  messages.emplace_back().mutable_snapshot_begin()->set_version(
      static_cast<std::uint64_t>(Clock::now().time_since_epoch().count()));
  for (std::uint32_t i = 0; i < wanted.vpcs; ++i)
    *messages.emplace_back().mutable_vpc() = make_vpc(i, wanted.mappings / wanted.vpcs, wanted.vtep);
  messages.emplace_back().mutable_snapshot_end();
  for (const ControllerMessage& message : messages) {
    if (const auto written = co_await stream->write(message); !written) break;  // the agent says why
  }
  while (true) {
    const auto message = co_await stream->read();
    if (!message) co_return pass(message);
    if (!*message) co_return fail(Code::kUnavailable, "NO_VERDICT", "the agent ended the stream");
    if ((*message)->has_ack()) co_return Result<void>();
    if ((*message)->has_nack()) {
      co_return fail(Code::kInvalidArgument, "NACK", (*message)->nack().ShortDebugString().substr(0, 500));
    }
  }
}

Task<Outcome> Load::attach(std::size_t count, std::size_t in_flight) {
  std::vector<Job> jobs;
  for (std::size_t i = 0; i < count; ++i)
    jobs.push_back(
        {.request = fmt::format("{}-{}", run_name_, requests_++), .vm = next_vm_++, .attachment = {}});
  return run(std::move(jobs), in_flight);
}

Task<Outcome> Load::detach(std::size_t count, std::size_t in_flight) {
  std::vector<Job> jobs;
  for (std::size_t i = 0; i < count && !attachments_.empty(); ++i) {
    jobs.push_back({.request = fmt::format("{}-{}", run_name_, requests_++),
                    .vm = 0,
                    .attachment = attachments_.back()});
    attachments_.pop_back();
  }
  return run(std::move(jobs), in_flight);
}

Task<Outcome> Load::run(std::vector<Job> jobs, std::size_t in_flight) {
  for (const Job& job : jobs) pending_.emplace(job.request, std::make_unique<Pending>(executor_));
  Outcome outcome;
  Result<void> failed;
  std::size_t next = 0;
  TaskGroup workers(executor_);
  const auto begun = Clock::now();
  for (std::size_t i = 0; i < std::min(in_flight, jobs.size()); ++i)
    workers.spawn("load", work(jobs, next, *channels_[i % channels_.size()], outcome, failed));
  co_await workers.join();
  outcome.seconds = std::chrono::duration<double>(Clock::now() - begun).count();
  pending_.clear();
  if (!failed) co_return pass(failed);
  co_return outcome;
}

// LIFETIME: all references are run()'s, which joins its workers.
asio::awaitable<void> Load::work(std::vector<Job>& jobs, std::size_t& next, rpc::Channel& channel,
                                 Outcome& outcome, Result<void>& failed) {
  while (next < jobs.size() && failed && watching_) {
    Job job = jobs[next++];
    auto done = co_await do_job(std::move(job), channel, outcome);
    if (!done && failed) failed = std::move(done);
  }
  if (!watching_ && failed) failed = watching_;
}

Task<void> Load::do_job(Job job, rpc::Channel& channel, Outcome& outcome) {
  Result<v1::Operation> accepted;
  if (job.attachment.empty()) {
    v1::AttachVmRequest request;
    request.set_request_id(job.request);
    request.set_vm(fmt::format("vm-{}", job.vm));
    v1::Interface& interface = *request.add_interfaces();
    interface.set_vpc(fmt::format("bench-{}", job.vm % vpcs_));
    interface.add_ips(ip_text(kVmSubnet + kFirstHost, job.vm));
    interface.set_mac(mac_text(0x20, job.vm));
    accepted = co_await channel.unary<v1::Operation>(method("AttachVm"), request);
  } else {
    v1::DetachVmRequest request;
    request.set_request_id(job.request);
    request.set_attachment(job.attachment);
    accepted = co_await channel.unary<v1::Operation>(method("DetachVm"), request);
  }
  if (!accepted) co_return pass(accepted);
  Pending& pending = *pending_.at(job.request);
  while (pending.operation == nullptr) {
    if (!watching_) co_return watching_;
    const auto woken = co_await pending.over.wait();
    if (!woken) co_return pass(woken);
  }
  const v1::Operation& operation = *pending.operation;
  if (operation.has_error()) co_return fail(Code::kInternal, "OPERATION_FAILED", operation.error().message());
  if (job.attachment.empty()) attachments_.push_back(operation.attachment());
  outcome.network_micros.push_back(operation.total_micros());
  for (const v1::Step& step : operation.steps()) outcome.step_micros[step.name()].push_back(step.micros());
  co_return Result<void>();
}

asio::awaitable<void> Load::watch() {
  watching_ = co_await follow();
  for (auto& [request, pending] : pending_) pending->over.notify_all();
}

Task<void> Load::follow() {
  v1::WatchOperationsRequest request;
  request.set_after_revision(0);
  const auto stream = co_await watcher_->server_stream<v1::Operation>(method("WatchOperations"), request);
  if (!stream) co_return pass(stream);
  while (true) {
    auto completion = co_await stream->read();
    if (!completion) co_return pass(completion);
    if (!*completion) co_return fail(Code::kUnavailable, "NO_WATCH", "the agent ended the watch");
    const auto pending = pending_.find((*completion)->request_id());
    if (pending == pending_.end()) continue;
    pending->second->operation = std::make_shared<v1::Operation>(**std::move(completion));
    pending->second->over.notify_all();
  }
}

asio::awaitable<void> Load::close() {
  for (auto& channel : channels_) co_await channel->close();
  co_await watcher_->close();
  co_await controller_->close();
}

}  // namespace berth::bench
