#include "northbound/attachments.h"

#include "northbound/convert.h"
#include "northbound/trace_context.h"

#include <utility>

namespace berth::northbound {

void Attachments::add_to(rpc::Server& server) {
  const auto method = [](const char* name) { return std::string("berth.northbound.v1.Attachments/") + name; };
  server.unary<v1::AttachVmRequest, v1::Operation>(
      method("AttachVm"), [this](rpc::Context call, v1::AttachVmRequest request) {
        return attach_vm(traceparent_of(call.metadata()), std::move(request));
      });
  server.unary<v1::DetachVmRequest, v1::Operation>(
      method("DetachVm"), [this](rpc::Context call, v1::DetachVmRequest request) {
        return detach_vm(traceparent_of(call.metadata()), std::move(request));
      });
  server.unary<v1::GetAttachmentRequest, v1::Attachment>(
      method("GetAttachment"),
      [this](rpc::Context, v1::GetAttachmentRequest request) { return get_attachment(std::move(request)); });
  server.unary<v1::ListAttachmentsRequest, v1::ListAttachmentsResponse>(
      method("ListAttachments"),
      [this](rpc::Context, v1::ListAttachmentsRequest) { return list_attachments(); });
  server.unary<v1::GetOperationRequest, v1::Operation>(
      method("GetOperation"),
      [this](rpc::Context, v1::GetOperationRequest request) { return get_operation(std::move(request)); });
  server.unary<v1::GetOperationRequest, v1::Operation>(
      method("WaitOperation"),
      [this](rpc::Context, v1::GetOperationRequest request) { return wait_operation(std::move(request)); });
  server.server_stream<v1::WatchOperationsRequest, v1::Operation>(
      method("WatchOperations"),
      [this](rpc::Context, v1::WatchOperationsRequest request, rpc::Writer<v1::Operation> completions) {
        return watch_operations(std::move(request), std::move(completions));
      });
}

Task<v1::Operation> Attachments::attach_vm(std::string traceparent, v1::AttachVmRequest request) {
  auto intent = to_intent(request);
  if (!intent) co_return pass(intent);
  intent->traceparent = std::move(traceparent);
  const auto operation = co_await agent_.attach(*intent);
  if (!operation) co_return pass(operation);
  co_return to_message(*operation);
}

Task<v1::Operation> Attachments::detach_vm(std::string traceparent, v1::DetachVmRequest request) {
  auto id = RequestId::parse("request_id", request.request_id());
  if (!id) co_return pass(id);
  const auto attachment = AttachmentId::parse("attachment", request.attachment());
  if (!attachment) co_return pass(attachment);
  const auto operation = co_await agent_.detach({*std::move(id), *attachment, std::move(traceparent)});
  if (!operation) co_return pass(operation);
  co_return to_message(*operation);
}

Task<v1::Attachment> Attachments::get_attachment(v1::GetAttachmentRequest request) {
  const auto id = AttachmentId::parse("attachment", request.attachment());
  if (!id) co_return pass(id);
  const auto counters = co_await agent_.read_counters(*id);
  const auto attachment = agent_.attachments().get(*id);
  if (!attachment) co_return pass(attachment);
  if (!counters) co_return pass(counters);
  v1::Attachment message = to_message(*attachment);
  *message.mutable_counters() = to_message(*counters);
  co_return message;
}

Task<v1::ListAttachmentsResponse> Attachments::list_attachments() {
  v1::ListAttachmentsResponse response;
  for (const agent::Attachment& attachment : agent_.attachments().list())
    *response.add_attachments() = to_message(attachment);
  co_return response;
}

Task<v1::Operation> Attachments::get_operation(v1::GetOperationRequest request) {
  const auto id = OperationId::parse("operation", request.operation());
  if (!id) co_return pass(id);
  const auto operation = co_await agent_.operations().find(*id);
  if (!operation) co_return pass(operation);
  co_return to_message(*operation);
}

Task<v1::Operation> Attachments::wait_operation(v1::GetOperationRequest request) {
  const auto id = OperationId::parse("operation", request.operation());
  if (!id) co_return pass(id);
  const auto operation = co_await agent_.operations().wait(*id);
  if (!operation) co_return pass(operation);
  co_return to_message(*operation);
}

Task<void> Attachments::watch_operations(v1::WatchOperationsRequest request,
                                         rpc::Writer<v1::Operation> completions) {
  auto& feed = agent_.operations().completions();
  std::uint64_t revision = request.has_after_revision() ? request.after_revision() : feed.latest_revision();
  while (true) {
    const auto operation = co_await feed.next_after(revision);
    if (!operation) co_return pass(operation);
    const auto written = co_await completions.write(to_message(*operation));
    if (!written) co_return pass(written);
    ++revision;
  }
}

}  // namespace berth::northbound
