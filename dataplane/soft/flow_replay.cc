// The worker's short way: packets of flows that the cache knows (Forwarder's other half).
#include "dataplane/soft/forwarder.h"
#include "dataplane/soft/rewrite.h"

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

}  // namespace

void Forwarder::take_up(PortIndex index, std::span<rte_mbuf*> packets) {
  CacheKeys::View view;
  if (cache_ != nullptr) {
    view = rules_.cache_keys().view(index);
    changes_.catch_up(rules_.cache_keys().journal(), view.generation);
  }
  packets = packets.first(prepare(*ports_[index], packets, view.plans));
  if (view.plans != nullptr) find_flows(index, packets, view);
  forward(index, packets, view);
}

// Returns how many packets are left; they stand in front, with their keys beside them.
std::size_t Forwarder::prepare(SwitchPort& port, std::span<rte_mbuf*> packets, const PortPlans* plans) {
  for (const rte_mbuf* packet : packets) rte_prefetch0(rte_pktmbuf_mtod(packet, const void*));
  const std::uint32_t largest = port.max_frame_bytes.load(std::memory_order_relaxed);
  std::uint64_t bytes = 0;
  std::size_t count = 0;
  for (rte_mbuf* packet : packets) {
    bytes += packet->pkt_len;
    if (packet->ol_flags != 0 && !normalize(packet)) [[unlikely]] {
      drop_malformed(port, *packet);
      continue;
    }
    if (packet->pkt_len > largest) [[unlikely]] {
      port.counters.oversized.add(packet->pkt_len);
      give_to_agent(port, *packet);
      continue;
    }
    FlowCache::Lookup& lookup = lookups_[count];
    packets[count++] = packet;
    if (plans == nullptr) [[unlikely]] {
      lookup.flow = nullptr;
      continue;
    }
    const auto* data = rte_pktmbuf_mtod(packet, const std::uint8_t*);
    const FrameClass of = classify(data, packet->data_len);
    cache_->prepare(data, plans->of_class[of], of, lookup);
  }
  port.counters.received.add(packets.size(), bytes);
  return count;
}

void Forwarder::find_flows(PortIndex index, std::span<rte_mbuf*> packets, const CacheKeys::View& view) {
  for (std::size_t i = 0; i < packets.size(); ++i) {
    cache_->probe(lookups_[i]);
  }
  for (std::size_t i = 0; i < packets.size(); ++i) {
    FlowCache::Lookup& lookup = lookups_[i];
    const std::uint64_t stamp = Flow::stamp(view.generation, lookup.of, index);
    const bool is_known = FlowCache::is_known(lookup, stamp) || cache_->find_other(lookup, stamp);
    if (!is_known || (!lookup.flow->is_stamped(stamp) && !revive(lookup, stamp, *packets[i], view)))
        [[unlikely]] {
      lookup.flow = nullptr;
      continue;
    }
    // Those before the last are other flows' rules, too, and are there already.
    rte_prefetch0(lookup.flow->front[Flow::kRulesInFront - 1]);
  }
}

// Whether no change since a flow was found concerns the packet.
bool Forwarder::revive(const FlowCache::Lookup& lookup, std::uint64_t stamp, const rte_mbuf& packet,
                       const CacheKeys::View& view) {
  const std::uint64_t then = lookup.flow->generation();
  if (then < view.plans->since) return false;  // its key is of other bytes
  const PortIndex port = Flow::port_of(stamp);
  const auto* frame = rte_pktmbuf_mtod(&packet, const std::uint8_t*);
  if (!changes_.spares(port, then, frame, lookup.of)) [[unlikely]] {
    parse(frame, packet.data_len, port, parsed_);
    if (!rules_.cache_keys().still_holds(port, then, view.generation, parsed_.fields)) return false;
  }
  lookup.flow->restamp(stamp);
  return true;
}

// What most packets from a VM meet: rules that count, the last of which sets the MAC and pushes a header.
// Takes the first packet and those of the same flow right behind it; returns how many.
[[gnu::always_inline]] inline std::size_t Forwarder::encapsulate(SwitchPort& source,
                                                                 std::span<rte_mbuf*> packets,
                                                                 const FlowCache::Lookup* lookups) {
  const Flow& flow = *lookups[0].flow;
  const FrameShape& shape = kFrameShapes[lookups[0].of];
  std::size_t count = 0;
  std::uint64_t bytes = 0;
  do {
    bytes += packets[count++]->pkt_len;
  } while (count < packets.size() && lookups[count].flow == &flow);
  // All rules of such a flow are in its front, the last one in its last place.
  const std::size_t rules = flow.count();
  if (rules > 1) flow.front[0]->counter.add(count, bytes);
  if (rules > 2) flow.front[1]->counter.add(count, bytes);
  Rule& last = *flow.front[Flow::kRulesInFront - 1];
  if (last.count) last.counter.add(count, bytes);
  const bool is_ipv4 = (shape.outer_presence & kHasIpv4) != 0;
  const std::uint8_t* mac = last.destination_mac();
  const EncapHeader& header = last.target.encap->header;
  SwitchPort& out = *targets_[last.port];
  for (std::size_t i = 0; i < count; ++i) {
    rte_mbuf& packet = *packets[i];
    auto* frame = rte_pktmbuf_mtod(&packet, std::uint8_t*);
    const std::uint16_t entropy = is_ipv4 ? shape.entropy_port_v4(frame) : shape.entropy_port(frame);
    std::memcpy(frame, mac, 6);
    if (push_encap(packet, header, entropy)) [[likely]] {
      send(out, packet);
    } else {
      drop_malformed(source, packet);
    }
  }
  return count;
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
      i += encapsulate(port, packets.subspan(i), lookups_.data() + i);
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
  Rule& last = *flow.rule(before_last);
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
  const std::size_t rules = flow.count();
  for (std::size_t i = 0; i < rules; ++i) {
    if (!apply(*flow.rule(i), source, packet, parsed_)) return;
  }
  if (flow.has(Flow::kIsMiss)) return give_to_agent(source, packet);
  leave(*flow.rule(rules - 1), source, packet, parsed_.outer, parsed_.fields.outer.presence);
}

}  // namespace berth::soft
