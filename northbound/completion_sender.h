// Delivers completions to the VMaaS's CompletionReceiver: one connection, over mutual TLS, to the first of
// its endpoints that answers.
#pragma once

#include "agent/outbox.h"
#include "rpc/channel.h"

namespace berth::northbound {

class CompletionSender : public agent::CompletionSink {
 public:
  CompletionSender(asio::any_io_executor executor, rpc::ChannelOptions receiver)
      : channel_(std::move(executor), std::move(receiver)) {}

  Task<void> deliver(agent::Operation ended) override;

  // Before the io_context ends.
  asio::awaitable<void> close() { return channel_.close(); }

 private:
  rpc::Channel channel_;
};

}  // namespace berth::northbound
