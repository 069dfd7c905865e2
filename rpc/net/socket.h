// Sockets as file descriptors: addresses in text, listen, connect, send and receive without blocking
// and without SIGPIPE. What can wait is left to the callers and Asio.
#pragma once

#include "base/error.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <utility>

namespace berth::rpc::net {

// Owns a file descriptor.
class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  ~Fd();
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  int get() const { return fd_; }
  int release() { return std::exchange(fd_, -1); }

 private:
  int fd_ = -1;
};

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t size = 0;

  int family() const { return storage.ss_family; }
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
  // "192.0.2.7:41000", "[2001:db8::7]:41000", or "unix".
  std::string str() const;
  std::uint16_t port() const;
};

// "host:port", "[v6]:port" or "unix:/path" taken apart; INVALID_ARGUMENT (BAD_ADDRESS) otherwise.
struct Endpoint {
  std::string host;  // or the path
  std::uint16_t port = 0;
  bool is_unix = false;
};
Result<Endpoint> parse_endpoint(std::string_view text);
// For endpoints that need no name service; INVALID_ARGUMENT (BAD_ADDRESS) for a host name.
Result<SocketAddress> numeric_address(const Endpoint& endpoint);

enum class UnixAccess {
  kUmask,  // as the umask says
  kOwner,  // mode 0600, from the first moment that somebody could connect
};
// Binds and listens; a stale unix socket file is replaced. ALREADY_EXISTS (ADDRESS_IN_USE),
// UNAVAILABLE (BIND_FAILED).
Result<Fd> listen_on(const Endpoint& endpoint, UnixAccess access = UnixAccess::kUmask);
SocketAddress local_address(int fd);
SocketAddress peer_address(int fd);
// The user at the other end of a unix socket: who connected or, for a client, who listens. As it was when
// they did (SO_PEERCRED, unix(7)).
Result<std::uint32_t> peer_uid(int fd);

// Begins a connection (PERMISSION_DENIED: the file of a unix socket is not for us); it is up when the socket
// is writable and connect_error() is 0.
Result<Fd> begin_connect(const SocketAddress& address);
int connect_error(int fd);
void set_no_delay(int fd);

// Bytes moved, or -errno; 0 from receive is the end of the stream.
std::ptrdiff_t receive_some(int fd, std::span<std::uint8_t> into);
std::ptrdiff_t send_some(int fd, std::string_view bytes);

}  // namespace berth::rpc::net
