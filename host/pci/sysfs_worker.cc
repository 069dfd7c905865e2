#include "host/pci/sysfs_worker.h"

#include "base/signal.h"

#include <condition_variable>
#include <deque>
#include <list>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <fmt/format.h>

namespace berth::host {
namespace {

using Clock = std::chrono::steady_clock;

}  // namespace

// `call` and `outcome` belong to the thread until it has posted `is_done`; all else is the worker's.
struct SysfsWorker::Job {
  Job(asio::any_io_executor home, PciAddress of, std::string doing, Call work)
      : device(of), what(std::move(doing)), call(std::move(work)), ended(std::move(home)) {}
  PciAddress device;
  std::string what;
  Call call;
  std::optional<Result<std::string>> outcome;
  Signal ended;
  Clock::time_point begun = Clock::now();
  bool is_done = false;
  bool is_stuck = false;
};

// Shared with the threads, which may outlive the worker.
class SysfsWorker::Threads : public std::enable_shared_from_this<Threads> {
 public:
  Threads(std::shared_ptr<KernelFiles> files, std::size_t most) : files_(std::move(files)), most_(most) {}

  // `on_done` is called by the thread, while no close() can be under way.
  void start(std::shared_ptr<Job> job, std::function<void()> on_done) {
    const std::lock_guard lock(mutex_);
    queue_.push_back({std::move(job), std::move(on_done)});
    if (idle_count_ < queue_.size() && threads_.size() < most_) {
      threads_.emplace_back();
      Thread& added = threads_.back();
      added.thread = std::thread([self = shared_from_this(), &added] { self->serve(added); });
      ++idle_count_;
    }
    work_.notify_one();
  }

  // True: no thread has taken it, and none will.
  bool withdraw(const std::shared_ptr<Job>& job) {
    const std::lock_guard lock(mutex_);
    return std::erase_if(queue_, [&](const Queued& queued) { return queued.job == job; }) > 0;
  }

  // Threads that have nothing to do end; those in the kernel are left to themselves.
  void close() {
    std::list<std::thread> ending;
    {
      const std::lock_guard lock(mutex_);
      is_closed_ = true;
      queue_.clear();
      for (Thread& thread : threads_) {
        if (thread.is_busy) {
          thread.thread.detach();
        } else {
          ending.push_back(std::move(thread.thread));
        }
      }
      work_.notify_all();
    }
    for (std::thread& thread : ending) thread.join();
  }

 private:
  struct Queued {
    std::shared_ptr<Job> job;
    std::function<void()> on_done;
  };
  struct Thread {
    std::thread thread;
    bool is_busy = false;
  };

  void serve(Thread& self) {
    std::unique_lock lock(mutex_);
    while (true) {
      work_.wait(lock, [this] { return is_closed_ || !queue_.empty(); });
      if (is_closed_) return;
      Queued next = std::move(queue_.front());
      queue_.pop_front();
      self.is_busy = true;
      --idle_count_;
      lock.unlock();
      auto outcome = next.job->call(*files_);
      lock.lock();
      if (is_closed_) return;
      self.is_busy = false;
      ++idle_count_;
      next.job->outcome = std::move(outcome);
      next.on_done();
    }
  }

  std::mutex mutex_;
  std::condition_variable work_;
  std::deque<Queued> queue_;
  std::list<Thread> threads_;  // never shrinks before close()
  std::size_t idle_count_ = 0;
  bool is_closed_ = false;
  std::shared_ptr<KernelFiles> files_;
  std::size_t most_;
};

SysfsWorker::SysfsWorker(asio::any_io_executor home, std::shared_ptr<KernelFiles> files,
                         std::size_t max_threads)
    : home_(std::move(home)),
      threads_(std::make_shared<Threads>(std::move(files), max_threads)),
      self_(std::make_shared<SysfsWorker*>(this)) {}

SysfsWorker::~SysfsWorker() {
  *self_ = nullptr;
  threads_->close();
}

Task<void> SysfsWorker::write(PciAddress device, std::filesystem::path file, std::string text,
                              std::chrono::milliseconds deadline) {
  const std::string shown = text == "\n" ? "" : text;
  Call call = [file, text](KernelFiles& files) -> Result<std::string> {
    const auto written = files.write(file, text);
    if (!written) return pass(written);
    return std::string();
  };
  const auto done =
      co_await run(device, fmt::format("write '{}' to {}", shown, file.string()), std::move(call), deadline);
  if (!done) co_return pass(done);
  co_return Result<void>();
}

Task<std::string> SysfsWorker::read(PciAddress device, std::filesystem::path file, std::size_t most,
                                    std::chrono::milliseconds deadline) {
  Call call = [file, most](KernelFiles& files) { return files.read(file, most); };
  return run(device, fmt::format("read {}", file.string()), std::move(call), deadline);
}

Task<void> SysfsWorker::try_open(PciAddress device, std::filesystem::path file,
                                 std::chrono::milliseconds deadline) {
  Call call = [file](KernelFiles& files) -> Result<std::string> {
    const auto opened = files.try_open(file);
    if (!opened) return pass(opened);
    return std::string();
  };
  const auto done = co_await run(device, fmt::format("open {}", file.string()), std::move(call), deadline);
  if (!done) co_return pass(done);
  co_return Result<void>();
}

std::map<PciAddress, std::string> SysfsWorker::stuck() const {
  std::map<PciAddress, std::string> found;
  for (const auto& [device, job] : running_) {
    if (job->is_stuck) found.emplace(device, job->what);
  }
  return found;
}

Task<std::string> SysfsWorker::run(PciAddress device, std::string what, Call call,
                                   std::chrono::milliseconds deadline) {
  const auto give_up = Clock::now() + deadline;
  const auto free = co_await wait_for_earlier(device, give_up);
  if (!free) co_return pass(free, what);
  const auto job = std::make_shared<Job>(home_, device, what, std::move(call));
  running_.emplace(device, job);
  // What waits for an answer keeps the loop running until its deadline: its timer does.
  threads_->start(job, [home = home_, self = self_, job] {
    asio::post(home, [self, job] {
      job->is_done = true;
      if (*self != nullptr) (*self)->forget(job->device, job);
      job->ended.notify_all();
    });
  });
  while (!job->is_done) {
    const auto woken = co_await with_deadline(give_up - Clock::now(), job->ended.wait());
    if (woken || job->is_done) continue;
    const bool is_late = woken.error().code == Code::kDeadlineExceeded;
    if (threads_->withdraw(job)) {
      forget(device, job);
      if (!is_late) co_return pass(woken);
      co_return fail(Code::kResourceExhausted, "SYSFS_THREADS_EXHAUSTED",
                     fmt::format("{}: all threads are taken, {} of them hang", what, stuck().size()));
    }
    if (!is_late) co_return pass(woken);
    job->is_stuck = true;
    co_return fail(Code::kDeadlineExceeded, "SYSFS_WRITE_STUCK",
                   fmt::format("{}: the kernel has not answered for {} ms", what, deadline.count()));
  }
  co_return *std::move(job->outcome);
}

Task<void> SysfsWorker::wait_for_earlier(PciAddress device, Clock::time_point give_up) {
  while (true) {
    const auto found = running_.find(device);
    if (found == running_.end()) co_return Result<void>();
    const auto earlier = found->second;  // it must outlive the wait
    if (!earlier->is_stuck) {
      const auto woken = co_await with_deadline(give_up - Clock::now(), earlier->ended.wait());
      if (woken || earlier->is_done) continue;
      if (woken.error().code != Code::kDeadlineExceeded) co_return pass(woken);
    }
    const auto since = std::chrono::duration_cast<std::chrono::seconds>(Clock::now() - earlier->begun);
    co_return fail(Code::kDeadlineExceeded, "SYSFS_WRITE_STUCK",
                   fmt::format("not begun: '{}' has hung for {} s", earlier->what, since.count()));
  }
}

void SysfsWorker::forget(PciAddress device, const std::shared_ptr<Job>& job) {
  const auto found = running_.find(device);
  if (found != running_.end() && found->second == job) running_.erase(found);
}

}  // namespace berth::host
