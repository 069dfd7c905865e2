#include "agent/attachment_row.h"

#include "agent/row_reader.h"

#include <fmt/ranges.h>

namespace berth::agent {

// Columns in the order of read_attachment() and bind_attachment().
const char* const kListAttachments =
    "SELECT id, state, withdrawn, function, generation, address, operation, operation_request, fingerprint, "
    "request, vm, vpc, ips, mac, mtu, rate_from_vm, rate_to_vm, devices FROM attachments ORDER BY "
    "id";
const char* const kPutAttachment =
    "INSERT OR REPLACE INTO attachments (id, state, withdrawn, function, generation, address, operation, "
    "operation_request, fingerprint, request, vm, vpc, ips, mac, mtu, rate_from_vm, rate_to_vm, devices) "
    "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18)";

namespace {

// Nothing of a tenant is opened that was not open: half-way attachments begin with a closed gate.
Gate gate_of(AttachmentState state) {
  return state == AttachmentState::kAttached ? Gate::kOpen : Gate::kClosed;
}

}  // namespace

Result<SavedAttachment> read_attachment(SqliteRow row) {
  RowReader reader(row);
  SavedAttachment saved;
  Attachment& attachment = saved.attachment;
  attachment.id = reader.id<AttachmentId>();
  attachment.state = static_cast<AttachmentState>(
      reader.number<std::uint8_t>(static_cast<std::uint8_t>(AttachmentState::kQuarantined)));
  attachment.gate = gate_of(attachment.state);
  attachment.is_withdrawn = reader.number<std::uint8_t>(1) != 0;
  attachment.function.index = reader.number<std::uint16_t>();
  attachment.function.generation = reader.number<std::uint64_t>();
  attachment.function.address = reader.pci_address();
  saved.operation = reader.id<OperationId>();
  saved.request = RequestId::trusted(reader.text());
  saved.fingerprint = reader.text();
  AttachIntent& intent = attachment.intent;
  intent.request = RequestId::trusted(reader.text());
  intent.vm = reader.id<VmId>();
  intent.vpc = reader.id<VpcId>();
  intent.ips = reader.ips();
  intent.mac = reader.mac();
  intent.mtu_bytes = reader.number<std::uint32_t>();
  intent.rates.from_vm = reader.number<std::uint64_t>();
  intent.rates.to_vm = reader.number<std::uint64_t>();
  intent.devices = reader.pci_addresses();
  if (reader.is_good() && !intent.ips.empty()) return saved;
  return fail(Code::kDataLoss, "STATE_CORRUPT", "an attachment's row is not what berthd writes");
}

void bind_attachment(SqliteStatement& statement, const SavedAttachment& saved) {
  const Attachment& attachment = saved.attachment;
  const AttachIntent& intent = attachment.intent;
  statement.bind(attachment.id.str())
      .bind(static_cast<std::int64_t>(attachment.state))
      .bind(attachment.is_withdrawn ? 1 : 0)
      .bind(attachment.function.index)
      .bind(static_cast<std::int64_t>(attachment.function.generation))
      .bind(attachment.function.address ? attachment.function.address->str() : "")
      .bind(saved.operation.str())
      .bind(saved.request.str())
      .bind(saved.fingerprint)
      .bind(intent.request.str())
      .bind(intent.vm.str())
      .bind(intent.vpc.str())
      .bind(fmt::format("{}", fmt::join(intent.ips, ",")))
      .bind(intent.mac.str())
      .bind(intent.mtu_bytes)
      .bind(static_cast<std::int64_t>(intent.rates.from_vm))
      .bind(static_cast<std::int64_t>(intent.rates.to_vm))
      .bind(fmt::format("{}", fmt::join(intent.devices, ",")));
}

}  // namespace berth::agent
