#include "host/vtep_port.h"

#include <algorithm>
#include <arpa/inet.h>
#include <cerrno>
#include <cstring>
#include <linux/filter.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>

#include <fmt/format.h>

namespace berth::host {

namespace {

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t size = 0;
};

SocketAddress to_socket_address(const IpAddress& ip, std::uint16_t port) {
  SocketAddress address;
  if (ip.is_v4()) {
    auto& v4 = reinterpret_cast<sockaddr_in&>(address.storage);
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    v4.sin_addr.s_addr = htonl(ip.v4_host_order());
    address.size = sizeof v4;
  } else {
    auto& v6 = reinterpret_cast<sockaddr_in6&>(address.storage);
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(port);
    std::ranges::copy(ip.bytes(), v6.sin6_addr.s6_addr);
    address.size = sizeof v6;
  }
  return address;
}

}  // namespace

Result<VtepPort> VtepPort::claim(const IpAddress& vtep, std::uint16_t udp_port) {
  const int socket = ::socket(vtep.is_v4() ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (socket < 0) return fail(Code::kUnavailable, "SOCKET_FAILED", std::strerror(errno));
  VtepPort port(socket);

  sock_filter drop_all[] = {{BPF_RET | BPF_K, 0, 0, 0}};
  const sock_fprog program{.len = 1, .filter = drop_all};
  if (::setsockopt(socket, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) != 0) {
    return fail(Code::kUnavailable, "SOCKET_FAILED", fmt::format("attach filter: {}", std::strerror(errno)));
  }
  const SocketAddress address = to_socket_address(vtep, udp_port);
  if (::bind(socket, reinterpret_cast<const sockaddr*>(&address.storage), address.size) != 0) {
    const std::string why = std::strerror(errno);
    return fail(Code::kFailedPrecondition, "VTEP_PORT_TAKEN",
                fmt::format("UDP port {} of {}: {}", udp_port, vtep, why));
  }
  return port;
}

VtepPort::VtepPort(VtepPort&& other) noexcept : socket_(std::exchange(other.socket_, -1)) {}
VtepPort::~VtepPort() {
  if (socket_ >= 0) ::close(socket_);
}

}  // namespace berth::host
