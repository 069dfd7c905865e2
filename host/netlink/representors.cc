#include "host/netlink/representors.h"

#include <cerrno>
#include <fstream>
#include <utility>

#include <fmt/format.h>

namespace berth::host {

Task<NlAnswer> Representors::ask(Bytes request, std::string what) {
  auto answer = co_await channel_.call(NlProtocol::kRoute, std::move(request), what, kDeadline);
  if (!answer) co_return pass(answer);
  if (answer->error_number == ENODEV)
    co_return fail(Code::kNotFound, "REPRESENTOR_UNKNOWN", fmt::format("{}: {}", what, answer->refusal()));
  if (answer->is_refused())
    co_return fail(Code::kFailedPrecondition, "LINK_REFUSED", fmt::format("{}: {}", what, answer->refusal()));
  co_return std::move(*answer);
}

Task<Link> Representors::read(int ifindex) {
  const auto what = fmt::format("read link {}", ifindex);
  const auto answer = co_await ask(format_link_get(ifindex), what);
  if (!answer) co_return pass(answer);
  const auto link = answer->messages.empty() ? std::nullopt : parse_link(answer->messages.front());
  if (!link) co_return fail(Code::kUnavailable, "NETLINK_FAILED", what + ": the kernel's answer is no link");
  co_return *link;
}

Task<std::vector<Link>> Representors::list(std::string switch_id) {
  const auto answer = co_await ask(format_links_list(), "list links");
  if (!answer) co_return pass(answer);
  std::vector<Link> links;
  for (const Bytes& message : answer->messages) {
    auto link = parse_link(message);
    if (link && link->port && link->switch_id == switch_id) links.push_back(*std::move(link));
  }
  co_return links;
}

Task<Link> Representors::find(std::string switch_id, PortName port) {
  const auto links = co_await list(switch_id);
  if (!links) co_return pass(links);
  for (const Link& link : *links) {
    if (link.port == port) co_return link;
  }
  co_return fail(Code::kNotFound, "REPRESENTOR_UNKNOWN",
                 fmt::format("switch {} has no representor {}", switch_id, port));
}

Task<void> Representors::ensure_up(int ifindex, std::uint32_t mtu_bytes) {
  auto link = co_await read(ifindex);
  if (!link) co_return pass(link);
  if (link->is_up && link->mtu_bytes == mtu_bytes) co_return Result<void>();
  const auto what = fmt::format("set link {} ({}) up with MTU {}", ifindex, link->name, mtu_bytes);
  const LinkChange change{.is_up = true, .mtu_bytes = mtu_bytes};
  const auto answer = co_await ask(format_link_set(ifindex, change), what);
  if (!answer) co_return pass(answer);
  link = co_await read(ifindex);
  if (!link) co_return pass(link);
  if (link->is_up && link->mtu_bytes == mtu_bytes) co_return Result<void>();
  co_return fail(Code::kFailedPrecondition, "LINK_REFUSED", what + ": it reads back different");
}

Task<std::vector<LinkAddress>> Representors::list_addresses(int ifindex) {
  const auto answer = co_await ask(format_addresses_list(), "list addresses");
  if (!answer) co_return pass(answer);
  std::vector<LinkAddress> addresses;
  for (const Bytes& message : answer->messages) {
    const auto address = parse_address(message);
    if (address && address->ifindex == ifindex) addresses.push_back(*address);
  }
  co_return addresses;
}

Result<bool> Representors::disable_ipv6(const std::string& device) const {
  const auto file = root_ / "proc/sys/net/ipv6/conf" / device / "disable_ipv6";
  std::error_code error;
  if (!std::filesystem::exists(root_ / "proc/sys/net/ipv6", error)) return false;  // a kernel without IPv6
  int value = 0;
  if (std::ifstream reader(file); !(reader >> value))
    return fail(Code::kNotFound, "REPRESENTOR_UNKNOWN", fmt::format("cannot read {}", file.string()));
  if (value == 1) return false;
  std::ofstream writer(file);
  writer << "1\n" << std::flush;
  if (!writer)
    return fail(Code::kFailedPrecondition, "LINK_REFUSED", fmt::format("cannot write {}", file.string()));
  return true;
}

Task<std::vector<std::string>> Representors::ensure_hardened(int ifindex) {
  const auto link = co_await read(ifindex);
  if (!link) co_return pass(link);
  std::vector<std::string> undone;
  // IPv6 first: its link-local address goes with it, and none comes back.
  const auto spoke_ipv6 = disable_ipv6(link->name);
  if (!spoke_ipv6) co_return pass(spoke_ipv6);
  if (*spoke_ipv6) undone.emplace_back("IPv6");
  if (link->master != 0) {
    const auto answer = co_await ask(format_link_set(ifindex, {.leaves_master = true}),
                                     fmt::format("take link {} ({}) out of its bridge", ifindex, link->name));
    if (!answer) co_return pass(answer);
    undone.push_back(fmt::format("member of link {}", link->master));
  }
  const auto addresses = co_await list_addresses(ifindex);
  if (!addresses) co_return pass(addresses);
  for (const LinkAddress& address : *addresses) {
    const auto text = fmt::format("address {}/{}", address.ip, address.prefix_length);
    const auto answer = co_await ask(format_address_delete(address), fmt::format("remove {}", text));
    if (!answer) co_return pass(answer);
    undone.push_back(text);
  }
  // A device that was renamed meanwhile had the setting of another one written.
  const auto after = co_await read(ifindex);
  if (!after) co_return pass(after);
  const auto left = co_await list_addresses(ifindex);
  if (!left) co_return pass(left);
  if (after->name != link->name || after->master != 0 || !left->empty()) {
    co_return fail(Code::kUnavailable, "REPRESENTOR_CHANGES",
                   fmt::format("link {} ({}) changes while it is hardened; somebody else manages it", ifindex,
                               after->name));
  }
  co_return undone;
}

}  // namespace berth::host
