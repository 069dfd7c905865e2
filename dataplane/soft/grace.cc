#include "dataplane/soft/grace.h"

#include <new>

namespace berth::soft {
namespace {

constexpr std::align_val_t kLine{RTE_CACHE_LINE_SIZE};

}  // namespace

void Grace::StateDeleter::operator()(rte_rcu_qsbr* state) const {
  ::operator delete(state, kLine);
}

Grace::Grace() {
  const std::size_t bytes = rte_rcu_qsbr_get_memsize(1);
  state_.reset(static_cast<rte_rcu_qsbr*>(::operator new(bytes, kLine)));
  rte_rcu_qsbr_init(state_.get(), 1);
  rte_rcu_qsbr_thread_register(state_.get(), kWorker);
}

void Grace::retire(Free free, void* context, void* object, std::size_t size) {
  retired_.push_back({rte_rcu_qsbr_start(state_.get()), free, context, object, size});
}

void Grace::reclaim() {
  while (!retired_.empty()) {
    const Retired front = retired_.front();
    if (rte_rcu_qsbr_check(state_.get(), front.token, false) == 0) return;
    retired_.pop_front();
    front.free(front.context, front.object, front.size);
  }
}

void Grace::synchronize() {
  rte_rcu_qsbr_synchronize(state_.get(), RTE_QSBR_THRID_INVALID);
  reclaim();
}

}  // namespace berth::soft
