// No TLS: bytes pass as they are. Only for unix sockets, whose kernel says who the other end is.
#pragma once

#include "rpc/net/engine.h"

#include <algorithm>
#include <cassert>
#include <utility>

namespace berth::rpc::net {

class PlainEngine : public Engine {
 public:
  explicit PlainEngine(Peer peer) : peer_(std::move(peer)) {}

  void feed(std::span<const std::uint8_t> received) override {
    assert(input_.empty() && "read() until it returns 0 before the next feed()");
    input_ = received;
  }
  Result<std::size_t> read(std::span<std::uint8_t> plaintext) override {
    const std::size_t count = std::min(plaintext.size(), input_.size());
    std::copy_n(input_.begin(), count, plaintext.begin());
    input_ = input_.subspan(count);
    return count;
  }
  Result<void> write(std::string_view plaintext) override {
    output_.append(plaintext);
    return {};
  }
  void send_close_notify() override {}
  void free_buffers() override {}
  bool is_established() const override { return true; }
  bool is_closed() const override { return false; }
  Peer peer() const override { return peer_; }

 private:
  Peer peer_;
  std::span<const std::uint8_t> input_;
};

}  // namespace berth::rpc::net
