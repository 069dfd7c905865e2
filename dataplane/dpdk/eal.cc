#include "dataplane/dpdk/eal.h"

#include <sched.h>
#include <unistd.h>

#include <fmt/format.h>
#include <rte_eal.h>
#include <rte_errno.h>

namespace berth::dataplane::dpdk {
namespace {

// "0,1,5": EAL pins its main thread to one CPU unless it is given all of them.
std::string allowed_cpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) != 0) return "0";
  std::vector<int> cpus;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &set)) cpus.push_back(cpu);
  }
  return fmt::format("{}", fmt::join(cpus, ","));
}

}  // namespace

std::vector<std::string> eal_arguments(const EalOptions& options, const std::string& cpus,
                                       const std::string& file_prefix) {
  std::vector<std::string> arguments = {"berth",
                                        "--no-telemetry",
                                        "--log-level=*:error",
                                        fmt::format("--lcores=0@({})", cpus),
                                        fmt::format("--file-prefix={}", file_prefix),
                                        "-m",
                                        fmt::format("{}", options.memory_mib)};
  arguments.emplace_back(options.use_hugepages ? "--in-memory" : "--no-huge");
  if (options.use_hugepages) arguments.emplace_back("--single-file-segments");  // vhost-user shares it
  if (options.pci.empty()) {
    arguments.emplace_back("--no-pci");
  } else {
    arguments.emplace_back("--log-level=*mlx5*:warning");  // why it made no port is a warning
  }
  for (const std::string& device : options.pci) arguments.insert(arguments.end(), {"-a", device});
  for (const std::string& vdev : options.vdevs) arguments.push_back("--vdev=" + vdev);
  return arguments;
}

Result<void> start_eal(const EalOptions& options) {
  // LIFETIME: EAL may keep pointers into its arguments for as long as the process lives.
  static std::vector<std::string> arguments;
  arguments = eal_arguments(options, allowed_cpus(), fmt::format("berth-{}", getpid()));
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  if (rte_eal_init(static_cast<int>(argv.size()), argv.data()) < 0) {
    return fail(Code::kUnavailable, "EAL_FAILED",
                fmt::format("DPDK does not start: {}", rte_strerror(rte_errno)));
  }
  return {};
}

void stop_eal() {
  (void)rte_eal_cleanup();
}

}  // namespace berth::dataplane::dpdk
