#include "host/pci/kernel_files.h"

#include <cerrno>
#include <charconv>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>

#include <fmt/format.h>

namespace berth::host {
namespace {

constexpr const char* kErrnoKey = "errno";

class Descriptor {
 public:
  Descriptor(const std::filesystem::path& file, int flags) : fd_(::open(file.c_str(), flags | O_CLOEXEC)) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

Code code_of(int errno_value) {
  switch (errno_value) {
    case ENOENT:
    case ENODEV:
      return Code::kNotFound;
    case EACCES:
    case EPERM:
      return Code::kPermissionDenied;
    case EBUSY:
    case ENOTTY:
      return Code::kFailedPrecondition;
    case ENOMEM:
    case ERANGE:
      return Code::kResourceExhausted;
    default:
      return Code::kUnavailable;
  }
}

}  // namespace

std::unexpected<Error> kernel_error(std::string what, int errno_value) {
  Error error{.code = code_of(errno_value),
              .message = fmt::format("{}: {}", what, std::strerror(errno_value)),
              .reason = "KERNEL_REFUSED"};
  error.metadata[kErrnoKey] = std::to_string(errno_value);
  return std::unexpected(std::move(error));
}

int errno_of(const Error& error) {
  const auto found = error.metadata.find(kErrnoKey);
  int value = 0;
  if (found != error.metadata.end())
    std::from_chars(found->second.data(), found->second.data() + found->second.size(), value);
  return value;
}

Result<void> RealKernelFiles::write(const std::filesystem::path& file, const std::string& text) {
  const Descriptor opened(file, O_WRONLY);
  if (opened.get() < 0) return kernel_error(fmt::format("open {}", file.string()), errno);
  const ssize_t written = ::write(opened.get(), text.data(), text.size());
  if (written == static_cast<ssize_t>(text.size())) return {};
  return kernel_error(fmt::format("write to {}", file.string()), written < 0 ? errno : EIO);
}

Result<std::string> RealKernelFiles::read(const std::filesystem::path& file, std::size_t most) {
  const Descriptor opened(file, O_RDONLY);
  if (opened.get() < 0) return kernel_error(fmt::format("open {}", file.string()), errno);
  std::string text(most, '\0');
  const ssize_t size = ::read(opened.get(), text.data(), text.size());
  if (size < 0) return kernel_error(fmt::format("read {}", file.string()), errno);
  text.resize(static_cast<std::size_t>(size));
  return text;
}

Result<void> RealKernelFiles::try_open(const std::filesystem::path& file) {
  const Descriptor opened(file, O_RDWR);
  if (opened.get() < 0) return kernel_error(fmt::format("open {}", file.string()), errno);
  return {};
}

}  // namespace berth::host
