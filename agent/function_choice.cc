#include "agent/function_choice.h"

#include "host/topology/choose.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

namespace berth::agent {

std::vector<host::PciAddress> wanted_near(const AttachIntent& intent, const InterfaceIntent& interface) {
  if (interface.near) return {*interface.near};
  return intent.devices;
}

Result<LeasedFunction> lease_nearest(host::FunctionPool& functions, const host::HostDevices* host_devices,
                                     const std::vector<host::PciAddress>& near) {
  namespace topology = host::topology;
  const auto free = functions.free_vfs();
  if (free.empty() || host_devices == nullptr) {
    auto leased = functions.lease();
    if (!leased) return pass(leased);
    std::string name = fmt::format("vf{}", leased->index);
    return LeasedFunction{*std::move(leased), std::move(name)};
  }
  std::vector<host::PciAddress> sites = near;
  std::vector<topology::FreeFunctions> pfs;
  for (const auto& one : free) {
    sites.push_back(one.pf);
    pfs.push_back({.pf = one.pf, .count = one.count});
  }
  const auto chosen = topology::choose_pf(host_devices->read_places(sites), pfs, near).value();
  const auto next = std::ranges::find(free, chosen.pf, &host::FunctionPool::FreeVfs::pf)->next;
  auto leased = functions.lease(next);
  if (!leased) return pass(leased);
  std::string detail = fmt::format("vf{} of {}", next, chosen.pf);
  if (!near.empty()) detail += ", " + describe(chosen, near);
  return LeasedFunction{*std::move(leased), std::move(detail)};
}

}  // namespace berth::agent
