#include "host/pci/uevent_listener.h"

#include "base/log.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <linux/netlink.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>

#include <fmt/format.h>

namespace berth::host {
namespace {

constexpr std::uint32_t kKernelGroup = 1;  // 2 is udev's
constexpr int kReceiveBufferBytes = 4 << 20;
constexpr std::size_t kMaxMessageBytes = 8192;  // UEVENT_BUFFER_SIZE is 2048, and its header

std::unexpected<Error> unavailable(const char* doing) {
  return fail(Code::kUnavailable, "UEVENTS_UNAVAILABLE", fmt::format("{}: {}", doing, std::strerror(errno)));
}

}  // namespace

Result<UeventListener> UeventListener::open(asio::any_io_executor executor, PciEvents& events) {
  const int fd = ::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_KOBJECT_UEVENT);
  if (fd < 0) return unavailable("open a uevent socket");
  asio::posix::stream_descriptor socket(std::move(executor), fd);
  // More room than net.core.rmem_max allows needs a capability; without it less has to do.
  if (::setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &kReceiveBufferBytes, sizeof kReceiveBufferBytes) != 0)
    (void)::setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &kReceiveBufferBytes, sizeof kReceiveBufferBytes);
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  address.nl_groups = kKernelGroup;
  // The socket API wants the address as one of its base type.
  if (::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return unavailable("join the kernel's uevents");
  return UeventListener(std::move(socket), events);
}

asio::awaitable<void> UeventListener::run() {
  while (true) {
    const auto [error] = co_await socket_.async_wait(asio::posix::stream_descriptor::wait_read, kAsTuple);
    if (error) co_return;
    read_all();
  }
}

void UeventListener::read_all() {
  std::array<char, kMaxMessageBytes> buffer;
  while (true) {
    sockaddr_nl sender{};
    socklen_t size = sizeof sender;
    const ssize_t got = ::recvfrom(socket_.native_handle(), buffer.data(), buffer.size(), 0,
                                   reinterpret_cast<sockaddr*>(&sender), &size);
    if (got < 0 && errno == ENOBUFS) {
      log_event(LogLevel::kWarning, "uevents were lost");
      events_->take_overrun();
      continue;
    }
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return;
    if (sender.nl_pid != 0) continue;  // not the kernel
    const auto event = parse_uevent({buffer.data(), static_cast<std::size_t>(got)});
    if (event) {
      events_->take(*event);
    } else {
      log_event(LogLevel::kDebug, "uevent not understood", {{"why", event.error().message}});
    }
  }
}

}  // namespace berth::host
