#include "agent/records.h"

#include "agent/blob.h"
#include "base/fnv.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

namespace berth::agent {
namespace {

// First in every record: other numbers are other formats.
constexpr std::uint8_t kFormat = 4;
// Are read, too.
constexpr std::uint8_t kFormatOfSchema5 = 3;
constexpr std::uint8_t kFormatOfSchema4 = 2;

// Every error code fits a byte.
constexpr auto kLastCode = Code::kHardwareRejected;

template <typename Id>
Id read_id(BlobReader& reader) {
  auto id = Id::parse("id", reader.text());
  if (!id) reader.fail();
  return id ? *std::move(id) : Id();
}

host::PciAddress read_address(BlobReader& reader) {
  const auto address = host::PciAddress::parse("address", reader.text());
  if (!address) reader.fail();
  return address.value_or(host::PciAddress());
}

void write_interface(BlobWriter& writer, const Interface& interface) {
  const InterfaceIntent& intent = interface.intent;
  writer.text(intent.vpc.str());
  writer.list(intent.ips, [&](const IpAddress& ip) { writer.ip(ip); });
  writer.mac(intent.mac);
  writer.number(intent.mtu_bytes);
  writer.number(intent.rates.from_vm);
  writer.number(intent.rates.to_vm);
  writer.number(static_cast<std::uint8_t>(intent.network_class));
  writer.number(interface.function.index);
  writer.text(interface.function.socket);
  writer.number(interface.function.generation);
  writer.mac(interface.function.mac);
  writer.optional(interface.function.address,
                  [&](const host::PciAddress& address) { writer.text(address.str()); });
}

Interface read_interface(BlobReader& reader) {
  Interface interface;
  InterfaceIntent& intent = interface.intent;
  intent.vpc = read_id<VpcId>(reader);
  intent.ips = reader.list<IpAddress>([&] { return reader.ip(); });
  if (intent.ips.empty()) reader.fail();
  intent.mac = reader.mac();
  intent.mtu_bytes = reader.number<std::uint32_t>();
  intent.rates.from_vm = reader.number<std::uint64_t>();
  intent.rates.to_vm = reader.number<std::uint64_t>();
  intent.network_class = reader.choice(NetworkClass::kManagement);
  interface.function.index = reader.number<std::uint16_t>();
  interface.function.socket = reader.text();
  interface.function.generation = reader.number<std::uint64_t>();
  interface.function.mac = reader.mac();
  interface.function.address = reader.optional<host::PciAddress>([&] { return read_address(reader); });
  return interface;
}

void write_error(BlobWriter& writer, const Error& error) {
  writer.number(static_cast<std::uint8_t>(error.code));
  writer.text(error.message);
  writer.text(error.reason);
}

Error read_error(BlobReader& reader) {
  Error error;
  error.code = reader.choice(kLastCode);
  error.message = reader.text();
  error.reason = reader.text();
  return error;
}

// Nothing of a tenant is opened that was not open: half-way attachments begin with a closed gate.
Gate gate_of(AttachmentState state) {
  return state == AttachmentState::kAttached ? Gate::kOpen : Gate::kClosed;
}

// All that the format of schema 4 has.
void write_first_part(BlobWriter& writer, const Attachment& attachment) {
  writer.text(attachment.id.str());
  writer.text(attachment.vm.str());
  writer.list(attachment.interfaces, [&](const Interface& one) { write_interface(writer, one); });
  writer.list(attachment.devices, [&](const host::PciAddress& device) { writer.text(device.str()); });
  writer.number(static_cast<std::uint8_t>(attachment.state));
  writer.number(static_cast<std::uint8_t>(attachment.is_unwanted ? 1 : 0));
  writer.number(static_cast<std::uint8_t>(attachment.is_withdrawn ? 1 : 0));
  writer.optional(attachment.fault, [&](const Error& fault) { write_error(writer, fault); });
}

void write_second_part(BlobWriter& writer, const Attachment& attachment) {
  for (const Interface& one : attachment.interfaces) {
    writer.list(one.intent.policy_groups,
                [&](const dataplane::PolicyGroupId& group) { writer.text(group.str()); });
    writer.number(one.policy_set);
    writer.list(one.intent.allocate, [&](const IpPrefix& subnet) { writer.prefix(subnet); });
    writer.optional(one.intent.near, [&](const host::PciAddress& near) { writer.text(near.str()); });
  }
}

void read_second_part(BlobReader& reader, Interface& interface) {
  auto& groups = interface.intent.policy_groups;
  groups = reader.list<dataplane::PolicyGroupId>([&] { return read_id<dataplane::PolicyGroupId>(reader); });
  interface.policy_set = reader.number<std::uint32_t>();
  if (groups.empty() != (interface.policy_set == 0)) reader.fail();
  interface.intent.allocate = reader.list<IpPrefix>([&] { return reader.prefix(); });
  interface.intent.near = reader.optional<host::PciAddress>([&] { return read_address(reader); });
}

void write_values(BlobWriter& writer, const InterfaceValues& values) {
  writer.number(values.rates.from_vm);
  writer.number(values.rates.to_vm);
  writer.list(values.policy_groups, [&](const dataplane::PolicyGroupId& group) { writer.text(group.str()); });
}

// Policy sets of other values have their numbers in one process only: the next one stages them anew.
InterfaceValues read_values(BlobReader& reader) {
  InterfaceValues values;
  values.rates.from_vm = reader.number<std::uint64_t>();
  values.rates.to_vm = reader.number<std::uint64_t>();
  values.policy_groups =
      reader.list<dataplane::PolicyGroupId>([&] { return read_id<dataplane::PolicyGroupId>(reader); });
  return values;
}

// An update that is half-way. What an update that was kept has replaced, nobody needs.
void write_third_part(BlobWriter& writer, const Attachment& attachment) {
  writer.number(static_cast<std::uint8_t>(attachment.update ? 1 : 0));
  if (!attachment.update) return;
  const bool is_kept = attachment.update->stage == UpdateStage::kKept;
  writer.number(static_cast<std::uint8_t>(is_kept ? 1 : 0));
  writer.number(static_cast<std::uint8_t>(attachment.update->is_unwanted ? 1 : 0));
  for (const Interface& one : attachment.interfaces) {
    writer.optional(is_kept ? std::nullopt : one.other,
                    [&](const InterfaceValues& values) { write_values(writer, values); });
  }
}

void read_third_part(BlobReader& reader, Attachment& attachment) {
  if (reader.number<std::uint8_t>() == 0) return;
  const bool is_kept = reader.number<std::uint8_t>() != 0;
  const bool is_unwanted = reader.number<std::uint8_t>() != 0;
  attachment.update = Update{.stage = is_kept ? UpdateStage::kKept : UpdateStage::kAccepted,
                             .is_unwanted = is_unwanted,
                             .may_be_withdrawn = !is_kept};
  for (Interface& one : attachment.interfaces)
    one.other = reader.optional<InterfaceValues>([&] { return read_values(reader); });
}

void write_attachment(BlobWriter& writer, const Attachment& attachment) {
  write_first_part(writer, attachment);
  write_second_part(writer, attachment);
  write_third_part(writer, attachment);
}

Attachment read_attachment(BlobReader& reader, std::uint8_t format) {
  Attachment attachment;
  attachment.id = read_id<AttachmentId>(reader);
  attachment.vm = read_id<VmId>(reader);
  attachment.interfaces = reader.list<Interface>([&] { return read_interface(reader); });
  if (attachment.interfaces.empty()) reader.fail();
  attachment.devices = reader.list<host::PciAddress>([&] { return read_address(reader); });
  attachment.state = reader.choice(AttachmentState::kRestoring);
  attachment.gate = gate_of(attachment.state);
  attachment.is_unwanted = reader.number<std::uint8_t>() != 0;
  attachment.is_withdrawn = reader.number<std::uint8_t>() != 0;
  attachment.fault = reader.optional<Error>([&] { return read_error(reader); });
  if (format == kFormatOfSchema4) return attachment;
  for (Interface& one : attachment.interfaces) read_second_part(reader, one);
  if (format != kFormatOfSchema5) read_third_part(reader, attachment);
  return attachment;
}

void write_step(BlobWriter& writer, const StepRecord& step) {
  writer.text(step.name);
  writer.number(static_cast<std::uint8_t>(step.status));
  writer.text(step.detail);
  writer.number(static_cast<std::uint64_t>(step.took.count()));
}

StepRecord read_step(BlobReader& reader) {
  StepRecord step;
  step.name = reader.text();
  step.status = reader.choice(StepStatus::kFailed);
  step.detail = reader.text();
  step.took = std::chrono::microseconds(reader.number<std::uint64_t>());
  return step;
}

std::uint8_t read_format(BlobReader& reader) {
  const auto format = reader.number<std::uint8_t>();
  if (format < kFormatOfSchema4 || format > kFormat) reader.fail();
  return format;
}

template <typename Record>
Result<Record> if_whole(const BlobReader& reader, Record record, const char* what) {
  if (reader.is_good() && reader.is_at_end()) return record;
  return fail(Code::kDataLoss, "STATE_CORRUPT", fmt::format("{} is not what berthd writes", what));
}

}  // namespace

std::string etag_of(const Attachment& attachment) {
  BlobWriter writer;
  write_first_part(writer, attachment);
  // Nothing where there are none: the etag of an attachment outlives the format.
  const auto has_more = [](const Interface& one) {
    return !one.intent.policy_groups.empty() || !one.intent.allocate.empty() || one.intent.near;
  };
  if (std::ranges::any_of(attachment.interfaces, has_more)) write_second_part(writer, attachment);
  return fmt::format("{:016x}", fnv1a_64(writer.take()));
}

std::string format_record(const SavedAttachment& saved) {
  BlobWriter writer;
  writer.number(kFormat);
  write_attachment(writer, saved.attachment);
  writer.text(saved.operation.str());
  writer.text(saved.request.str());
  writer.text(saved.fingerprint);
  writer.text(saved.traceparent);
  return writer.take();
}

Result<SavedAttachment> parse_attachment_record(std::string_view bytes) {
  BlobReader reader(bytes);
  const std::uint8_t format = read_format(reader);
  SavedAttachment saved;
  saved.attachment = read_attachment(reader, format);
  saved.operation = read_id<OperationId>(reader);
  saved.request = read_id<RequestId>(reader);
  saved.fingerprint = reader.text();
  saved.traceparent = reader.text();
  return if_whole(reader, std::move(saved), "an attachment's record");
}

std::string format_record(const FinishedOperation& finished) {
  const Operation& operation = finished.operation;
  BlobWriter writer;
  writer.number(kFormat);
  writer.text(operation.id.str());
  writer.number(static_cast<std::uint8_t>(operation.kind));
  writer.text(operation.request.str());
  writer.text(operation.attachment.str());
  writer.text(operation.traceparent);
  writer.list(operation.steps, [&](const StepRecord& step) { write_step(writer, step); });
  writer.optional(operation.error, [&](const Error& error) { write_error(writer, error); });
  writer.number(static_cast<std::uint64_t>(operation.total.count()));
  writer.optional(operation.result, [&](const Attachment& result) { write_attachment(writer, result); });
  writer.text(finished.fingerprint);
  return writer.take();
}

Result<FinishedOperation> parse_operation_record(std::string_view bytes) {
  BlobReader reader(bytes);
  const std::uint8_t format = read_format(reader);
  FinishedOperation finished;
  Operation& operation = finished.operation;
  operation.id = read_id<OperationId>(reader);
  operation.kind = reader.choice(OperationKind::kUpdate);
  operation.request = read_id<RequestId>(reader);
  operation.attachment = read_id<AttachmentId>(reader);
  operation.traceparent = reader.text();
  operation.steps = reader.list<StepRecord>([&] { return read_step(reader); });
  operation.done = true;
  operation.error = reader.optional<Error>([&] { return read_error(reader); });
  operation.total = std::chrono::microseconds(reader.number<std::uint64_t>());
  operation.result = reader.optional<Attachment>([&] { return read_attachment(reader, format); });
  finished.fingerprint = reader.text();
  return if_whole(reader, std::move(finished), "an operation's record");
}

}  // namespace berth::agent
