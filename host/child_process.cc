#include "host/child_process.h"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <utility>

#include <boost/asio/buffer.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <fmt/format.h>

extern char** environ;

namespace berth::host {
namespace {

std::unexpected<Error> not_started(const std::string& program, int errno_value) {
  return fail(Code::kNotFound, "CHILD_NOT_STARTED",
              fmt::format("{}: {}", program, std::strerror(errno_value)));
}

// A running child, leader of a process group of its own; killed with all of it unless it was reaped.
class Child {
 public:
  explicit Child(pid_t pid) : pid_(pid) {}
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child() {
    ::kill(-pid_, SIGKILL);  // what it left behind, too
    if (is_reaped_ || ::waitpid(pid_, nullptr, WNOHANG) != 0) return;
    // A killed process takes a moment, or hangs in the kernel: not the loop's time.
    std::thread([pid = pid_] { ::waitpid(pid, nullptr, 0); }).detach();
  }

  pid_t pid() const { return pid_; }
  int reap() {
    int status = 0;
    is_reaped_ = ::waitpid(pid_, &status, WNOHANG) == pid_;
    return status;
  }

 private:
  pid_t pid_;
  bool is_reaped_ = false;
};

Result<pid_t> spawn(const std::vector<std::string>& command, int output) {
  posix_spawn_file_actions_t files;
  posix_spawnattr_t attributes;
  posix_spawn_file_actions_init(&files);
  posix_spawnattr_init(&attributes);
  posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&files, output, STDOUT_FILENO);
  sigset_t defaults;
  sigemptyset(&defaults);
  sigaddset(&defaults, SIGPIPE);
  posix_spawnattr_setsigdefault(&attributes, &defaults);
  posix_spawnattr_setpgroup(&attributes, 0);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF);
  std::vector<char*> words;
  // LIFETIME: posix_spawn copies what they point to.
  for (const std::string& word : command) words.push_back(const_cast<char*>(word.c_str()));
  words.push_back(nullptr);
  pid_t pid = 0;
  const int error = ::posix_spawn(&pid, command.front().c_str(), &files, &attributes, words.data(), environ);
  posix_spawn_file_actions_destroy(&files);
  posix_spawnattr_destroy(&attributes);
  if (error != 0) return not_started(command.front(), error);
  return pid;
}

Task<ChildOutcome> follow(Child& child, asio::posix::stream_descriptor& output,
                          asio::posix::stream_descriptor& ended, std::string program,
                          std::size_t most_bytes) {
  ChildOutcome outcome;
  std::array<char, 4096> buffer;
  while (true) {
    const auto [error, size] = co_await output.async_read_some(asio::buffer(buffer), kAsTuple);
    if (error == asio::error::eof) break;
    if (error) co_return fail(Code::kCancelled, "", "cancelled while a child ran");
    outcome.output.append(buffer.data(), size);
    if (outcome.output.size() > most_bytes)
      co_return fail(Code::kResourceExhausted, "CHILD_SAYS_TOO_MUCH",
                     fmt::format("{}: more than {} bytes", program, most_bytes));
  }
  const auto [error] = co_await ended.async_wait(asio::posix::stream_descriptor::wait_read, kAsTuple);
  if (error) co_return fail(Code::kCancelled, "", "cancelled while a child ran");
  const int status = child.reap();
  if (WIFSIGNALED(status))
    co_return fail(Code::kUnavailable, "CHILD_KILLED",
                   fmt::format("{}: signal {}", program, WTERMSIG(status)));
  outcome.exit_status = WEXITSTATUS(status);
  co_return outcome;
}

}  // namespace

Task<ChildOutcome> run_child(std::vector<std::string> command, std::chrono::milliseconds deadline,
                             std::size_t most_bytes) {
  const auto executor = co_await asio::this_coro::executor;
  std::array<int, 2> pipe{};
  if (::pipe2(pipe.data(), O_CLOEXEC) != 0) co_return not_started(command.front(), errno);
  asio::posix::stream_descriptor output(executor, pipe[0]);
  const auto pid = spawn(command, pipe[1]);
  ::close(pipe[1]);
  if (!pid) co_return pass(pid);
  Child child(*pid);
  const auto pidfd = static_cast<int>(::syscall(SYS_pidfd_open, *pid, 0));
  if (pidfd < 0) co_return not_started(command.front(), errno);
  asio::posix::stream_descriptor ended(executor, pidfd);
  auto outcome = co_await with_deadline(deadline, follow(child, output, ended, command.front(), most_bytes));
  if (outcome || outcome.error().code != Code::kDeadlineExceeded) co_return outcome;
  co_return fail(Code::kDeadlineExceeded, "CHILD_TIMED_OUT",
                 fmt::format("{}: not done after {} ms", command.front(), deadline.count()));
}

}  // namespace berth::host
