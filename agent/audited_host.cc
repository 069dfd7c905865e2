#include "agent/audited_host.h"

#include "agent/device_steps.h"
#include "agent/interface_steps.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace berth::agent {

Task<std::vector<std::string>> AuditedHost::check(std::vector<Attachment> attachments) {
  std::vector<std::string> all;
  for (const Attachment& attachment : attachments) {
    if (!is_settled(attachment.id)) continue;
    auto lines = co_await look_at(attachment);
    if (!lines && lines.error().code == Code::kUnavailable) continue;
    if (!lines) co_return pass(lines, attachment.id.str());
    // What an operation that has begun meanwhile does, is no drift.
    if (is_settled(attachment.id)) std::ranges::move(*lines, std::back_inserter(all));
  }
  co_return all;
}

Task<void> AuditedHost::repair(std::vector<Attachment> attachments) {
  Result<void> first_refusal;
  for (const Attachment& attachment : attachments) {
    if (!is_settled(attachment.id)) continue;
    const auto lines = co_await look_at(attachment);
    if (lines && lines->empty()) continue;
    const auto repaired = co_await put_right(attachment);
    if (!repaired && first_refusal) first_refusal = pass(repaired, attachment.id.str());
  }
  co_return first_refusal;
}

Task<std::vector<std::string>> AuditedHost::look_at(Attachment attachment) {
  std::vector<std::string> all;
  for (const Interface& one : attachment.interfaces) {
    auto lines = co_await driver_.find_drift(prepare_args(one), attachment.vm);
    if (!lines) co_return lines;
    std::ranges::move(*lines, std::back_inserter(all));
  }
  for (std::size_t i = 0; i < attachment.devices.size() && passthrough_ != nullptr; ++i) {
    auto lines = co_await passthrough_->find_drift(vm_device(attachment, i), attachment.vm);
    if (!lines) co_return lines;
    std::ranges::move(*lines, std::back_inserter(all));
  }
  co_return all;
}

Task<void> AuditedHost::put_right(Attachment attachment) {
  auto place = turns_.queue_up_again(attachment.interfaces.front().intent.vpc, attachment.vm);
  const auto turn = co_await place.wait_for_turn();
  if (!turn) co_return turn;
  if (!is_settled(attachment.id)) co_return Result<void>();
  for (const Interface& one : attachment.interfaces) {
    const auto repaired = co_await driver_.repair(prepare_args(one), attachment.vm);
    if (!repaired) co_return repaired;
  }
  for (std::size_t i = 0; i < attachment.devices.size() && passthrough_ != nullptr; ++i) {
    const auto repaired = co_await passthrough_->repair(vm_device(attachment, i), attachment.vm);
    if (!repaired) co_return repaired;
  }
  co_return Result<void>();
}

bool AuditedHost::is_settled(const AttachmentId& id) const {
  const Attachment* attachment = attachments_.find(id);
  return attachment != nullptr && attachment->state == AttachmentState::kAttached &&
         !attachment->has_operation;
}

}  // namespace berth::agent
