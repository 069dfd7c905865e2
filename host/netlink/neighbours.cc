#include "host/netlink/neighbours.h"

#include "host/netlink/nl_address.h"
#include "host/netlink/nl_handles.h"

#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <optional>
#include <utility>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <fmt/format.h>
#include <netlink/route/neighbour.h>

namespace berth::host {
namespace {

constexpr int kValidStates = NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE | NUD_PERMANENT | NUD_NOARP;

// Filled by libnl's callback with what an RTM_GETROUTE was answered.
struct RouteAnswer {
  int ifindex = 0;
  std::optional<IpAddress> gateway;
};

int on_route(nl_msg* message, void* argument) {
  auto* answer = static_cast<RouteAnswer*>(argument);  // LIFETIME: find_route's local, alive during recvmsgs
  nlattr* attributes[RTA_MAX + 1] = {};
  if (nlmsg_parse(nlmsg_hdr(message), sizeof(rtmsg), attributes, RTA_MAX, nullptr) < 0) return NL_SKIP;
  if (attributes[RTA_OIF] != nullptr) answer->ifindex = static_cast<int>(nla_get_u32(attributes[RTA_OIF]));
  if (attributes[RTA_GATEWAY] != nullptr) answer->gateway = to_ip_address(attributes[RTA_GATEWAY]);
  return NL_OK;
}

}  // namespace

class Neighbours::Impl {
 public:
  Impl(asio::any_io_executor executor, NlSocket requests, NlSocket events)
      : requests_(std::move(requests)), events_(std::move(events)), readable_(std::move(executor)) {}
  ~Impl() { (void)readable_.release(); }  // the descriptor belongs to events_

  Result<void> watch() {
    nl_socket_disable_seq_check(events_.get());  // notifications carry no sequence of ours
    if (const int code = nl_socket_add_membership(events_.get(), RTNLGRP_NEIGH); code < 0) {
      return nl_fail("join the neighbour group", code);
    }
    if (const int code = nl_socket_set_nonblocking(events_.get()); code < 0)
      return nl_fail("set non-blocking", code);
    boost::system::error_code error;
    readable_.assign(nl_socket_get_fd(events_.get()), error);
    if (error) return fail(Code::kUnavailable, "NETLINK_FAILED", error.message());
    return {};
  }

  Result<NextHop> find_route(const IpAddress& destination) {
    const NlMessage request(nlmsg_alloc_simple(RTM_GETROUTE, NLM_F_REQUEST));
    rtmsg header{};
    header.rtm_family = destination.is_v4() ? AF_INET : AF_INET6;
    header.rtm_dst_len = static_cast<unsigned char>(8 * destination.bytes().size());
    nlmsg_append(request.get(), &header, sizeof header, NLMSG_ALIGNTO);
    nla_put(request.get(), RTA_DST, static_cast<int>(destination.bytes().size()), destination.bytes().data());

    RouteAnswer answer;
    nl_socket_modify_cb(requests_.get(), NL_CB_VALID, NL_CB_CUSTOM, on_route, &answer);
    int code = nl_send_auto(requests_.get(), request.get());
    if (code >= 0) code = nl_recvmsgs_default(requests_.get());
    if (code >= 0) code = nl_wait_for_ack(requests_.get());
    nl_socket_modify_cb(requests_.get(), NL_CB_VALID, NL_CB_DEFAULT, nullptr, nullptr);
    if (code < 0 || answer.ifindex == 0) {
      return fail(Code::kUnavailable, "NO_ROUTE",
                  fmt::format("no route to {}: {}", destination, nl_geterror(code)));
    }
    return NextHop{answer.ifindex, answer.gateway.value_or(destination)};
  }

  Result<std::map<NextHop, MacAddress>> read_table() {
    nl_cache* raw = nullptr;
    if (const int code = rtnl_neigh_alloc_cache(requests_.get(), &raw); code < 0)
      return nl_fail("list neighbours", code);
    const NlCache cache(raw);
    std::map<NextHop, MacAddress> table;
    for (nl_object* object = nl_cache_get_first(raw); object != nullptr; object = nl_cache_get_next(object)) {
      auto* entry = reinterpret_cast<rtnl_neigh*>(object);  // LIFETIME: owned by `cache`; libnl's own idiom
      const auto ip = to_ip_address(rtnl_neigh_get_dst(entry));
      const auto mac = to_mac_address(rtnl_neigh_get_lladdr(entry));
      const bool is_valid = (rtnl_neigh_get_state(entry) & kValidStates) != 0;
      if (ip && mac && is_valid) table.emplace(NextHop{rtnl_neigh_get_ifindex(entry), *ip}, *mac);
    }
    return table;
  }

  Result<void> probe(const NextHop& hop) {
    const NlAddress destination = to_nl_address(hop.ip);
    const std::unique_ptr<rtnl_neigh, void (*)(rtnl_neigh*)> wanted(rtnl_neigh_alloc(), rtnl_neigh_put);
    rtnl_neigh_set_ifindex(wanted.get(), hop.ifindex);
    rtnl_neigh_set_dst(wanted.get(), destination.get());
    rtnl_neigh_set_flags(wanted.get(), NTF_USE);  // "I am about to send": the kernel starts ARP
    if (const int code = rtnl_neigh_add(requests_.get(), wanted.get(), NLM_F_CREATE); code < 0) {
      return nl_fail(fmt::format("probe neighbour {}", hop.ip), code);
    }
    return {};
  }

  Task<void> wait_for_change() {
    const auto [error] = co_await readable_.async_wait(asio::posix::stream_descriptor::wait_read, kAsTuple);
    if (error) co_return fail(Code::kCancelled, "", "cancelled while waiting for neighbours");
    // Only that something changed matters; what is read is dropped. ENOBUFS means more than fits.
    while (nl_recvmsgs_default(events_.get()) >= 0) {
    }
    co_return Result<void>();
  }

 private:
  NlSocket requests_;
  NlSocket events_;
  asio::posix::stream_descriptor readable_;
};

Result<std::unique_ptr<Neighbours>> Neighbours::open(asio::any_io_executor executor) {
  auto requests = open_route_socket();
  if (!requests) return pass(requests);
  auto events = open_route_socket();
  if (!events) return pass(events);
  auto impl = std::make_unique<Impl>(std::move(executor), *std::move(requests), *std::move(events));
  if (auto watching = impl->watch(); !watching) return pass(watching);
  return std::unique_ptr<Neighbours>(new Neighbours(std::move(impl)));
}

Neighbours::Neighbours(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Neighbours::~Neighbours() = default;

Result<NextHop> Neighbours::find_route(const IpAddress& destination) {
  return impl_->find_route(destination);
}
Result<std::map<NextHop, MacAddress>> Neighbours::read_table() {
  return impl_->read_table();
}
Result<void> Neighbours::probe(const NextHop& hop) {
  return impl_->probe(hop);
}
Task<void> Neighbours::wait_for_change() {
  return impl_->wait_for_change();
}

}  // namespace berth::host
