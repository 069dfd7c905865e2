#include "agent/state_writes.h"

#include "agent/blob.h"
#include "agent/vpc_blob.h"

#include <utility>

namespace berth::agent {

namespace {

// The oldest of very many is forgotten.
Result<void> write_freed_addresses(SqliteDatabase& database, const std::vector<FreedAddress>& freed) {
  if (freed.empty()) return {};
  auto put = database.prepare(
      "INSERT OR REPLACE INTO freed_addresses "
      "VALUES ((SELECT coalesce(max(freed), 0) + 1 FROM freed_addresses), ?1, ?2)");
  if (!put) return pass(put);
  for (const FreedAddress& one : freed) {
    if (auto written = put->bind(one.vpc.str()).bind(one.ip.str()).run(); !written) return written;
  }
  auto forget = database.prepare(
      "DELETE FROM freed_addresses WHERE freed <= (SELECT max(freed) FROM freed_addresses) - ?1");
  if (!forget) return pass(forget);
  return forget->bind(static_cast<std::int64_t>(AddressPool::kMaxFreed)).run();
}

}  // namespace

Result<void> write_attachment(SqliteDatabase& database, const SavedAttachment& saved) {
  auto put = database.prepare("INSERT OR REPLACE INTO attachments VALUES (?1, ?2)");
  if (!put) return pass(put);
  return put->bind(saved.attachment.id.str()).bind_record(format_record(saved)).run();
}

Result<void> erase_attachment(SqliteDatabase& database, const AttachmentId& id, const Freed& freed) {
  auto remove = database.prepare("DELETE FROM attachments WHERE id = ?1");
  if (!remove) return pass(remove);
  if (auto removed = remove->bind(id.str()).run(); !removed) return removed;
  auto count = database.prepare("INSERT OR REPLACE INTO functions VALUES (?1, ?2)");
  if (!count) return pass(count);
  for (const FreedFunction& one : freed.functions) {
    const auto written = count->bind(one.index).bind(static_cast<std::int64_t>(one.generation)).run();
    if (!written) return written;
  }
  return write_freed_addresses(database, freed.addresses);
}

Result<std::uint64_t> write_end(SqliteDatabase& database, const FinishedOperation& finished,
                                const AttachmentEnd& left, bool is_told) {
  const Operation& operation = finished.operation;
  const auto* saved = std::get_if<SavedAttachment>(&left);
  const auto row = saved != nullptr ? write_attachment(database, *saved)
                                    : erase_attachment(database, operation.attachment, std::get<Freed>(left));
  if (!row) return pass(row);
  const auto latest = database.query_integer("SELECT coalesce(max(revision), 0) FROM operations");
  if (!latest) return pass(latest);
  const std::int64_t revision = *latest + 1;
  auto put = database.prepare("INSERT INTO operations VALUES (?1, ?2, ?3, ?4, ?5)");
  if (!put) return pass(put);
  put->bind(revision).bind(operation.id.str()).bind(operation.request.str()).bind(is_told ? 1 : 0);
  if (const auto written = put->bind_record(format_record(finished)).run(); !written) return pass(written);
  auto forget = database.prepare("DELETE FROM operations WHERE revision <= ?1 AND is_told = 1");
  if (!forget) return pass(forget);
  const auto forgotten = forget->bind(revision - static_cast<std::int64_t>(StateDb::kMaxOperations)).run();
  if (!forgotten) return pass(forgotten);
  return static_cast<std::uint64_t>(revision);
}

Result<void> write_vpcs(SqliteDatabase& database, const dataplane::VpcSet& vpcs,
                        const std::set<VpcId>& changed, std::uint64_t version) {
  auto put = database.prepare("INSERT OR REPLACE INTO vpcs VALUES (?1, ?2)");
  if (!put) return pass(put);
  auto remove = database.prepare("DELETE FROM vpcs WHERE id = ?1");
  if (!remove) return pass(remove);
  for (const VpcId& id : changed) {
    const auto vpc = vpcs.find(id);
    const bool is_there = vpc != vpcs.end();
    if (is_there) put->bind(id.str()).bind_record(format_vpc_blob(*vpc->second));
    if (!is_there) remove->bind(id.str());
    if (auto written = is_there ? put->run() : remove->run(); !written) return written;
  }
  auto push = database.prepare("INSERT OR REPLACE INTO push VALUES (1, ?1)");
  if (!push) return pass(push);
  return push->bind(static_cast<std::int64_t>(version)).run();
}

Result<void> write_next_hops(SqliteDatabase& database, const std::map<IpAddress, MacAddress>& next_hops) {
  if (auto emptied = database.execute("DELETE FROM next_hops"); !emptied) return emptied;
  auto put = database.prepare("INSERT INTO next_hops VALUES (?1, ?2)");
  if (!put) return pass(put);
  for (const auto& [vtep, mac] : next_hops) {
    BlobWriter record;
    record.ip(vtep);
    record.mac(mac);
    if (auto written = put->bind(vtep.str()).bind_record(record.take()).run(); !written) return written;
  }
  return {};
}

Result<void> write_boot(SqliteDatabase& database, const std::string& boot,
                        const std::vector<SavedAttachment>& attachments) {
  for (const SavedAttachment& one : attachments) {
    if (auto written = write_attachment(database, one); !written) return written;
  }
  auto put = database.prepare("INSERT OR REPLACE INTO boot VALUES (1, ?1)");
  if (!put) return pass(put);
  return put->bind(boot).run();
}

}  // namespace berth::agent
