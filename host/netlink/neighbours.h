// Ethernet addresses of next hops, from the kernel's own routing and neighbour tables. The uplink's
// netdev carries the tunnel address and the kernel does ARP on it, on a ConnectX as on a veth; this
// class asks it to, and hears of every change.
//
// Single-threaded, on the executor it was made with. Not copyable; outlives its tasks.
#pragma once

#include "base/ip_address.h"
#include "base/mac_address.h"
#include "base/task.h"

#include <map>
#include <memory>

#include <boost/asio/any_io_executor.hpp>

namespace berth::host {

struct NextHop {
  int ifindex = 0;
  IpAddress ip;  // a gateway, or the destination itself where it is on the link
  auto operator<=>(const NextHop&) const = default;
};

class Neighbours {
 public:
  // UNAVAILABLE when netlink sockets cannot be opened.
  static Result<std::unique_ptr<Neighbours>> open(asio::any_io_executor executor);
  ~Neighbours();

  // Which way the kernel would send a packet to `destination`. UNAVAILABLE (NO_ROUTE) if none.
  Result<NextHop> find_route(const IpAddress& destination);

  // The addresses that the kernel knows now and would use.
  Result<std::map<NextHop, MacAddress>> read_table();

  // Asks the kernel to find out the address of `hop` (ARP); wait_for_change() tells when it has.
  Result<void> probe(const NextHop& hop);

  // Returns when some entry of the kernel's neighbour table has changed since the last call.
  Task<void> wait_for_change();

 private:
  class Impl;
  explicit Neighbours(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace berth::host
