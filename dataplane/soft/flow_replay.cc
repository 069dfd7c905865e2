// The worker's short way: packets of flows that the cache knows (Forwarder's other half).
#include "dataplane/soft/forwarder.h"
#include "dataplane/soft/rewrite.h"

#include <algorithm>
#include <cstring>

#include <rte_ether.h>
#include <rte_prefetch.h>

namespace berth::soft {
namespace {

// What a driver stripped or noted goes back into the frame: rules match what was on the wire. False when
// a tag could not be put back.
bool normalize(rte_mbuf*& packet) {
  const std::uint64_t flags = packet->ol_flags;
  const bool stripped = (flags & RTE_MBUF_F_RX_VLAN_STRIPPED) != 0;
  packet->ol_flags = flags & (RTE_MBUF_F_EXTERNAL | RTE_MBUF_F_INDIRECT);
  return !stripped || rte_vlan_insert(&packet) == 0;
}

void count_all(std::span<Rule* const> rules, std::uint64_t packets, std::uint64_t bytes) {
  for (Rule* rule : rules) {
    if (rule != nullptr) rule->counter.add(packets, bytes);
  }
}

}  // namespace

void Forwarder::take_up(PortIndex index, std::span<rte_mbuf*> packets) {
  CacheKeys::View view;
  if (cache_ != nullptr) {
    view = rules_.cache_keys().view(index);
    changes_.catch_up(rules_.cache_keys().journal(), view.generation);
  }
  packets = packets.first(admit(*ports_[index], packets));
  if (view.plans != nullptr) {
    prepare(packets, *view.plans);
    find_flows(index, packets, view);
  } else {
    for (std::size_t i = 0; i < packets.size(); ++i) lookups_[i].flow = nullptr;
  }
  forward(index, packets, view);
}

// Returns how many packets are left; they stand in front.
std::size_t Forwarder::admit(SwitchPort& port, std::span<rte_mbuf*> packets) {
  const std::uint32_t largest = port.max_frame_bytes.load(std::memory_order_relaxed);
  std::uint64_t bytes = 0;
  std::size_t count = 0;
  for (rte_mbuf* packet : packets) {
    bytes += packet->pkt_len;
    if ((packet->ol_flags != 0 || packet->pkt_len > largest) && !admit_unusual(port, packet, largest))
        [[unlikely]] {
      continue;
    }
    packets[count++] = packet;
  }
  port.counters.received.add(packets.size(), bytes);
  return count;
}

// False when the packet is gone.
bool Forwarder::admit_unusual(SwitchPort& port, rte_mbuf*& packet, std::uint32_t largest) {
  if (packet->ol_flags != 0 && !normalize(packet)) {
    drop_malformed(port, *packet);
    return false;
  }
  if (packet->pkt_len <= largest) return true;
  port.counters.oversized.add(packet->pkt_len);
  give_to_agent(port, *packet);
  return false;
}

void Forwarder::prepare(std::span<rte_mbuf*> packets, const PortPlans& plans) {
  const FlowCache::Places places = cache_->places();
  FlowCache::Lookup* lookup = lookups_.data();
  for (const rte_mbuf* packet : packets) {
    const auto* data = rte_pktmbuf_mtod(packet, const std::uint8_t*);
    const FrameClass of = classify(data, packet->data_len);
    places.prepare(data, plans.of_class[of], of, *lookup++);
  }
}

void Forwarder::find_flows(PortIndex index, std::span<rte_mbuf*> packets, const CacheKeys::View& view) {
  const FlowCache::Places places = cache_->places();
  const std::span lookups = std::span(lookups_).first(packets.size());
  for (FlowCache::Lookup& lookup : lookups) places.probe(lookup);
  const std::uint64_t generation = view.generation;
  const std::uint64_t current = std::max(changes_.epoch(), view.plans->since);
  rte_mbuf* const* packet = packets.data();
  for (FlowCache::Lookup& lookup : lookups) {
    const std::uint64_t stamp = Flow::stamp(generation, lookup.of, index);
    const rte_mbuf& its_packet = **packet++;
    const bool is_known = FlowCache::is_known(lookup, stamp) || cache_->find_other(lookup, stamp);
    if (!is_known || (!lookup.flow->is_since(current) && !revive(lookup, stamp, its_packet, view)))
        [[unlikely]] {
      lookup.flow = nullptr;
      // It may be remembered, when it has found its way.
      changes_.register_flow(index, rte_pktmbuf_mtod(&its_packet, const std::uint8_t*), lookup.of);
      continue;
    }
    // Those before the last are other flows' rules, too, and are there already.
    rte_prefetch0(lookup.flow->last);
  }
}

// Whether no change since a flow was found concerns the packet.
[[gnu::always_inline]] inline bool Forwarder::revive(const FlowCache::Lookup& lookup, std::uint64_t stamp,
                                                     const rte_mbuf& packet, const CacheKeys::View& view) {
  const std::uint64_t then = lookup.flow->generation();
  if (then < view.plans->since) [[unlikely]]
    return false;  // its key is of other bytes
  const auto* frame = rte_pktmbuf_mtod(&packet, const std::uint8_t*);
  if (!changes_.spares(Flow::port_of(stamp), then, frame, lookup.of) &&
      !is_spared_by_each(then, stamp, packet, view)) [[unlikely]] {
    return false;
  }
  lookup.flow->restamp(stamp);
  changes_.register_flow(Flow::port_of(stamp), frame, lookup.of);
  return true;
}

// The same, of one change after the other.
bool Forwarder::is_spared_by_each(std::uint64_t then, std::uint64_t stamp, const rte_mbuf& packet,
                                  const CacheKeys::View& view) {
  const PortIndex port = Flow::port_of(stamp);
  parse(rte_pktmbuf_mtod(&packet, const std::uint8_t*), packet.data_len, port, parsed_);
  return rules_.cache_keys().still_holds(port, then, view.generation, parsed_.fields);
}

// What most packets from a VM meet: rules that count, the last of which sets the MAC and pushes a header.
// Takes the first packets, as long as they are of such flows; returns how many.
std::size_t Forwarder::encapsulate(SwitchPort& source, std::span<rte_mbuf*> packets,
                                   const FlowCache::Lookup* lookup) {
  // Most have the rules before the last one in common: those count once for all packets in a row.
  std::array<Rule*, Flow::kFirstRules> counting = lookup->flow->first;
  std::uint64_t count = 0;
  std::uint64_t bytes = 0;
  SwitchPort* const* const targets = targets_.data();
  std::size_t taken = 0;
  do {
    const Flow& flow = *lookup->flow;
    rte_mbuf& packet = *packets[taken];
    if (flow.first != counting) [[unlikely]] {
      count_all(counting, count, bytes);
      counting = flow.first;
      count = bytes = 0;
    }
    ++count;
    bytes += packet.pkt_len;
    Rule& last = *flow.last;
    last.counter.add(packet.pkt_len);
    auto* frame = rte_pktmbuf_mtod(&packet, std::uint8_t*);
    const std::uint16_t entropy = kFrameShapes[lookup->of].entropy_port(frame);
    std::memcpy(frame, last.destination_mac(), 6);
    if (push_encap(packet, last.target.encap->header, entropy)) [[likely]] {
      send(*targets[last.port], packet);
    } else {
      drop_malformed(source, packet);
    }
    ++lookup;
  } while (++taken < packets.size() && lookup->flow != nullptr && lookup->flow->has(Flow::kIsMapping));
  count_all(counting, count, bytes);
  return taken;
}

void Forwarder::forward(PortIndex index, std::span<rte_mbuf*> packets, const CacheKeys::View& view) {
  SwitchPort& port = *ports_[index];
  bool has_new_flows = false;
  for (std::size_t i = 0; i < packets.size();) {
    const Flow* flow = lookups_[i].flow;
    if (flow == nullptr) [[unlikely]] {
      const bool is_cacheable = view.plans != nullptr && lookups_[i].blocks != 0;
      new_paths_[i] = {};
      walk_groups(index, *packets[i], is_cacheable ? &new_paths_[i] : nullptr);
      has_new_flows = has_new_flows || is_cacheable;
      ++i;
    } else if (flow->has(Flow::kIsMapping)) [[likely]] {
      i += encapsulate(port, packets.subspan(i), &lookups_[i]);
    } else if (flow->has(Flow::kIsSimple)) {
      std::size_t end = i + 1;
      while (end < packets.size() && lookups_[end].flow == flow) ++end;
      follow_together(port, packets.subspan(i, end - i), *flow, lookups_[i].of);
      i = end;
    } else {
      follow(port, *packets[i], *flow, lookups_[i].of);
      ++i;
    }
  }
  if (!has_new_flows) return;
  // Only now: a flow of the burst may lie where a new one is put.
  for (std::size_t i = 0; i < packets.size(); ++i) {
    if (lookups_[i].flow != nullptr || new_paths_[i].count == 0) continue;
    cache_->remember(lookups_[i], Flow::stamp(view.generation, lookups_[i].of, index), new_paths_[i]);
  }
}

void Forwarder::follow_together(SwitchPort& source, std::span<rte_mbuf*> packets, const Flow& flow,
                                FrameClass of) {
  const FrameShape& shape = kFrameShapes[of];
  const std::uint64_t count = packets.size();
  std::uint64_t bytes = 0;
  for (const rte_mbuf* packet : packets) bytes += packet->pkt_len;
  const std::size_t before_last = flow.count() - 1;
  for (std::size_t i = 0; i < before_last; ++i) {
    Rule& rule = *flow.rule(i);
    rule.counter.add(count, bytes);  // of a simple flow, all but the last one count
    if (rule.decap) bytes -= count * shape.inner.l2;
  }
  Rule& last = *flow.last;
  if (last.count) last.counter.add(count, bytes);

  // As the packet leaves: behind a decapsulation the inner headers are the outer ones.
  LayerOffsets at = shape.outer;
  std::uint16_t presence = shape.outer_presence;
  if (flow.has(Flow::kDecaps)) {
    at = {0, static_cast<std::uint16_t>(shape.inner.l3 - shape.inner.l2),
          static_cast<std::uint16_t>(shape.inner.l4 - shape.inner.l2)};
    presence = shape.inner_presence;
    // A frame of the class is longer than what is taken off.
    for (rte_mbuf* packet : packets) (void)rte_pktmbuf_adj(packet, shape.inner.l2);
  }
  for (rte_mbuf* packet : packets) {
    if (flow.has(Flow::kWrites)) {
      parsed_.outer = shape.outer;
      parsed_.fields.outer.presence = shape.outer_presence;
      apply_modifies(last.modifies(), rte_pktmbuf_mtod(packet, std::uint8_t*), parsed_);
    }
    if (flow.has(Flow::kIsMiss)) {
      give_to_agent(source, *packet);
    } else {
      leave(last, source, *packet, at, presence);
    }
  }
}

void Forwarder::follow(SwitchPort& source, rte_mbuf& packet, const Flow& flow, FrameClass of) {
  const FrameShape& shape = kFrameShapes[of];
  parsed_.outer = shape.outer;
  parsed_.inner = shape.inner;
  parsed_.fields.outer.presence = shape.outer_presence;
  parsed_.fields.inner.presence = shape.inner_presence;
  const std::size_t before_last = flow.count() - 1;
  for (std::size_t i = 0; i < before_last; ++i) {
    if (!apply(*flow.rule(i), source, packet, parsed_)) return;
  }
  if (!apply(*flow.last, source, packet, parsed_)) return;
  if (flow.has(Flow::kIsMiss)) return give_to_agent(source, packet);
  leave(*flow.last, source, packet, parsed_.outer, parsed_.fields.outer.presence);
}

}  // namespace berth::soft
