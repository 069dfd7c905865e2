// The host's PCIe as the agent's callers see it. Reading it touches the devices, so a thread of its own does.
#pragma once

#include "base/task.h"
#include "host/topology/choose.h"
#include "host/topology/plan.h"
#include "host/topology/topology.h"

#include <filesystem>
#include <vector>

#include <boost/asio/thread_pool.hpp>

namespace berth::agent {

class TopologyView {
 public:
  // `root` is "/" but in tests. LIFETIME: made after the io_context that calls it, and destroyed before.
  explicit TopologyView(std::filesystem::path root) : root_(std::move(root)) {}

  // Errors of host::topology::read_topology.
  Task<host::topology::Topology> read();
  // Errors of host::topology::plan_virtual_topology, too.
  Task<host::StartArguments> plan(std::vector<host::PciAddress> devices, unsigned spare_ports);

 private:
  std::filesystem::path root_;
  asio::thread_pool reader_{1};
};

}  // namespace berth::agent
