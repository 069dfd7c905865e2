#include "rpc/net/socket.h"

#include <arpa/inet.h>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <fmt/format.h>

namespace berth::rpc::net {
namespace {

constexpr int kBacklog = 1024;

std::unexpected<Error> bad_address(std::string_view text, std::string_view why) {
  return fail(Code::kInvalidArgument, "BAD_ADDRESS", fmt::format("address '{}': {}", text, why));
}

// True when nobody listens behind an existing socket file.
bool is_stale(const SocketAddress& address, const std::string& path) {
  struct stat file{};
  if (::lstat(path.c_str(), &file) != 0 || !S_ISSOCK(file.st_mode)) return false;
  const Fd probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  return ::connect(probe.get(), address.get(), address.size) != 0 && errno == ECONNREFUSED;
}

template <typename Query>
SocketAddress query_address(Query query, int fd) {
  SocketAddress address;
  address.size = sizeof(address.storage);
  if (query(fd, reinterpret_cast<sockaddr*>(&address.storage), &address.size) != 0) return {};
  return address;
}

}  // namespace

Fd::~Fd() {
  if (fd_ >= 0) ::close(fd_);
}

std::string SocketAddress::str() const {
  char text[INET6_ADDRSTRLEN] = {};
  if (family() == AF_INET) {
    const auto* v4 = reinterpret_cast<const sockaddr_in*>(&storage);
    return fmt::format("{}:{}", inet_ntop(AF_INET, &v4->sin_addr, text, sizeof(text)), port());
  }
  if (family() == AF_INET6) {
    const auto* v6 = reinterpret_cast<const sockaddr_in6*>(&storage);
    return fmt::format("[{}]:{}", inet_ntop(AF_INET6, &v6->sin6_addr, text, sizeof(text)), port());
  }
  return "unix";
}

std::uint16_t SocketAddress::port() const {
  if (family() == AF_INET) return ntohs(reinterpret_cast<const sockaddr_in*>(&storage)->sin_port);
  if (family() == AF_INET6) return ntohs(reinterpret_cast<const sockaddr_in6*>(&storage)->sin6_port);
  return 0;
}

Result<Endpoint> parse_endpoint(std::string_view text) {
  constexpr std::string_view kUnix = "unix:";
  if (text.starts_with(kUnix)) {
    const std::string_view path = text.substr(kUnix.size());
    if (path.empty() || path.size() >= sizeof(sockaddr_un::sun_path)) {
      return bad_address(text, "the path is empty or too long");
    }
    return Endpoint{.host = std::string(path), .is_unix = true};
  }
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return bad_address(text, "no port");
  std::string_view host = text.substr(0, colon);
  const std::string_view port = text.substr(colon + 1);
  Endpoint endpoint;
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), endpoint.port);
  if (port.empty() || error != std::errc() || end != port.data() + port.size()) {
    return bad_address(text, "bad port");
  }
  if (host.starts_with('[') && host.ends_with(']')) {
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != std::string_view::npos) {
    return bad_address(text, "an IPv6 address must stand in brackets");
  }
  if (host.empty()) return bad_address(text, "no host");
  endpoint.host = host;
  return endpoint;
}

Result<SocketAddress> numeric_address(const Endpoint& endpoint) {
  SocketAddress address;
  if (endpoint.is_unix) {
    auto* path = reinterpret_cast<sockaddr_un*>(&address.storage);
    path->sun_family = AF_UNIX;
    std::memcpy(path->sun_path, endpoint.host.c_str(), endpoint.host.size() + 1);
    address.size = sizeof(sockaddr_un);
    return address;
  }
  auto* v4 = reinterpret_cast<sockaddr_in*>(&address.storage);
  if (inet_pton(AF_INET, endpoint.host.c_str(), &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons(endpoint.port);
    address.size = sizeof(sockaddr_in);
    return address;
  }
  auto* v6 = reinterpret_cast<sockaddr_in6*>(&address.storage);
  if (inet_pton(AF_INET6, endpoint.host.c_str(), &v6->sin6_addr) == 1) {
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(endpoint.port);
    address.size = sizeof(sockaddr_in6);
    return address;
  }
  return bad_address(endpoint.host, "not an IP address");
}

Result<Fd> listen_on(const Endpoint& endpoint, UnixAccess access) {
  const auto address = numeric_address(endpoint);
  if (!address) return std::unexpected(address.error());
  if (endpoint.is_unix && is_stale(*address, endpoint.host)) ::unlink(endpoint.host.c_str());

  Fd fd(::socket(address->family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (fd.get() < 0) return fail(Code::kUnavailable, "BIND_FAILED", std::strerror(errno));
  const int on = 1;
  if (!endpoint.is_unix) ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  // Nobody can connect between bind() and listen().
  if (::bind(fd.get(), address->get(), address->size) == 0 &&
      (access == UnixAccess::kUmask || ::chmod(endpoint.host.c_str(), S_IRUSR | S_IWUSR) == 0) &&
      ::listen(fd.get(), kBacklog) == 0) {
    return fd;
  }
  const int error = errno;
  return fail(error == EADDRINUSE ? Code::kAlreadyExists : Code::kUnavailable,
              error == EADDRINUSE ? "ADDRESS_IN_USE" : "BIND_FAILED",
              fmt::format("listen on {}: {}", endpoint.is_unix ? endpoint.host : address->str(),
                          std::strerror(error)));
}

SocketAddress local_address(int fd) {
  return query_address(::getsockname, fd);
}
SocketAddress peer_address(int fd) {
  return query_address(::getpeername, fd);
}
Result<std::uint32_t> peer_uid(int fd) {
  ucred credentials{};
  socklen_t size = sizeof(credentials);
  if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0)
    return fail(Code::kUnavailable, "NO_CREDENTIALS", std::strerror(errno));
  return credentials.uid;
}

Result<Fd> begin_connect(const SocketAddress& address) {
  Fd fd(::socket(address.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (fd.get() < 0) return fail(Code::kUnavailable, "CONNECT_FAILED", std::strerror(errno));
  if (::connect(fd.get(), address.get(), address.size) == 0 || errno == EINPROGRESS) return fd;
  return fail(errno == EACCES ? Code::kPermissionDenied : Code::kUnavailable, "CONNECT_FAILED",
              fmt::format("{}: {}", address.str(), std::strerror(errno)));
}

int connect_error(int fd) {
  int error = 0;
  socklen_t size = sizeof(error);
  if (::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0) return errno;
  return error;
}

void set_no_delay(int fd) {
  const int on = 1;
  (void)::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));  // fails on unix sockets
}

std::ptrdiff_t receive_some(int fd, std::span<std::uint8_t> into) {
  const auto count = ::recv(fd, into.data(), into.size(), 0);
  return count >= 0 ? count : -errno;
}

std::ptrdiff_t send_some(int fd, std::string_view bytes) {
  const auto count = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  return count >= 0 ? count : -errno;
}

}  // namespace berth::rpc::net
