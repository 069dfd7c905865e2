// The VMaaS's messages to typed intents and back.
#pragma once

#include "agent/agent.h"
#include "berth/northbound/v1/attachments.pb.h"
#include "berth/northbound/v1/inspection.pb.h"

namespace berth::northbound {

// INVALID_ARGUMENT naming every malformed field at once.
Result<agent::AttachIntent> to_intent(const v1::AttachVmRequest& request);
// The same; what update_mask does not name is not looked at.
Result<agent::UpdateIntent> to_intent(const v1::UpdateAttachmentRequest& request);

v1::Attachment to_message(const agent::Attachment& attachment);
v1::Operation to_message(const agent::Operation& operation);
v1::Counters to_message(const agent::PortCounters& counters);

}  // namespace berth::northbound
