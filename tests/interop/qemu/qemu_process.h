// A real QEMU without a guest: stopped before its first instruction, under TCG.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace berth::testing {

bool is_qemu_installed();

class QemuProcess {
 public:
  // Returns when its monitor at `monitor` accepts. `arguments` behind the machine's.
  QemuProcess(std::filesystem::path monitor, std::vector<std::string> arguments);
  ~QemuProcess();
  QemuProcess(const QemuProcess&) = delete;
  QemuProcess& operator=(const QemuProcess&) = delete;

  // SIGKILL; returns when the kernel has closed all that it had.
  void kill();

 private:
  int pid_ = -1;
};

}  // namespace berth::testing
