#include "dataplane/dpdk/injector.h"

#include "dataplane/soft/rte_pmd_berth.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <fmt/format.h>
#include <rte_errno.h>
#include <rte_mbuf.h>

namespace berth::dataplane::dpdk {
namespace {

// Some probes' worth: the eSwitch gives them back within microseconds.
constexpr unsigned kPackets = 511;

std::unexpected<Error> refusal_of(int code) {
  if (code == -ENOTSUP) {
    return fail(Code::kUnimplemented, "PROBE_NOT_SUPPORTED",
                "this eSwitch takes what a port sends from that port alone");
  }
  if (code == -ENOBUFS)
    return fail(Code::kResourceExhausted, "INJECTION_BUSY", "earlier frames still wait for the eSwitch");
  return fail(Code::kUnavailable, "PORT_FAILED", fmt::format("inject: {}", rte_strerror(-code)));
}

}  // namespace

Result<Injector> Injector::make(const std::vector<PortState>& ports) {
  Injector injector;
  injector.ethdev_port_ids_.resize(ports.size());
  for (const PortState& state : ports)
    injector.ethdev_port_ids_.at(state.port.number()) = state.ethdev_port_id;
  injector.packets_ =
      rte_pktmbuf_pool_create("berth_injected", kPackets, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
  if (injector.packets_ != nullptr) return injector;
  return fail(Code::kResourceExhausted, "PORT_FAILED",
              fmt::format("buffers for injected frames: {}", rte_strerror(rte_errno)));
}

Result<void> Injector::inject(std::span<const InjectedFrame> frames) {
  if (auto good = check(frames); !good) return good;
  while (!frames.empty()) {
    const auto is_elsewhere = [&](const InjectedFrame& frame) { return frame.from != frames.front().from; };
    const auto end = std::ranges::find_if(frames, is_elsewhere);
    const auto count = static_cast<std::size_t>(end - frames.begin());
    const std::uint16_t port = ethdev_port_ids_[frames.front().from.number()];
    if (auto injected = inject_from(port, frames.first(count)); !injected) return injected;
    frames = frames.subspan(count);
  }
  return {};
}

Result<void> Injector::check(std::span<const InjectedFrame> frames) const {
  if (frames.size() > kMaxInjectedFrames) {
    return fail(Code::kInvalidArgument, "TOO_MANY_FRAMES",
                fmt::format("{} frames at once, at most {}", frames.size(), kMaxInjectedFrames));
  }
  for (const InjectedFrame& frame : frames) {
    if (frame.from.number() >= ethdev_port_ids_.size())
      return fail(Code::kNotFound, "PORT_UNKNOWN", fmt::format("there is no {}", frame.from));
    if (frame.bytes.size() < kMinInjectedBytes || frame.bytes.size() > kMaxInjectedBytes) {
      return fail(Code::kInvalidArgument, "FRAME_SIZE",
                  fmt::format("a frame of {} bytes, at least {} and at most {}", frame.bytes.size(),
                              kMinInjectedBytes, kMaxInjectedBytes));
    }
  }
  return {};
}

Result<void> Injector::inject_from(std::uint16_t ethdev_port_id, std::span<const InjectedFrame> frames) {
  std::vector<rte_mbuf*> packets(frames.size());
  if (rte_pktmbuf_alloc_bulk(packets_, packets.data(), static_cast<unsigned>(packets.size())) != 0)
    return refusal_of(-ENOBUFS);
  for (std::size_t i = 0; i < frames.size(); ++i) {
    const auto& bytes = frames[i].bytes;
    std::memcpy(rte_pktmbuf_append(packets[i], static_cast<std::uint16_t>(bytes.size())), bytes.data(),
                bytes.size());
  }
  const int failed =
      rte_pmd_berth_inject(ethdev_port_id, packets.data(), static_cast<std::uint16_t>(packets.size()));
  if (failed == 0) return {};
  for (rte_mbuf* packet : packets) rte_pktmbuf_free(packet);
  return refusal_of(failed);
}

}  // namespace berth::dataplane::dpdk
