// What a VMaaS and a controller ask of an agent, in bulk: gRPC over mutual TLS, as any client would.
#pragma once

#include "base/signal.h"
#include "base/task.h"
#include "rpc/channel.h"

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace berth::northbound::v1 {
class Operation;
}

namespace berth::bench {

struct LoadOptions {
  std::string endpoint;
  std::string certificates;  // folder, as tools/certs makes it
  std::size_t connections = 16;
};

// VPCs bench-0 and on, each with a subnet for VMs of this host, one for mappings, and some policy.
struct PushWanted {
  std::uint32_t vpcs = 1;
  std::uint32_t mappings = 0;  // together
  std::string vtep;            // of all mappings
};

struct Outcome {
  double seconds = 0;  // from the first call to the last completion
  // Of each operation, as the agent tells it: from the arrival of the intent to where its rules are verified.
  std::vector<std::uint64_t> network_micros;
  std::map<std::string, std::vector<std::uint64_t>> step_micros;  // of each operation that has the step
};

class Load {
 public:
  Load(asio::any_io_executor executor, const LoadOptions& options);

  // As the primary controller, a snapshot. The agent's refusal is the error.
  Task<void> push(PushWanted wanted);
  // Attaches `count` VMs more, spread over the VPCs; at most `in_flight` are under way at any time, and one
  // is over when its completion has come. The first failed operation is the error.
  Task<Outcome> attach(std::size_t count, std::size_t in_flight);
  // The last `count` ones that were attached.
  Task<Outcome> detach(std::size_t count, std::size_t in_flight);
  std::size_t attached_count() const { return attachments_.size(); }

  // Takes completions in until cancelled; runs beside all of the above.
  asio::awaitable<void> watch();
  asio::awaitable<void> close();

 private:
  struct Pending {
    explicit Pending(asio::any_io_executor executor) : over(std::move(executor)) {}
    Signal over;
    std::shared_ptr<northbound::v1::Operation> operation;  // none: not over yet
  };
  struct Job {
    std::string request;
    std::uint32_t vm = 0;    // attach
    std::string attachment;  // detach
  };
  Task<Outcome> run(std::vector<Job> jobs, std::size_t in_flight);
  asio::awaitable<void> work(std::vector<Job>& jobs, std::size_t& next, rpc::Channel& channel,
                             Outcome& outcome, Result<void>& failed);
  Task<void> do_job(Job job, rpc::Channel& channel, Outcome& outcome);
  Task<void> follow();

  asio::any_io_executor executor_;
  LoadOptions options_;
  std::vector<std::unique_ptr<rpc::Channel>> channels_;  // as the VMaaS
  std::unique_ptr<rpc::Channel> watcher_;                // completions alone: nothing else is in their way
  std::unique_ptr<rpc::Channel> controller_;
  std::map<std::string, std::unique_ptr<Pending>> pending_;  // by request
  Result<void> watching_;
  std::vector<std::string> attachments_;
  std::uint32_t vpcs_ = 1;
  std::uint32_t next_vm_ = 0;
  std::uint64_t requests_ = 0;
  std::string run_name_;  // of this process: its request ids are nobody else's
};

}  // namespace berth::bench
