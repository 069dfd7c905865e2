#include "dataplane/dpdk/representors.h"

#include "dataplane/dpdk/port_failed.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <memory>
#include <optional>

#include <fmt/format.h>
#include <rte_ethdev.h>
#include <rte_flow.h>

namespace berth::dataplane::dpdk {
namespace {

bool contains(const RepresentorRange& range, std::uint32_t id) {
  return range.id_base <= id && id <= range.id_end;
}

// Ranges may lie within others; the narrowest says what a port is.
const RepresentorRange* range_of(const std::vector<RepresentorRange>& ranges, std::uint32_t id) {
  const RepresentorRange* narrowest = nullptr;
  for (const RepresentorRange& range : ranges) {
    if (!contains(range, id)) continue;
    const bool is_narrower =
        narrowest == nullptr || range.id_end - range.id_base < narrowest->id_end - narrowest->id_base;
    if (is_narrower) narrowest = &range;
  }
  return narrowest;
}

// Nothing for what is no VF of this PF: scalable functions, the host PF of a DPU, VFs of another PF.
std::optional<std::uint32_t> vf_of(const SwitchFacts& facts, const SwitchPort& port) {
  if (port.domain != facts.uplink.domain) return std::nullopt;
  const RepresentorRange* range = range_of(facts.ranges, port.id);
  if (range == nullptr || range->kind != RepresentorKind::kVf) return std::nullopt;
  if (range->controller != facts.controller || range->pf != facts.pf) return std::nullopt;
  return range->first + (port.id - range->id_base);
}

std::optional<RepresentorKind> kind_of(rte_eth_representor_type type) {
  switch (type) {
    case RTE_ETH_REPRESENTOR_VF:
      return RepresentorKind::kVf;
    case RTE_ETH_REPRESENTOR_SF:
      return RepresentorKind::kSf;
    case RTE_ETH_REPRESENTOR_PF:
      return RepresentorKind::kPf;
    case RTE_ETH_REPRESENTOR_NONE:
      break;
  }
  return std::nullopt;
}

Result<SwitchPort> read_port(std::uint16_t id) {
  rte_eth_dev_info info{};
  if (const int code = rte_eth_dev_info_get(id, &info); code != 0)
    return port_failed(fmt::format("ethdev {}", id), "info", code);
  char name[RTE_ETH_NAME_MAX_LEN] = {};
  if (const int code = rte_eth_dev_get_name_by_port(id, name); code != 0)
    return port_failed(fmt::format("ethdev {}", id), "name", code);
  return SwitchPort{.ethdev_port_id = id,
                    .name = name,
                    .domain = info.switch_info.domain_id,
                    .id = info.switch_info.port_id};
}

// Its ranges are at its end, and there are as many as the driver says when it is asked for none.
Result<void> read_ranges(SwitchFacts& facts) {
  const std::uint16_t id = facts.uplink.ethdev_port_id;
  const int count = rte_eth_representor_info_get(id, nullptr);
  if (count < 0) return port_failed(facts.uplink.name, "representors", count);
  const auto bytes =
      sizeof(rte_eth_representor_info) + static_cast<std::size_t>(count) * sizeof(rte_eth_representor_range);
  const std::unique_ptr<rte_eth_representor_info, decltype(&std::free)> info(
      static_cast<rte_eth_representor_info*>(std::calloc(1, bytes)), &std::free);
  if (info == nullptr) return port_failed(facts.uplink.name, "representors", -ENOMEM);
  info->nb_ranges_alloc = static_cast<std::uint32_t>(count);
  if (const int code = rte_eth_representor_info_get(id, info.get()); code < 0)
    return port_failed(facts.uplink.name, "representors", code);
  facts.controller = info->controller;
  facts.pf = info->pf;
  for (std::uint32_t i = 0; i < info->nb_ranges; ++i) {
    const rte_eth_representor_range& range = info->ranges[i];
    const auto kind = kind_of(range.type);
    if (!kind) continue;
    facts.ranges.push_back({.kind = *kind,
                            .controller = range.controller,
                            .pf = range.pf,
                            .first = static_cast<std::uint32_t>(range.vf),  // a union: of an SF its number
                            .id_base = range.id_base,
                            .id_end = range.id_end});
  }
  return {};
}

}  // namespace

Result<std::vector<std::uint16_t>> find_functions(const SwitchFacts& facts, std::uint16_t count) {
  std::vector<const SwitchPort*> found(count, nullptr);
  for (const SwitchPort& port : facts.ports) {
    const auto vf = vf_of(facts, port);
    if (!vf || *vf >= count) continue;
    if (found[*vf] != nullptr) {
      return fail(Code::kFailedPrecondition, "FUNCTION_AMBIGUOUS",
                  fmt::format("VF {} is behind {} and {}: which one the VMs have cannot be told", *vf,
                              found[*vf]->name, port.name));
    }
    found[*vf] = &port;
  }
  std::vector<std::uint16_t> ids;
  for (std::uint16_t vf = 0; vf < count; ++vf) {
    if (found[vf] == nullptr) {
      return fail(Code::kNotFound, "FUNCTION_MISSING",
                  fmt::format("no ethdev in the switch domain of {} is the representor of VF {}",
                              facts.uplink.name, vf));
    }
    ids.push_back(found[vf]->ethdev_port_id);
  }
  return ids;
}

bool has_ethdev(const std::string& name) {
  std::uint16_t id = 0;
  return rte_eth_dev_get_port_by_name(name.c_str(), &id) == 0;
}

Result<SwitchFacts> read_switch(const std::string& uplink) {
  std::uint16_t id = 0;
  if (const int code = rte_eth_dev_get_port_by_name(uplink.c_str(), &id); code != 0)
    return port_failed(uplink, "no such ethdev", code);
  auto uplink_port = read_port(id);
  if (!uplink_port) return pass(uplink_port);
  std::uint16_t proxy = 0;
  rte_flow_error why{};
  const bool has_domain = uplink_port->domain != RTE_ETH_DEV_SWITCH_DOMAIN_ID_INVALID;
  if (!has_domain || rte_flow_pick_transfer_proxy(id, &proxy, &why) != 0 || proxy != id) {
    return fail(Code::kFailedPrecondition, "NOT_AN_ESWITCH",
                fmt::format("{} takes no rules of an eSwitch{}{}", uplink, why.message != nullptr ? ": " : "",
                            why.message != nullptr ? why.message : ""));
  }
  SwitchFacts facts{.uplink = *std::move(uplink_port)};
  if (auto read = read_ranges(facts); !read) return pass(read);
  std::uint16_t other = 0;
  RTE_ETH_FOREACH_DEV(
      other) {  // those that belong to a driver (what a software eSwitch stands on) are not shown
    auto port = read_port(other);
    if (!port) return pass(port);
    facts.ports.push_back(*std::move(port));
  }
  return facts;
}

}  // namespace berth::dataplane::dpdk
