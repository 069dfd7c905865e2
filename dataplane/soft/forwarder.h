// The worker: takes packets from every port, runs them through the rules, sends them on.
//
// `run` is one iteration and is called by one thread at a time (the service component sees to that). It
// touches rules only inside a Grace::WorkerSection, takes no lock and allocates nothing.
#pragma once

#include "dataplane/soft/change_filter.h"
#include "dataplane/soft/encap.h"
#include "dataplane/soft/encap_pool.h"
#include "dataplane/soft/flow_cache.h"
#include "dataplane/soft/flow_entropy.h"
#include "dataplane/soft/parser.h"
#include "dataplane/soft/rule_book.h"
#include "dataplane/soft/switch_port.h"

#include <array>
#include <atomic>
#include <memory>
#include <span>
#include <vector>

namespace berth::soft {

class Forwarder {
 public:
  using Ports = std::vector<std::unique_ptr<SwitchPort>>;

  // `cached_flows` of 0 means no flow cache.
  Forwarder(RuleBook& rules, Ports& ports, std::uint32_t cached_flows) : rules_(rules), ports_(ports) {
    if (cached_flows != 0) cache_ = std::make_unique<FlowCache>(cached_flows);
  }

  // One round over all ports. Returns the number of packets that were taken up.
  std::uint32_t run();

  // After `stop` returns the worker is out of its iteration and touches no port until `start`. Behind the
  // ports come as many `unbacked` ones, which swallow what is sent to them.
  void start(std::size_t unbacked);
  void stop();

  // Frees what is still in rings and buffers; only while stopped.
  void drain();

  // Packets for inject(), from any thread to the worker. Before the first run().
  void set_injected(Ring ring) { injected_ = std::move(ring); }
  // All of them or, when there is no room, none: the worker takes them up as if they had come from the port.
  bool inject(PortIndex port, std::span<rte_mbuf*> packets);

 private:
  // Stages of a burst, so that what one packet needs is loaded while another is worked on: keys, flows that
  // they may be, flows that they are, then what the rules want.
  void take_up(PortIndex index, std::span<rte_mbuf*> packets);
  std::uint32_t take_up_injected();
  std::size_t admit(SwitchPort& port, std::span<rte_mbuf*> packets);
  [[gnu::noinline]] static bool admit_unusual(SwitchPort& port, rte_mbuf*& packet, std::uint32_t largest);
  void prepare(std::span<rte_mbuf*> packets, const PortPlans& plans);
  void find_flows(PortIndex index, std::span<rte_mbuf*> packets, const CacheKeys::View& view);
  bool revive(const FlowCache::Lookup& lookup, std::uint64_t stamp, const rte_mbuf& packet,
              const CacheKeys::View& view);
  [[gnu::noinline]] bool is_spared_by_each(std::uint64_t then, std::uint64_t stamp, const rte_mbuf& packet,
                                           const CacheKeys::View& view);
  void forward(PortIndex index, std::span<rte_mbuf*> packets, const CacheKeys::View& view);

  // Packets of one simple flow (flow_cache.h), one after the other in the burst.
  void follow_together(SwitchPort& source, std::span<rte_mbuf*> packets, const Flow& flow, FrameClass of);
  std::size_t encapsulate(SwitchPort& source, std::span<rte_mbuf*> packets, const FlowCache::Lookup* lookup);
  void follow(SwitchPort& source, rte_mbuf& packet, const Flow& flow, FrameClass of);
  // The long way, through the groups. `path` is null when there is nothing to remember it by.
  void walk_groups(PortIndex index, rte_mbuf& packet, FlowPath* path);
  // What a rule does short of its fate. False when the packet is gone.
  bool apply(Rule& rule, SwitchPort& source, rte_mbuf& packet, ParsedPacket& parsed);
  // The fate of a packet that has headers at these places.
  void leave(const Rule& rule, SwitchPort& source, rte_mbuf& packet, const LayerOffsets& at,
             std::uint16_t presence) {
    if (rule.fate == Fate::kDrop) return rte_pktmbuf_free(&packet);
    if (const Encap* encap = rule.target.encap; encap != nullptr) {
      const auto* frame = rte_pktmbuf_mtod(&packet, const std::uint8_t*);
      const std::uint16_t entropy = flow_entropy_port(frame, at, presence);
      if (!push_encap(packet, encap->header, entropy)) return drop_malformed(source, packet);
    }
    send(*targets_[rule.port], packet);
  }
  // Age, meter and shared counter of a rule. False when the meter drops the packet.
  bool apply_extra(RuleExtra& extra, const rte_mbuf& packet, FieldVector& fields) const;
  void send(SwitchPort& port, rte_mbuf& packet) {
    port.tx_bytes += packet.pkt_len;
    port.tx[port.tx_count++] = &packet;
    if (port.tx_count == kTxBuffer) [[unlikely]]
      flush(port);
  }
  void flush(SwitchPort& port);
  void swallow();
  static void give_to_agent(SwitchPort& port, rte_mbuf& packet);
  static void drop_malformed(SwitchPort& port, rte_mbuf& packet);

  RuleBook& rules_;
  Ports& ports_;
  SwitchPort nowhere_;                // every unbacked port
  std::vector<SwitchPort*> targets_;  // by PortIndex; `ports_`, then unbacked ones
  Ring injected_;                     // rte_mbuf::port is the index of the port
  std::atomic<bool> is_running_ = false;
  std::uint64_t now_ = 0;  // TSC of this iteration
  std::unique_ptr<FlowCache> cache_;
  ChangeFilter changes_;

  // Of the burst at hand.
  std::array<FlowCache::Lookup, kBurst> lookups_{};
  std::array<FlowPath, kBurst> new_paths_{};
  ParsedPacket parsed_{};  // of the packet at hand; only offsets and presence when its flow is known
};

}  // namespace berth::soft
