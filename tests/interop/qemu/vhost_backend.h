// The least vhost-user backend that QEMU's netdev accepts: it answers the questions of its start, nothing
// more, and no packet passes. Source: QEMU docs/interop/vhost-user.rst.
#pragma once

#include <atomic>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <map>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <thread>
#include <unistd.h>

namespace berth::testing {

class VhostBackend {
 public:
  explicit VhostBackend(const std::filesystem::path& path) : path_(path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
    listener_ = ::socket(AF_UNIX, SOCK_STREAM, 0);
    (void)::bind(listener_, reinterpret_cast<const sockaddr*>(&address), sizeof address);
    (void)::listen(listener_, 1);
    thread_ = std::thread([this] { serve(); });
  }
  ~VhostBackend() {
    is_stopping_ = true;
    thread_.join();
    ::close(listener_);
    std::filesystem::remove(path_);
  }
  VhostBackend(const VhostBackend&) = delete;
  VhostBackend& operator=(const VhostBackend&) = delete;

  bool has_client() const { return has_client_; }

 private:
  struct Header {
    std::uint32_t request, flags, size;
  };
  static constexpr std::uint32_t kVersion = 1, kReply = 4;

  bool is_readable(int fd) const {
    pollfd waiting{.fd = fd, .events = POLLIN, .revents = 0};
    return ::poll(&waiting, 1, 20) > 0;
  }
  void serve() {
    while (!is_stopping_) {
      if (!is_readable(listener_)) continue;
      const int client = ::accept(listener_, nullptr, nullptr);
      has_client_ = true;
      while (!is_stopping_ && (!is_readable(client) || answer(client))) {
      }
      ::close(client);
      has_client_ = false;
    }
  }
  // False when the client has gone.
  bool answer(int client) {
    Header header{};
    if (::recv(client, &header, sizeof header, MSG_WAITALL) != sizeof header) return false;
    std::uint8_t payload[4096];
    if (header.size > sizeof payload) return false;
    if (header.size > 0 && ::recv(client, payload, header.size, MSG_WAITALL) != header.size) return false;
    // GET_FEATURES: VIRTIO_F_VERSION_1 and the protocol features; GET_PROTOCOL_FEATURES: none; GET_QUEUE_NUM.
    const std::map<std::uint32_t, std::uint64_t> answers = {
        {1, (1ULL << 32) | (1ULL << 30)}, {15, 0}, {17, 1}};
    const auto found = answers.find(header.request);
    if (found == answers.end()) return true;
    struct {
      Header header;
      std::uint64_t value;
    } __attribute__((packed)) reply{{header.request, kVersion | kReply, 8}, found->second};
    return ::send(client, &reply, sizeof reply, MSG_NOSIGNAL) == sizeof reply;
  }

  std::filesystem::path path_;
  int listener_ = -1;
  std::atomic<bool> is_stopping_ = false;
  std::atomic<bool> has_client_ = false;
  std::thread thread_;
};

}  // namespace berth::testing
