#include "tests/bench/rpc/server_process.h"

#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fcntl.h>
#include <fstream>
#include <sched.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

namespace berth::bench {

void pin_to_core(unsigned core) {
  if (std::thread::hardware_concurrency() < 2) return;
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(core, &set);
  (void)::sched_setaffinity(0, sizeof(set), &set);
}

namespace {

constexpr int kRaisedNice = -10;
constexpr const char* kSessionFile = "/proc/self/autogroup";

int session_nice() {
  std::ifstream file(kSessionFile);  // "/autogroup-7 nice 0"
  std::string name;
  std::string word;
  int nice = 0;
  return file >> name >> word >> nice ? nice : 0;
}

void set_session_nice(int nice) {
  std::ofstream(kSessionFile) << nice;
}

}  // namespace

RaisedPriority::RaisedPriority() : before_(::getpriority(PRIO_PROCESS, 0)), session_before_(session_nice()) {
  (void)::setpriority(PRIO_PROCESS, 0, kRaisedNice);
  set_session_nice(kRaisedNice);
}

RaisedPriority::~RaisedPriority() {
  (void)::setpriority(PRIO_PROCESS, 0, before_);
  set_session_nice(session_before_);
}

ServerProcess::ServerProcess(const std::string& kind, const std::string& certificates) {
  int input[2];
  int output[2];
  if (::pipe2(input, O_CLOEXEC) != 0 || ::pipe2(output, O_CLOEXEC) != 0) std::abort();
  pid_ = ::fork();
  if (pid_ == 0) {
    pin_to_core(0);
    ::dup2(input[0], STDIN_FILENO);
    ::dup2(output[1], STDOUT_FILENO);
    ::execl("/proc/self/exe", "bench_rpc", "--serve", kind.c_str(), certificates.c_str(), nullptr);
    ::_exit(127);
  }
  ::close(input[0]);
  ::close(output[1]);
  input_ = input[1];
  FILE* said = ::fdopen(output[0], "r");
  unsigned port = 0;
  if (std::fscanf(said, "%u", &port) != 1) {
    std::fprintf(stderr, "the %s server does not start\n", kind.c_str());
    std::exit(1);
  }
  std::fclose(said);
  port_ = static_cast<std::uint16_t>(port);
}

ServerProcess::~ServerProcess() {
  ::close(input_);
  ::waitpid(pid_, nullptr, 0);
}

double ServerProcess::cpu_seconds() const {
  clockid_t clock = 0;
  timespec time{};
  if (::clock_getcpuclockid(pid_, &clock) != 0 || ::clock_gettime(clock, &time) != 0) return 0;
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

double ServerProcess::resident_kb() const {
  std::ifstream status("/proc/" + std::to_string(pid_) + "/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmRSS:")) return std::strtod(line.c_str() + 6, nullptr);
  }
  return 0;
}

}  // namespace berth::bench
