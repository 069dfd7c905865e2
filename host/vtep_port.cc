#include "host/vtep_port.h"

#include <arpa/inet.h>
#include <cerrno>
#include <cstring>
#include <linux/filter.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>

#include <fmt/format.h>

namespace berth::host {

Result<VtepPort> VtepPort::claim(const IpAddress& vtep, std::uint16_t udp_port) {
  const int socket = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (socket < 0) return fail(Code::kUnavailable, "SOCKET_FAILED", std::strerror(errno));
  VtepPort port(socket);

  sock_filter drop_all[] = {{BPF_RET | BPF_K, 0, 0, 0}};
  const sock_fprog program{.len = 1, .filter = drop_all};
  if (::setsockopt(socket, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) != 0) {
    return fail(Code::kUnavailable, "SOCKET_FAILED", fmt::format("attach filter: {}", std::strerror(errno)));
  }
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(udp_port);
  address.sin_addr.s_addr = htonl(vtep.v4_host_order());
  if (::bind(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    const std::string why = std::strerror(errno);
    return fail(Code::kFailedPrecondition, "VTEP_PORT_TAKEN",
                fmt::format("UDP {}:{}: {}", vtep, udp_port, why));
  }
  return port;
}

VtepPort::VtepPort(VtepPort&& other) noexcept : socket_(std::exchange(other.socket_, -1)) {}
VtepPort::~VtepPort() {
  if (socket_ >= 0) ::close(socket_);
}

}  // namespace berth::host
