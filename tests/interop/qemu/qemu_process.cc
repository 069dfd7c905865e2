#include "tests/interop/qemu/qemu_process.h"

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <stdexcept>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <utility>

namespace berth::testing {
namespace {

constexpr const char* kQemu = "qemu-system-x86_64";

}  // namespace

bool is_qemu_installed() {
  return std::system("command -v qemu-system-x86_64 > /dev/null") == 0;
}

QemuProcess::QemuProcess(std::filesystem::path monitor, std::vector<std::string> arguments) {
  std::vector<std::string> all = {kQemu,
                                  "-S",
                                  "-nodefaults",
                                  "-display",
                                  "none",
                                  "-accel",
                                  "tcg",
                                  "-machine",
                                  "q35",
                                  "-qmp",
                                  "unix:" + monitor.string() + ",server=on,wait=off"};
  all.insert(all.end(), arguments.begin(), arguments.end());
  std::vector<char*> raw;
  for (std::string& argument : all) raw.push_back(argument.data());
  raw.push_back(nullptr);
  pid_ = ::fork();
  if (pid_ == 0) {
    ::execvp(kQemu, raw.data());
    ::_exit(127);
  }
  for (int i = 0; i < 2000; ++i) {
    if (std::filesystem::exists(monitor)) return;
    int status = 0;
    if (::waitpid(pid_, &status, WNOHANG) == pid_) {
      pid_ = -1;
      throw std::runtime_error("qemu-system-x86_64 ended at once");
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  throw std::runtime_error("qemu-system-x86_64 has no monitor after 20 s");
}

void QemuProcess::kill() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

QemuProcess::~QemuProcess() {
  kill();
}

}  // namespace berth::testing
