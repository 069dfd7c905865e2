#include "northbound/attachments.h"

#include "northbound/convert.h"
#include "northbound/paging.h"
#include "northbound/read_mask.h"
#include "northbound/trace_context.h"

#include <algorithm>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

namespace berth::northbound {
namespace {

// What would become of an intent that was only asked about.
v1::Operation validated(v1::Operation::Kind kind, const agent::Attachment& would_be) {
  v1::Operation operation;
  operation.set_kind(kind);
  operation.set_done(true);
  v1::Attachment& attachment = *operation.mutable_result();
  attachment = to_message(would_be);
  attachment.clear_etag();
  if (kind != v1::Operation::ATTACH) return operation;
  attachment.clear_state();
  for (v1::AttachedInterface& one : *attachment.mutable_interfaces()) one.clear_port();
  for (v1::Device& one : *attachment.mutable_devices()) one.clear_start_arguments();
  return operation;
}

}  // namespace

void Attachments::add_to(rpc::Server& server) {
  const auto method = [](const char* name) { return std::string("berth.northbound.v1.Attachments/") + name; };
  server.unary<v1::AttachVmRequest, v1::Operation>(
      method("AttachVm"), [this](rpc::Context call, v1::AttachVmRequest request) {
        return attach_vm(traceparent_of(call.metadata()), std::move(request));
      });
  server.unary<v1::UpdateAttachmentRequest, v1::Operation>(
      method("UpdateAttachment"), [this](rpc::Context call, v1::UpdateAttachmentRequest request) {
        return update_attachment(traceparent_of(call.metadata()), std::move(request));
      });
  server.unary<v1::DetachVmRequest, v1::Operation>(
      method("DetachVm"), [this](rpc::Context call, v1::DetachVmRequest request) {
        return detach_vm(traceparent_of(call.metadata()), std::move(request));
      });
  server.unary<v1::GetAttachmentRequest, v1::Attachment>(
      method("GetAttachment"),
      [this](rpc::Context, v1::GetAttachmentRequest request) { return get_attachment(std::move(request)); });
  server.unary<v1::ListAttachmentsRequest, v1::ListAttachmentsResponse>(
      method("ListAttachments"), [this](rpc::Context, v1::ListAttachmentsRequest request) {
        return list_attachments(std::move(request));
      });
  server.unary<v1::GetOperationRequest, v1::Operation>(
      method("GetOperation"),
      [this](rpc::Context, v1::GetOperationRequest request) { return get_operation(std::move(request)); });
  server.unary<v1::ListOperationsRequest, v1::ListOperationsResponse>(
      method("ListOperations"), [this](rpc::Context, v1::ListOperationsRequest request) {
        return list_operations(std::move(request));
      });
  server.unary<v1::CancelOperationRequest, v1::Operation>(
      method("CancelOperation"), [this](rpc::Context, v1::CancelOperationRequest request) {
        return cancel_operation(std::move(request));
      });
  server.unary<v1::GetCapacityRequest, v1::Capacity>(
      method("GetCapacity"), [this](rpc::Context, v1::GetCapacityRequest) { return get_capacity(); });
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
  if (request.validate_only()) {
    const auto would_be = co_await agent_.check(*std::move(intent));
    if (!would_be) co_return pass(would_be);
    co_return validated(v1::Operation::ATTACH, *would_be);
  }
  const auto operation = co_await agent_.attach(*intent);
  if (!operation) co_return pass(operation);
  co_return to_message(*operation);
}

Task<v1::Operation> Attachments::update_attachment(std::string traceparent,
                                                   v1::UpdateAttachmentRequest request) {
  auto intent = to_intent(request);
  if (!intent) co_return pass(intent);
  intent->traceparent = std::move(traceparent);
  if (request.validate_only()) {
    const auto would_be = co_await agent_.check(*std::move(intent));
    if (!would_be) co_return pass(would_be);
    co_return validated(v1::Operation::UPDATE, *would_be);
  }
  const auto operation = co_await agent_.update(*intent);
  if (!operation) co_return pass(operation);
  co_return to_message(*operation);
}

Task<v1::Operation> Attachments::detach_vm(std::string traceparent, v1::DetachVmRequest request) {
  auto id = RequestId::parse("request_id", request.request_id());
  if (!id) co_return pass(id);
  const auto attachment = AttachmentId::parse("attachment", request.attachment());
  if (!attachment) co_return pass(attachment);
  const auto operation =
      co_await agent_.detach({*std::move(id), *attachment, request.etag(), std::move(traceparent)});
  if (!operation) co_return pass(operation);
  co_return to_message(*operation);
}

Task<v1::Attachment> Attachments::get_attachment(v1::GetAttachmentRequest request) {
  const auto id = AttachmentId::parse("attachment", request.attachment());
  if (!id) co_return pass(id);
  const auto mask = ReadMask::parse(request.read_mask());
  if (!mask) co_return pass(mask);
  std::vector<agent::PortCounters> counters;
  if (mask->contains("interfaces.counters")) {
    auto read = co_await agent_.read_counters(*id);
    if (!read) co_return pass(read);
    counters = *std::move(read);
  }
  const auto attachment = agent_.attachments().get(*id);
  if (!attachment) co_return pass(attachment);
  v1::Attachment message = to_message(*attachment);
  for (std::size_t i = 0; i < counters.size(); ++i)
    *message.mutable_interfaces(static_cast<int>(i))->mutable_counters() = to_message(counters[i]);
  mask->apply(message);
  co_return message;
}

Task<v1::ListAttachmentsResponse> Attachments::list_attachments(v1::ListAttachmentsRequest request) {
  const auto mask = ReadMask::parse(request.read_mask());
  if (!mask) co_return pass(mask);
  const auto after = parse_page_token<AttachmentId>(request.page_token());
  if (!after) co_return pass(after);
  const auto is_asked_for = [&](const agent::Attachment& one) {
    const auto is_in = [&](const agent::Interface& interface) {
      return interface.intent.vpc.str() == request.vpc();
    };
    return (request.vm().empty() || one.vm.str() == request.vm()) &&
           (request.vpc().empty() || std::ranges::any_of(one.interfaces, is_in));
  };
  const std::size_t limit = page_size(request.page_size());
  const auto page = agent_.attachments().list_after(*after, limit + 1, is_asked_for);
  v1::ListAttachmentsResponse response;
  for (const agent::Attachment& attachment : page) {
    if (static_cast<std::size_t>(response.attachments_size()) == limit) {
      response.set_next_page_token(page[limit - 1].id.str());
      break;
    }
    v1::Attachment& message = *response.add_attachments();
    message = to_message(attachment);
    mask->apply(message);
  }
  co_return response;
}

// Those that run come first, by id; then those that have ended. One that ends between two pages is among
// these.
Task<v1::ListOperationsResponse> Attachments::list_operations(v1::ListOperationsRequest request) {
  const auto place = OperationPlace::parse(request.page_token());
  if (!place) co_return pass(place);
  AttachmentId of;
  if (!request.attachment().empty()) {
    auto parsed = AttachmentId::parse("attachment", request.attachment());
    if (!parsed) co_return pass(parsed);
    of = *std::move(parsed);
  }
  const std::size_t limit = page_size(request.page_size());
  std::vector<agent::Operation> page;
  if (!place->below_revision) {
    for (agent::Operation& running : agent_.operations().list_running()) {
      if (running.id > place->after_running && (of.empty() || running.attachment == of))
        page.push_back(std::move(running));
    }
  }
  if (page.size() <= limit) {
    auto ended = agent_.operations().list_finished(place->below_revision, limit + 1 - page.size(), of);
    std::ranges::move(ended, std::back_inserter(page));
  }
  v1::ListOperationsResponse response;
  for (std::size_t i = 0; i < std::min(page.size(), limit); ++i)
    *response.add_operations() = to_message(page[i]);
  if (page.size() > limit) response.set_next_page_token(OperationPlace::token_after(page[limit - 1]));
  co_return response;
}

Task<v1::Operation> Attachments::cancel_operation(v1::CancelOperationRequest request) {
  const auto id = OperationId::parse("operation", request.operation());
  if (!id) co_return pass(id);
  const auto operation = co_await agent_.cancel(*id);
  if (!operation) co_return pass(operation);
  co_return to_message(*operation);
}

Task<v1::Capacity> Attachments::get_capacity() {
  const agent::Capacity capacity = agent_.capacity();
  v1::Capacity message;
  message.set_functions_total(static_cast<std::uint32_t>(capacity.functions_total));
  message.set_functions_free(static_cast<std::uint32_t>(capacity.functions_free));
  message.set_functions_quarantined(static_cast<std::uint32_t>(capacity.functions_quarantined));
  message.set_rules_total(capacity.eswitch_total.rules);
  message.set_rules_free(capacity.eswitch_free.rules);
  message.set_counters_total(capacity.eswitch_total.counters);
  message.set_counters_free(capacity.eswitch_free.counters);
  message.set_meters_total(capacity.eswitch_total.meters);
  message.set_meters_free(capacity.eswitch_free.meters);
  message.set_operations_running(static_cast<std::uint32_t>(capacity.operations_running));
  message.set_operations_max(static_cast<std::uint32_t>(capacity.operations_max));
  for (const agent::AddressCapacity& one : capacity.addresses) {
    v1::AddressCapacity& addresses = *message.add_addresses();
    addresses.set_vpc(one.vpc.str());
    addresses.set_subnet(one.subnet.str());
    addresses.set_total(one.total);
    addresses.set_free(one.free);
  }
  co_return message;
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
