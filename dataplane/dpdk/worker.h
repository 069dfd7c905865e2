// The thread that runs a software eSwitch: DPDK's service component of that name, over and over.
#pragma once

#include "base/error.h"

#include <atomic>
#include <cstdint>
#include <string>
#include <thread>

namespace berth::dataplane::dpdk {

class Worker {
 public:
  // NOT_FOUND when there is no such service. Call from the control thread.
  static Result<std::unique_ptr<Worker>> start(const std::string& service);
  // Returns when the thread has ended.
  ~Worker();

 private:
  explicit Worker(std::uint32_t service_id) : service_id_(service_id) {}
  void run();

  std::uint32_t service_id_;
  std::atomic<bool> stop_ = false;
  std::thread thread_;
};

}  // namespace berth::dataplane::dpdk
