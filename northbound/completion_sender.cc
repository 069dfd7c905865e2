#include "northbound/completion_sender.h"

#include "berth/northbound/v1/completions.pb.h"
#include "northbound/convert.h"

#include <chrono>

namespace berth::northbound {
namespace {

constexpr std::chrono::seconds kTimeout{10};

}  // namespace

Task<void> CompletionSender::deliver(agent::Operation ended) {
  v1::DeliverRequest request;
  *request.mutable_operation() = to_message(ended);
  rpc::CallOptions options{.timeout = kTimeout};
  if (!ended.traceparent.empty()) options.metadata.emplace("traceparent", ended.traceparent);
  const auto delivered = co_await channel_.unary<v1::DeliverResponse>(
      "berth.northbound.v1.CompletionReceiver/Deliver", request, std::move(options));
  if (!delivered) co_return pass(delivered);
  co_return Result<void>();
}

}  // namespace berth::northbound
