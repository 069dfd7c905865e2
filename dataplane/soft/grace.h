// Read-copy-update between one worker and one control side: what the control side unlinks is freed only
// when the worker can no longer be looking at it.
//
// The worker brackets each iteration with a WorkerSection. Outside of one it is offline, so the control
// side never waits for a worker that is not running. `retire` never blocks; `reclaim` frees what is due.
// Grace periods are shared by many objects: each begins and ends with words that the worker and the control
// side both write, and while these wander from one processor to the other, packets wait.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

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

 private:
  static constexpr unsigned kWorker = 0;
  // A grace period begins for so many objects, or so much memory.
  static constexpr std::size_t kObjects = 32;
  static constexpr std::size_t kBytes = std::size_t{256} << 10;

  struct Retired {
    Free free;
    void* context;
    void* object;
    std::size_t size;
  };
  struct StateDeleter {
    void operator()(rte_rcu_qsbr* state) const;
  };
  void free_leaving();

  std::unique_ptr<rte_rcu_qsbr, StateDeleter> state_;
  std::vector<Retired> waiting_;  // no grace period has begun for these
  std::size_t waiting_bytes_ = 0;
  std::vector<Retired> leaving_;  // freed when the grace period of `token_` is over
  std::uint64_t token_ = 0;
};

}  // namespace berth::soft
