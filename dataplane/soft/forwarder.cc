#include "dataplane/soft/forwarder.h"

#include "dataplane/soft/encap.h"
#include "dataplane/soft/rewrite.h"

#include <cstring>

#include <rte_cycles.h>
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

// What a mapping usually modifies. Null when it is something else.
const std::uint8_t* only_destination_mac(std::span<const std::uint8_t> packed) {
  const bool is_it =
      packed.size() == 7 && packed[0] == static_cast<std::uint8_t>(ModifyField::kDestinationMac);
  return is_it ? packed.data() + 1 : nullptr;
}

}  // namespace

std::uint32_t Forwarder::run() {
  const Grace::WorkerSection section(rules_.grace());
  if (!is_running_.load(std::memory_order_acquire)) return 0;
  std::uint32_t total = 0;
  now_ = rte_rdtsc();
  std::array<rte_mbuf*, kBurst> packets;
  for (PortIndex index = 0; index < ports_.size(); ++index) {
    SwitchPort& port = *ports_[index];
    const std::uint16_t received = rte_eth_rx_burst(port.backing, 0, packets.data(), kBurst);
    if (received != 0) take_up(index, {packets.data(), received});
    const unsigned from_agent = rte_ring_sc_dequeue_burst(
        port.from_agent.get(), reinterpret_cast<void**>(packets.data()), kBurst, nullptr);
    for (unsigned i = 0; i < from_agent; ++i) send(port, *packets[i]);
    total += received + from_agent;
  }
  for (const auto& port : ports_) flush(*port);
  return total;
}

void Forwarder::stop() {
  is_running_.store(false, std::memory_order_release);
  rules_.wait_for_worker();
}

void Forwarder::drain() {
  for (const auto& port : ports_) {
    for (rte_ring* ring : {port->to_agent.get(), port->from_agent.get()}) {
      void* packet = nullptr;
      while (rte_ring_sc_dequeue(ring, &packet) == 0) rte_pktmbuf_free(static_cast<rte_mbuf*>(packet));
    }
    for (std::uint16_t i = 0; i < port->tx_count; ++i) rte_pktmbuf_free(port->tx[i]);
    port->tx_count = 0;
    port->tx_bytes = 0;
  }
}

void Forwarder::take_up(PortIndex index, std::span<rte_mbuf*> packets) {
  CacheKeys::View view;
  if (cache_ != nullptr) view = rules_.cache_keys().view(index);
  packets = packets.first(prepare(*ports_[index], packets, view.plans));
  if (view.plans != nullptr) find_flows(index, packets, view);
  forward(index, packets, view);
}

// Returns how many packets are left; they stand in front, with their keys beside them.
std::size_t Forwarder::prepare(SwitchPort& port, std::span<rte_mbuf*> packets, const PortPlans* plans) {
  for (const rte_mbuf* packet : packets) rte_prefetch0(rte_pktmbuf_mtod(packet, const void*));
  std::uint64_t bytes = 0;
  std::size_t count = 0;
  for (rte_mbuf* packet : packets) {
    bytes += packet->pkt_len;
    if (packet->ol_flags != 0 && !normalize(packet)) {
      drop_malformed(port, *packet);
      continue;
    }
    FlowCache::Lookup& lookup = lookups_[count];
    packets[count++] = packet;
    if (plans == nullptr) {
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
    if (lookups_[i].blocks != 0) cache_->probe(lookups_[i]);
  }
  for (std::size_t i = 0; i < packets.size(); ++i) {
    FlowCache::Lookup& lookup = lookups_[i];
    if (lookup.blocks == 0) continue;
    const std::uint64_t stamp = Flow::stamp(view.generation, lookup.of, index);
    const FlowCache::Found found = cache_->find(lookup, stamp);
    if (found == FlowCache::Found::kNone) continue;
    if (found == FlowCache::Found::kStale) {
      const std::uint64_t then = lookup.flow->generation();
      parse(rte_pktmbuf_mtod(packets[i], const std::uint8_t*), packets[i]->data_len, index, parsed_);
      if (then < view.plans->since ||
          !rules_.cache_keys().still_holds(index, then, view.generation, parsed_.fields)) {
        lookup.flow = nullptr;
        continue;
      }
      lookup.flow->restamp(stamp);
    }
    for (std::size_t rule = 0; rule < lookup.flow->count(); ++rule) rte_prefetch0(lookup.flow->rule(rule));
  }
}

void Forwarder::forward(PortIndex index, std::span<rte_mbuf*> packets, const CacheKeys::View& view) {
  SwitchPort& port = *ports_[index];
  bool has_new_flows = false;
  for (std::size_t i = 0; i < packets.size();) {
    const Flow* flow = lookups_[i].flow;
    if (flow == nullptr) {
      const bool is_cacheable = view.plans != nullptr && lookups_[i].blocks != 0;
      new_paths_[i] = {};
      walk_groups(index, *packets[i], is_cacheable ? &new_paths_[i] : nullptr);
      has_new_flows = has_new_flows || is_cacheable;
      ++i;
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
  const std::size_t rules = flow.count();
  std::uint64_t bytes = 0;
  for (const rte_mbuf* packet : packets) bytes += packet->pkt_len;
  for (std::size_t i = 0; i < rules; ++i) {
    Rule& rule = *flow.rule(i);
    // Bytes are those of the packet as it reached the rule.
    if (rule.count) rule.counter.add(packets.size(), bytes);
    if (rule.decap) bytes -= packets.size() * shape.inner.l2;
  }
  const Rule& last = *flow.rule(rules - 1);
  // As the packet leaves: behind a decapsulation the inner headers are the outer ones.
  LayerOffsets at = shape.outer;
  std::uint16_t presence = shape.outer_presence;
  if (flow.has(Flow::kDecaps)) {
    at = {0, static_cast<std::uint16_t>(shape.inner.l3 - shape.inner.l2),
          static_cast<std::uint16_t>(shape.inner.l4 - shape.inner.l2)};
    presence = shape.inner_presence;
  }
  for (rte_mbuf* packet : packets) {
    // A frame of the class is longer than what is taken off.
    if (flow.has(Flow::kDecaps)) (void)rte_pktmbuf_adj(packet, shape.inner.l2);
    if (flow.has(Flow::kWrites)) {
      auto* frame = rte_pktmbuf_mtod(packet, std::uint8_t*);
      if (const std::uint8_t* mac = only_destination_mac(last.modifies()); mac != nullptr) {
        std::memcpy(frame, mac, 6);
      } else {
        parsed_.outer = shape.outer;
        parsed_.fields.outer.presence = shape.outer_presence;
        apply_modifies(last.modifies(), frame, parsed_);
      }
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
  leave(*flow.rule(rules - 1), source, packet, parsed_);
}

void Forwarder::walk_groups(PortIndex index, rte_mbuf& packet, FlowPath* path) {
  SwitchPort& source = *ports_[index];
  parse(rte_pktmbuf_mtod(&packet, const std::uint8_t*), packet.data_len, index, parsed_);
  if (parsed_.fields.outer.presence == 0) return drop_malformed(source, packet);
  bool is_cacheable = path != nullptr;
  const auto forget = [&] {
    if (path != nullptr) path->count = 0;
  };
  const Group* group = &rules_.root();
  while (true) {
    Rule* rule = group->find(parsed_.fields);
    if (rule == nullptr) {
      if (is_cacheable) path->is_miss = true;
      return give_to_agent(source, packet);
    }
    const bool has_effect = rule->count || rule->decap || rule->has_extra != 0 || rule->writes_packet != 0 ||
                            rule->fate != Fate::kJump;
    // A colour decides about later matches, so it cannot be replayed.
    const bool colours = rule->has_extra != 0 && !rule->extra().meter_drops_red;
    if (is_cacheable && (colours || (has_effect && !path->append(rule)))) {
      is_cacheable = false;
      forget();
    }
    if (!apply(*rule, source, packet, parsed_)) return forget();
    if (rule->modify_bytes_ != 0 && rule->writes_packet == 0) {
      apply_modifies(rule->modifies(), rte_pktmbuf_mtod(&packet, std::uint8_t*), parsed_);
    }
    if (rule->fate != Fate::kJump) return leave(*rule, source, packet, parsed_);
    group = rule->target.group;
  }
}

bool Forwarder::apply(Rule& rule, SwitchPort& source, rte_mbuf& packet, ParsedPacket& parsed) {
  // Bytes are those of the packet as it reached the rule.
  if (rule.count) rule.counter.add(packet.pkt_len);
  if (rule.has_extra != 0 && !apply_extra(rule.extra(), packet, parsed.fields)) {
    rte_pktmbuf_free(&packet);
    return false;
  }
  if (rule.decap && !pop_encap(packet, parsed)) {
    drop_malformed(source, packet);
    return false;
  }
  if (rule.writes_packet != 0) {
    apply_modifies(rule.modifies(), rte_pktmbuf_mtod(&packet, std::uint8_t*), parsed);
  }
  return true;
}

void Forwarder::leave(const Rule& rule, SwitchPort& source, rte_mbuf& packet, const ParsedPacket& parsed) {
  leave(rule, source, packet, parsed.outer, parsed.fields.outer.presence);
}

void Forwarder::leave(const Rule& rule, SwitchPort& source, rte_mbuf& packet, const LayerOffsets& at,
                      std::uint16_t presence) {
  if (rule.fate == Fate::kDrop) return rte_pktmbuf_free(&packet);
  if (const Encap* encap = rule.target.encap; encap != nullptr) {
    const auto* frame = rte_pktmbuf_mtod(&packet, const std::uint8_t*);
    const std::uint16_t entropy = flow_entropy_port(frame, at, presence);
    if (!push_encap(packet, encap->header, entropy)) return drop_malformed(source, packet);
  }
  send(*ports_[rule.port], packet);
}

bool Forwarder::apply_extra(RuleExtra& extra, const rte_mbuf& packet, FieldVector& fields) const {
  extra.last_hit.store(now_, std::memory_order_relaxed);
  if (extra.shared_count != nullptr) extra.shared_count->counter.add(packet.pkt_len);
  if (extra.meter == nullptr) return true;
  const rte_color color = extra.meter->check(now_, packet.pkt_len);
  if (extra.meter_drops_red) return color != RTE_COLOR_RED;
  fields.color = color;
  return true;
}

void Forwarder::send(SwitchPort& port, rte_mbuf& packet) {
  port.tx_bytes += packet.pkt_len;
  port.tx[port.tx_count++] = &packet;
  if (port.tx_count == kTxBuffer) flush(port);
}

void Forwarder::flush(SwitchPort& port) {
  if (port.tx_count == 0) return;
  const std::uint16_t sent = rte_eth_tx_burst(port.backing, 0, port.tx.data(), port.tx_count);
  for (std::uint16_t i = sent; i < port.tx_count; ++i) {
    port.tx_bytes -= port.tx[i]->pkt_len;
    port.counters.send_dropped.add(port.tx[i]->pkt_len);
    rte_pktmbuf_free(port.tx[i]);
  }
  port.counters.sent.add(sent, port.tx_bytes);
  port.tx_count = 0;
  port.tx_bytes = 0;
}

void Forwarder::give_to_agent(SwitchPort& port, rte_mbuf& packet) {
  const std::uint32_t bytes = packet.pkt_len;
  port.counters.missed.add(bytes);
  if (port.agent_listens.load(std::memory_order_relaxed) &&
      rte_ring_sp_enqueue(port.to_agent.get(), &packet) == 0) {
    return;
  }
  port.counters.miss_dropped.add(bytes);
  rte_pktmbuf_free(&packet);
}

void Forwarder::drop_malformed(SwitchPort& port, rte_mbuf& packet) {
  port.counters.malformed.add(packet.pkt_len);
  rte_pktmbuf_free(&packet);
}

}  // namespace berth::soft
