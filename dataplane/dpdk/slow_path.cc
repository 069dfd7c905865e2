#include "dataplane/dpdk/slow_path.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <pthread.h>
#include <span>
#include <string>
#include <utility>

#include <fmt/format.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>

namespace berth::dataplane::dpdk {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::uint16_t kBurst = 32;
// A burst a port and nap is 32,000 frames a second: far above what a port is answered, far below what hurts.
constexpr std::chrono::milliseconds kBusyNap{1};
constexpr std::chrono::milliseconds kIdleNap{5};
constexpr std::chrono::seconds kIdleAfter{2};  // longer than the second between two pings

constexpr std::uint16_t kNoMtu = 9216;  // of a port that is nobody's: the largest there is

constexpr unsigned kSmallRepliesBase = 255;
constexpr unsigned kSmallRepliesPerPort = 64;  // a NIC gives sent buffers back by the dozen
constexpr unsigned kLargeReplies = 63;
constexpr std::size_t kSmallReplyBytes = RTE_MBUF_DEFAULT_DATAROOM;

std::vector<PortState> by_number(std::vector<PortState> ports) {
  std::ranges::sort(ports, {}, &PortState::port);
  return ports;
}

}  // namespace

Result<std::unique_ptr<SlowPath>> SlowPath::start(std::vector<PortState> ports, MtuOf mtu,
                                                  slowpath::ResponderLimits limits) {
  std::unique_ptr<SlowPath> made(new SlowPath(by_number(std::move(ports)), mtu, limits));
  if (auto pools = made->make_pools(); !pools) return pass(pools);
  made->thread_ = std::thread([self = made.get()] { self->run(); });
  return made;
}

SlowPath::SlowPath(std::vector<PortState> ports, MtuOf mtu, slowpath::ResponderLimits limits)
    : mtu_(mtu), responder_(ports.size(), limits) {
  for (const PortState& state : ports) ports_.push_back({.state = state});
  const auto is_backed = [](const Port& port) { return !port.state.is_unbacked; };
  backed_count_ = static_cast<std::size_t>(std::ranges::count_if(ports_, is_backed));
}

SlowPath::~SlowPath() {
  stop_ = true;
  if (thread_.joinable()) thread_.join();
}

Result<void> SlowPath::make_pools() {
  static std::atomic<unsigned> instances = 0;  // names of pools are the process's
  const unsigned instance = instances++;
  const auto make = [instance](std::string_view what, unsigned count, std::size_t room) {
    const std::string name = fmt::format("berth_{}_{}", what, instance);
    return rte_pktmbuf_pool_create(name.c_str(), count, 0, 0,
                                   static_cast<std::uint16_t>(RTE_PKTMBUF_HEADROOM + room), SOCKET_ID_ANY);
  };
  const auto small_count = kSmallRepliesBase + kSmallRepliesPerPort * static_cast<unsigned>(backed_count_);
  small_replies_ = make("replies", small_count, kSmallReplyBytes);
  large_replies_ = make("large_replies", kLargeReplies, slowpath::kMaxReplyBytes);
  if (small_replies_ != nullptr && large_replies_ != nullptr) return {};
  return fail(Code::kResourceExhausted, "PORT_FAILED",
              fmt::format("buffers for replies: {}", rte_strerror(rte_errno)));
}

Result<void> SlowPath::set_answers(EswitchPort port, std::optional<PortAnswers> answers) {
  const auto mtu = answers ? answers->mtu_bytes : std::uint32_t{kNoMtu};
  const std::scoped_lock lock(mutex_);
  if (auto set = responder_.set_answers(port, std::move(answers), Clock::now()); !set) return set;
  // What exceeds the MTU then comes here.
  if (mtu_ == MtuOf::kPort && !port.is_uplink() && !ports_[port.number()].state.is_unbacked)
    (void)rte_eth_dev_set_mtu(ports_[port.number()].state.ethdev_port_id, static_cast<std::uint16_t>(mtu));
  return {};
}

std::vector<SlowPathState> SlowPath::read() const {
  const std::scoped_lock lock(mutex_);
  std::vector<SlowPathState> states;
  for (const Port& port : ports_) states.push_back(state_of(port));
  return states;
}

Result<SlowPathState> SlowPath::read(EswitchPort port) const {
  if (port.number() >= ports_.size())
    return fail(Code::kNotFound, "PORT_UNKNOWN", fmt::format("{}: there is no such port", port));
  const std::scoped_lock lock(mutex_);
  return state_of(ports_[port.number()]);
}

// The mutex is the caller's.
SlowPathState SlowPath::state_of(const Port& port) const {
  return {.port = port.state.port,
          .answers = responder_.answers(port.state.port),
          .counters = responder_.counters(port.state.port),
          .undelivered = port.undelivered};
}

void SlowPath::run() {
  (void)pthread_setname_np(pthread_self(), "berth-slowpath");  // 15 characters at most
  auto last_frame = Clock::now();
  while (!stop_.load(std::memory_order_relaxed)) {
    std::size_t taken = 0;
    for (Port& port : std::span(ports_).first(backed_count_)) taken += serve_port(port);
    const auto now = Clock::now();
    if (taken != 0) last_frame = now;
    std::this_thread::sleep_for(now - last_frame < kIdleAfter ? kBusyNap : kIdleNap);
  }
}

std::size_t SlowPath::serve_port(Port& port) {
  std::array<rte_mbuf*, kBurst> frames;
  const std::uint16_t taken = rte_eth_rx_burst(port.state.ethdev_port_id, 0, frames.data(), kBurst);
  for (std::uint16_t i = 0; i < taken; ++i) {
    answer(port, *frames[i]);
    rte_pktmbuf_free(frames[i]);
  }
  advertise(port);
  return taken;
}

void SlowPath::answer(Port& port, const rte_mbuf& frame) {
  // What is longer than any frame that we answer is cut, and then malformed.
  const auto size = std::min<std::uint32_t>(frame.pkt_len, slowpath::kMaxReplyBytes);
  const auto* bytes = static_cast<const std::uint8_t*>(rte_pktmbuf_read(&frame, 0, size, frame_.data()));
  const slowpath::Answer answer = [&] {
    const std::scoped_lock lock(mutex_);
    return responder_.answer(port.state.port, {bytes, size}, Clock::now(), reply_);
  }();
  if (answer.size != 0) send(port, answer.size);
}

void SlowPath::advertise(Port& port) {
  const slowpath::Answer answer = [&] {
    const std::scoped_lock lock(mutex_);
    return responder_.advertise_if_due(port.state.port, Clock::now(), reply_);
  }();
  if (answer.size != 0) send(port, answer.size);
}

void SlowPath::send(Port& port, std::size_t size) {
  rte_mbuf* packet = rte_pktmbuf_alloc(size <= kSmallReplyBytes ? small_replies_ : large_replies_);
  if (packet != nullptr) {
    std::memcpy(rte_pktmbuf_append(packet, static_cast<std::uint16_t>(size)), reply_.data(), size);
    if (rte_eth_tx_burst(port.state.ethdev_port_id, 0, &packet, 1) == 1) return;
    rte_pktmbuf_free(packet);
  }
  const std::scoped_lock lock(mutex_);
  ++port.undelivered;
}

}  // namespace berth::dataplane::dpdk
