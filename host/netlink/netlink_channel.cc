#include "host/netlink/netlink_channel.h"

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <utility>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <fmt/format.h>

namespace berth::host {

// `request` and `outcome` belong to the thread from when it takes the job until it has posted `is_done`.
struct NetlinkChannel::Job {
  Job(const asio::any_io_executor& home, NlProtocol on, Bytes bytes, std::string doing)
      : protocol(on), request(std::move(bytes)), what(std::move(doing)), ended(home) {}
  NlProtocol protocol;
  Bytes request;
  std::string what;
  std::optional<Result<NlAnswer>> outcome;
  Signal ended;
  bool is_done = false;
};

// Shared with the thread, which outlives the channel when it hangs.
class NetlinkChannel::Worker : public std::enable_shared_from_this<Worker> {
 public:
  Worker(asio::any_io_executor home, Exchange exchange)
      : home_(std::move(home)), exchange_(std::move(exchange)) {}

  void start(std::shared_ptr<Job> job) {
    const std::lock_guard lock(mutex_);
    queue_.push_back(std::move(job));
    if (!thread_.joinable()) thread_ = std::thread([self = shared_from_this()] { self->serve(); });
    work_.notify_one();
  }

  // True: the thread has not taken it, and will not.
  bool withdraw(const std::shared_ptr<Job>& job) {
    const std::lock_guard lock(mutex_);
    return std::erase(queue_, job) > 0;
  }

  std::string running() {
    const std::lock_guard lock(mutex_);
    return running_ ? running_->what : "nothing";
  }

  void close() {
    {
      const std::lock_guard lock(mutex_);
      is_closed_ = true;
      queue_.clear();
      work_.notify_all();
      if (running_ && thread_.joinable()) thread_.detach();
    }
    if (thread_.joinable()) thread_.join();
  }

 private:
  void serve() {
    std::unique_lock lock(mutex_);
    while (true) {
      work_.wait(lock, [this] { return is_closed_ || !queue_.empty(); });
      if (is_closed_) return;
      auto job = std::move(queue_.front());
      queue_.pop_front();
      running_ = job;
      lock.unlock();
      auto outcome = exchange_(job->protocol, std::move(job->request));
      lock.lock();
      running_.reset();
      if (is_closed_) return;  // home may be gone
      job->outcome = std::move(outcome);
      asio::post(home_, [job = std::move(job)] {
        job->is_done = true;
        job->ended.notify_all();
      });
    }
  }

  asio::any_io_executor home_;
  Exchange exchange_;
  std::mutex mutex_;
  std::condition_variable work_;
  std::deque<std::shared_ptr<Job>> queue_;
  std::shared_ptr<Job> running_;
  std::thread thread_;
  bool is_closed_ = false;
};

NetlinkChannel::NetlinkChannel(asio::any_io_executor home, Exchange exchange)
    : home_(home), worker_(std::make_shared<Worker>(std::move(home), std::move(exchange))) {}
NetlinkChannel::~NetlinkChannel() {
  worker_->close();
}

Task<NlAnswer> NetlinkChannel::call(NlProtocol protocol, Bytes request, std::string what,
                                    std::chrono::milliseconds deadline) {
  // LIFETIME: the channel may end while this waits; `worker` and `job` do not.
  const auto worker = worker_;
  const auto job = std::make_shared<Job>(home_, protocol, std::move(request), what);
  const auto keeps_home_running = asio::make_work_guard(home_);
  worker->start(job);
  Task<void> ended = job->ended.wait();
  const auto waited = co_await with_deadline(deadline, std::move(ended));
  if (job->is_done) {
    if (!*job->outcome) co_return pass(*job->outcome, what);
    co_return std::move(*job->outcome);
  }
  const bool was_sent = !worker->withdraw(job);
  if (waited.error().code == Code::kCancelled) co_return pass(waited, what);
  if (!was_sent) {
    co_return fail(
        Code::kUnavailable, "NETLINK_BUSY",
        fmt::format("{}: not sent: the kernel has not answered '{}' yet", what, worker->running()));
  }
  co_return fail(Code::kDeadlineExceeded, "NETLINK_STUCK",
                 fmt::format("{}: no answer from the kernel within {} ms", what, deadline.count()));
}

}  // namespace berth::host
