// The northbound Attachments service: the VMaaS's calls, one method each, straight to the agent.
#pragma once

#include "agent/agent.h"
#include "berth/northbound/v1/attachments.pb.h"
#include "rpc/server.h"

namespace berth::northbound {

class Attachments {
 public:
  // `agent` outlives the service, the service outlives the server that it is added to.
  explicit Attachments(agent::Agent& agent) : agent_(agent) {}

  void add_to(rpc::Server& server);

 private:
  Task<v1::Operation> attach_vm(std::string traceparent, v1::AttachVmRequest request);
  Task<v1::Operation> update_attachment(std::string traceparent, v1::UpdateAttachmentRequest request);
  Task<v1::Operation> detach_vm(std::string traceparent, v1::DetachVmRequest request);
  Task<v1::Attachment> get_attachment(v1::GetAttachmentRequest request);
  Task<v1::ListAttachmentsResponse> list_attachments(v1::ListAttachmentsRequest request);
  Task<v1::Operation> get_operation(v1::GetOperationRequest request);
  Task<v1::ListOperationsResponse> list_operations(v1::ListOperationsRequest request);
  Task<v1::Operation> wait_operation(v1::GetOperationRequest request);
  Task<v1::Operation> cancel_operation(v1::CancelOperationRequest request);
  Task<v1::Capacity> get_capacity();
  Task<void> watch_operations(v1::WatchOperationsRequest request, rpc::Writer<v1::Operation> completions);

  agent::Agent& agent_;
};

}  // namespace berth::northbound
