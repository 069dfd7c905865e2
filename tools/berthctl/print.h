// What berthctl shows: tables for people, one JSON object a line for programs.
#pragma once

#include "berth/northbound/v1/attachments.pb.h"
#include "berth/northbound/v1/inspection.pb.h"

namespace berth::ctl {

enum class Format { kText, kJson };

void print_operation(const northbound::v1::Operation& operation, Format format);
void print_attachment(const northbound::v1::Attachment& attachment, Format format);
void print_attachments(const northbound::v1::ListAttachmentsResponse& list, Format format);
void print_capacity(const northbound::v1::Capacity& capacity, Format format);
// One line a completion.
void print_completion(const northbound::v1::Operation& operation, Format format);
void print_rule(const northbound::v1::HeldRule& rule, Format format);
void print_explanation(const northbound::v1::ExplainResponse& explained, Format format);
void print_audit(const northbound::v1::ShowAuditResponse& audit, Format format);
void print_vpcs(const northbound::v1::ShowVpcsResponse& vpcs, Format format);

}  // namespace berth::ctl
