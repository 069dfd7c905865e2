// The representors of an eSwitch: the host's end of each function, found by what they are (the switch and the
// port's name) and never by how they are called, since udev renames them while one looks.
//
// While no rule holder runs, a VF's packets come out of its representor, into the host. A *hardened* one lets
// them end there: it belongs to no bridge, has no address, and the kernel speaks no IPv6 on it.
#pragma once

#include "host/netlink/link_messages.h"
#include "host/netlink/netlink_channel.h"

#include <chrono>
#include <filesystem>
#include <vector>

namespace berth::host {

class Representors {
 public:
  static constexpr std::chrono::milliseconds kDeadline = std::chrono::seconds(10);

  // `root`: of the file system that has /proc/sys; tests have one of their own.
  explicit Representors(NetlinkChannel& channel, std::filesystem::path root = "/")
      : channel_(channel), root_(std::move(root)) {}

  // All errors: UNAVAILABLE (NETLINK_FAILED and what NetlinkChannel::call() says); NOT_FOUND
  // (REPRESENTOR_UNKNOWN), FAILED_PRECONDITION (LINK_REFUSED).

  Task<Link> read(int ifindex);
  // Ports of this switch only (Link::switch_id of any of them).
  Task<std::vector<Link>> list(std::string switch_id);
  Task<Link> find(std::string switch_id, PortName port);

  // Up, with this MTU; read back. A VF has no link before its representor is up.
  Task<void> ensure_up(int ifindex, std::uint32_t mtu_bytes);

  // Returns what had to be undone, "member of link 7", "address 10.0.0.1/24": somebody else manages this
  // device, which is worth telling. Idempotent: nothing the second time, unless it came back.
  Task<std::vector<std::string>> ensure_hardened(int ifindex);

 private:
  Task<NlAnswer> ask(Bytes request, std::string what);
  Task<std::vector<LinkAddress>> list_addresses(int ifindex);
  Result<bool> disable_ipv6(const std::string& device) const;  // true: it was enabled

  NetlinkChannel& channel_;
  std::filesystem::path root_;
};

}  // namespace berth::host
