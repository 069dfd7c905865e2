// Read-copy-update between one worker and one control side: what the control side unlinks is freed only
// when the worker can no longer be looking at it.
//
// The worker brackets each iteration with a WorkerSection. Outside of one it is offline, so the control
// side never waits for a worker that is not running. `retire` never blocks; `reclaim` frees what is due.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>

#include <rte_rcu_qsbr.h>

namespace berth::soft {

class Grace {
 public:
  Grace();

  class WorkerSection {
   public:
    explicit WorkerSection(Grace& grace) : grace_(grace) {
      rte_rcu_qsbr_thread_online(grace_.state_.get(), kWorker);
    }
    ~WorkerSection() { rte_rcu_qsbr_thread_offline(grace_.state_.get(), kWorker); }
    WorkerSection(const WorkerSection&) = delete;
    WorkerSection& operator=(const WorkerSection&) = delete;

   private:
    Grace& grace_;
  };

  // Calls free(object, size) some time after the worker has left its current section.
  using Free = void (*)(void* context, void* object, std::size_t size);
  void retire(Free free, void* context, void* object, std::size_t size);

  void reclaim();      // what is due
  void synchronize();  // waits for the worker's current section, then frees everything
  std::size_t pending() const { return retired_.size(); }

 private:
  static constexpr unsigned kWorker = 0;

  struct Retired {
    std::uint64_t token;
    Free free;
    void* context;
    void* object;
    std::size_t size;
  };
  struct StateDeleter {
    void operator()(rte_rcu_qsbr* state) const;
  };

  std::unique_ptr<rte_rcu_qsbr, StateDeleter> state_;
  std::deque<Retired> retired_;
};

}  // namespace berth::soft
