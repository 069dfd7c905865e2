#include "dataplane/soft/forwarder.h"

#include "dataplane/soft/rewrite.h"

#include <rte_cycles.h>

namespace berth::soft {
std::uint32_t Forwarder::run() {
  if (cache_ != nullptr) rules_.cache_keys().prefetch(changes_.seen());
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
  total += take_up_injected();
  for (const auto& port : ports_) flush(*port);
  swallow();
  return total;
}

void Forwarder::start(std::size_t unbacked) {
  targets_.clear();
  for (const auto& port : ports_) targets_.push_back(port.get());
  targets_.insert(targets_.end(), unbacked, &nowhere_);
  is_running_.store(true, std::memory_order_release);
}

bool Forwarder::inject(PortIndex port, std::span<rte_mbuf*> packets) {
  for (rte_mbuf* packet : packets) packet->port = port;
  const auto count = static_cast<unsigned>(packets.size());
  return rte_ring_mp_enqueue_bulk(injected_.get(), reinterpret_cast<void**>(packets.data()), count,
                                  nullptr) == count;
}

// One by one: they may be of different ports.
std::uint32_t Forwarder::take_up_injected() {
  std::array<rte_mbuf*, kBurst> packets;
  const unsigned count =
      rte_ring_sc_dequeue_burst(injected_.get(), reinterpret_cast<void**>(packets.data()), kBurst, nullptr);
  for (unsigned i = 0; i < count; ++i) take_up(packets[i]->port, {&packets[i], 1});
  return count;
}

void Forwarder::stop() {
  is_running_.store(false, std::memory_order_release);
  rules_.wait_for_worker();
}

void Forwarder::drain() {
  const auto empty = [](rte_ring* ring) {
    void* packet = nullptr;
    while (rte_ring_sc_dequeue(ring, &packet) == 0) rte_pktmbuf_free(static_cast<rte_mbuf*>(packet));
  };
  empty(injected_.get());
  for (const auto& port : ports_) {
    empty(port->to_agent.get());
    empty(port->from_agent.get());
    for (std::uint16_t i = 0; i < port->tx_count; ++i) rte_pktmbuf_free(port->tx[i]);
    port->tx_count = 0;
    port->tx_bytes = 0;
  }
}

void Forwarder::walk_groups(PortIndex index, rte_mbuf& packet, FlowPath* path) {
  SwitchPort& source = *ports_[index];
  parse(rte_pktmbuf_mtod(&packet, const std::uint8_t*), packet.data_len, index, parsed_);
  if (parsed_.fields.outer.presence == 0) return drop_malformed(source, packet);
  source.counters.walked.add(packet.pkt_len);
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
    if (rule->fate != Fate::kJump)
      return leave(*rule, source, packet, parsed_.outer, parsed_.fields.outer.presence);
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

bool Forwarder::apply_extra(RuleExtra& extra, const rte_mbuf& packet, FieldVector& fields) const {
  extra.last_hit.store(now_, std::memory_order_relaxed);
  if (extra.shared_count != nullptr) extra.shared_count->counter.add(packet.pkt_len);
  if (extra.meter == nullptr) return true;
  const rte_color color = extra.meter->check(now_, packet.pkt_len);
  if (extra.meter_drops_red) return color != RTE_COLOR_RED;
  fields.color = color;
  return true;
}

void Forwarder::flush(SwitchPort& port) {
  if (port.tx_count == 0) return;
  if (&port == &nowhere_) return swallow();
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

void Forwarder::swallow() {
  for (std::uint16_t i = 0; i < nowhere_.tx_count; ++i) rte_pktmbuf_free(nowhere_.tx[i]);
  ports_[kUplink]->counters.unbacked_dropped.add(nowhere_.tx_count, nowhere_.tx_bytes);
  nowhere_.tx_count = 0;
  nowhere_.tx_bytes = 0;
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
