#include "dataplane/soft/grace.h"

#include <new>
#include <utility>

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
  waiting_.push_back({free, context, object, size});
  waiting_bytes_ += size;
}

void Grace::free_leaving() {
  for (const Retired& one : leaving_) one.free(one.context, one.object, one.size);
  leaving_.clear();
}

void Grace::reclaim() {
  if (!leaving_.empty() && rte_rcu_qsbr_check(state_.get(), token_, false) != 0) free_leaving();
  if (!leaving_.empty() || (waiting_.size() < kObjects && waiting_bytes_ < kBytes)) return;
  std::swap(leaving_, waiting_);
  waiting_bytes_ = 0;
  token_ = rte_rcu_qsbr_start(state_.get());
}

void Grace::synchronize() {
  rte_rcu_qsbr_synchronize(state_.get(), RTE_QSBR_THRID_INVALID);
  free_leaving();
  std::swap(leaving_, waiting_);
  waiting_bytes_ = 0;
  free_leaving();
}

}  // namespace berth::soft
