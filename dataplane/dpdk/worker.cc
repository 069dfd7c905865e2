#include "dataplane/dpdk/worker.h"

#include <chrono>

#include <fmt/format.h>
#include <rte_lcore.h>
#include <rte_service.h>

namespace berth::dataplane::dpdk {

Result<std::unique_ptr<Worker>> Worker::start(const std::string& service) {
  std::uint32_t id = 0;
  if (rte_service_get_by_name(service.c_str(), &id) != 0) {
    return fail(Code::kNotFound, "SERVICE_UNKNOWN", fmt::format("DPDK has no service {}", service));
  }
  (void)rte_service_set_runstate_mapped_check(id, 0);  // no service lcore runs it: our thread does
  (void)rte_service_runstate_set(id, 1);
  std::unique_ptr<Worker> worker(new Worker(id));
  worker->thread_ = std::thread([self = worker.get()] { self->run(); });
  return worker;
}

Worker::~Worker() {
  stop_ = true;
  thread_.join();
}

void Worker::run() {
  (void)rte_thread_register();  // for per-thread packet buffer caches
  while (!stop_.load(std::memory_order_relaxed)) (void)rte_service_run_iter_on_app_lcore(service_id_, 1);
  rte_thread_unregister();
}

}  // namespace berth::dataplane::dpdk
