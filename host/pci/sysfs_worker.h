// Calls into the kernel that may never return, each on a thread and with a deadline. What the kernel has
// not answered in time is neither done nor undone: its state is *unknown*, and the caller reads it again.
//
// A call that hangs keeps its thread, since nothing can take it out of the kernel. Until it returns no other
// call to the same device is begun: the kernel holds locks of it (Linux: device_lock,
// pci_rescan_remove_lock), and what was asked for last might come true at any time. Reads go the same way,
// because many of them (sriov_numvfs, driver_override, config) take those locks, too.
//
// Single-threaded, on the executor that it was made with. Its end does not wait for what hangs: such a thread
// goes on alone, and touches nothing of ours when it returns.
#pragma once

#include "base/task.h"
#include "host/pci/kernel_files.h"
#include "host/pci_address.h"

#include <chrono>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include <boost/asio/any_io_executor.hpp>

namespace berth::host {

class SysfsWorker {
 public:
  static constexpr std::size_t kMaxThreads = 16;

  SysfsWorker(asio::any_io_executor home, std::shared_ptr<KernelFiles> files,
              std::size_t max_threads = kMaxThreads);
  ~SysfsWorker();
  SysfsWorker(const SysfsWorker&) = delete;
  SysfsWorker& operator=(const SysfsWorker&) = delete;

  // The kernel's own refusals (errno_of()) besides these:
  //   DEADLINE_EXCEEDED  SYSFS_WRITE_STUCK: this call, or an earlier one to `device`, hangs in the kernel
  //   RESOURCE_EXHAUSTED SYSFS_THREADS_EXHAUSTED: all threads are taken; nothing was done
  Task<void> write(PciAddress device, std::filesystem::path file, std::string text,
                   std::chrono::milliseconds deadline);
  Task<std::string> read(PciAddress device, std::filesystem::path file, std::size_t most,
                         std::chrono::milliseconds deadline);
  Task<void> try_open(PciAddress device, std::filesystem::path file, std::chrono::milliseconds deadline);

  // What has hung beyond its deadline and does still, "write '4' to .../sriov_numvfs" by device.
  std::map<PciAddress, std::string> stuck() const;

 private:
  class Threads;
  struct Job;
  using Call = std::function<Result<std::string>(KernelFiles&)>;

  Task<std::string> run(PciAddress device, std::string what, Call call, std::chrono::milliseconds deadline);
  Task<void> wait_for_earlier(PciAddress device, std::chrono::steady_clock::time_point give_up);
  void forget(PciAddress device, const std::shared_ptr<Job>& job);

  asio::any_io_executor home_;
  std::shared_ptr<Threads> threads_;
  // LIFETIME: jobs that return late find out by this whether the worker is still there.
  std::shared_ptr<SysfsWorker*> self_;
  std::map<PciAddress, std::shared_ptr<Job>> running_;
};

}  // namespace berth::host
