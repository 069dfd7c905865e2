// The kernel's files that do something when they are touched: sysfs attributes, /dev/vfio/<group>. Each
// call may block for minutes or for ever, so only SysfsWorker's threads make them. An interface, so that
// tests can put a kernel behind it.
#pragma once

#include "base/error.h"

#include <cstddef>
#include <filesystem>
#include <string>

namespace berth::host {

// Called from several threads at once. The error of each is kernel_error() below.
class KernelFiles {
 public:
  virtual ~KernelFiles() = default;
  // The whole text in one write(2), which is what sysfs wants.
  virtual Result<void> write(const std::filesystem::path& file, const std::string& text) = 0;
  // Up to `most` bytes.
  virtual Result<std::string> read(const std::filesystem::path& file, std::size_t most) = 0;
  // Opens for reading and writing, and closes. EBUSY of a VFIO group: somebody has it open.
  virtual Result<void> try_open(const std::filesystem::path& file) = 0;
};

class RealKernelFiles : public KernelFiles {
 public:
  Result<void> write(const std::filesystem::path& file, const std::string& text) override;
  Result<std::string> read(const std::filesystem::path& file, std::size_t most) override;
  Result<void> try_open(const std::filesystem::path& file) override;
};

// Reason KERNEL_REFUSED; the number is kept for errno_of().
std::unexpected<Error> kernel_error(std::string what, int errno_value);
// 0 when the error is not the kernel's.
int errno_of(const Error& error);

}  // namespace berth::host
