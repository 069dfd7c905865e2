#include "agent/state_db.h"

#include "agent/attachment_row.h"
#include "agent/row_reader.h"
#include "agent/sqlite.h"
#include "agent/vpc_blob.h"
#include "base/offload.h"

#include <array>
#include <utility>

#include <boost/asio/thread_pool.hpp>
#include <fmt/format.h>

namespace berth::agent {
namespace {

// How each schema is made of the one before it; the first of nothing. STRICT and NOT NULL: a wrong value is
// refused when it is written, not when it is needed.
constexpr std::array<const char*, 2> kSchemas = {R"(
  CREATE TABLE attachments (
    id TEXT PRIMARY KEY NOT NULL, state INTEGER NOT NULL, withdrawn INTEGER NOT NULL,
    function INTEGER NOT NULL, operation TEXT NOT NULL, operation_request TEXT NOT NULL,
    fingerprint TEXT NOT NULL, request TEXT NOT NULL, vm TEXT NOT NULL, vpc TEXT NOT NULL,
    ips TEXT NOT NULL, mac TEXT NOT NULL, mtu INTEGER NOT NULL,
    rate_from_vm INTEGER NOT NULL, rate_to_vm INTEGER NOT NULL) STRICT;
  CREATE TABLE vpcs (id TEXT PRIMARY KEY NOT NULL, vpc BLOB NOT NULL) STRICT;
  CREATE TABLE push (one INTEGER PRIMARY KEY CHECK (one = 1), version INTEGER NOT NULL) STRICT;
  CREATE TABLE next_hops (vtep TEXT PRIMARY KEY NOT NULL, mac TEXT NOT NULL) STRICT;
  PRAGMA user_version = 1;
)",
                                                 R"(
  ALTER TABLE attachments ADD COLUMN generation INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE attachments ADD COLUMN address TEXT NOT NULL DEFAULT '';
  ALTER TABLE attachments ADD COLUMN devices TEXT NOT NULL DEFAULT '';
  CREATE TABLE functions (function INTEGER PRIMARY KEY NOT NULL, generation INTEGER NOT NULL) STRICT;
  PRAGMA user_version = 2;
)"};

// A transaction: rolled back unless committed.
class Transaction {
 public:
  explicit Transaction(SqliteDatabase& database) : database_(database) {}
  ~Transaction() {
    if (is_open_) (void)database_.execute("ROLLBACK");  // why it came to this has been said
  }
  Result<void> begin() {
    auto begun = database_.execute("BEGIN IMMEDIATE");
    is_open_ = begun.has_value();
    return begun;
  }
  Result<void> commit() {
    auto committed = database_.execute("COMMIT");
    is_open_ = !committed;
    return committed;
  }

 private:
  SqliteDatabase& database_;
  bool is_open_ = false;
};

std::filesystem::path file_in(const std::filesystem::path& folder) {
  return folder / "state.db";
}

std::string cure(const std::filesystem::path& folder) {
  return fmt::format(
      "{} cannot be used. Restore it from a backup, or, to begin without any attachment, stop "
      "berth-eswitchd and berthd, move it and its -wal file away, start both, and let VMs be attached again",
      file_in(folder).string());
}

}  // namespace

class StateDb::Impl {
 public:
  explicit Impl(SqliteDatabase opened, std::filesystem::path in)
      : database(std::move(opened)), folder(std::move(in)) {}
  ~Impl() { writer.join(); }

  Result<void> prepare();
  Result<void> read_attachments(SavedState& state);
  Result<void> read_vpcs(SavedState& state);
  Result<void> read_next_hops(SavedState& state);
  Result<void> read_generations(SavedState& state);
  Result<void> save(const SavedAttachment& saved);
  Result<void> erase(const AttachmentId& id, FreedFunction freed);
  Result<void> save_vpcs(const dataplane::VpcSet& vpcs, const std::set<VpcId>& changed,
                         std::uint64_t version);
  Result<void> save_next_hops(const std::map<IpAddress, MacAddress>& next_hops);

  SqliteDatabase database;
  std::filesystem::path folder;
  asio::thread_pool writer{1};
};

StateDb::StateDb() = default;
StateDb::StateDb(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
StateDb::~StateDb() = default;
StateDb::StateDb(StateDb&&) noexcept = default;

Result<StateDb> StateDb::open(const std::filesystem::path& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error)
    return fail(Code::kUnavailable, "STATE_UNWRITABLE",
                fmt::format("{}: {}", folder.string(), error.message()));
  auto database = SqliteDatabase::open(file_in(folder));
  if (!database) return pass(database, file_in(folder).string());
  auto impl = std::make_unique<Impl>(*std::move(database), folder);
  if (auto prepared = impl->prepare(); !prepared) {
    const bool is_corrupt = prepared.error().code == Code::kDataLoss;
    return pass(prepared, is_corrupt ? cure(folder) : file_in(folder).string());
  }
  return StateDb(std::move(impl));
}

Result<void> StateDb::Impl::prepare() {
  // Locked for this process before anything is read; with WAL a commit is one write and one fsync.
  if (auto set = database.execute("PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL;"
                                  "PRAGMA synchronous = FULL; BEGIN IMMEDIATE; COMMIT");
      !set) {
    return set;
  }
  const auto check = database.query_text("PRAGMA quick_check(1)");
  if (!check) return pass(check);
  if (*check != "ok") return fail(Code::kDataLoss, "STATE_CORRUPT", *check);
  const auto schema = database.query_integer("PRAGMA user_version");
  if (!schema) return pass(schema);
  if (*schema < 0 || static_cast<std::size_t>(*schema) > kSchemas.size()) {
    return fail(Code::kFailedPrecondition, "STATE_VERSION",
                fmt::format("its schema is {}, this berthd's is {}", *schema, kSchemas.size()));
  }
  Transaction transaction(database);
  if (auto begun = transaction.begin(); !begun) return begun;
  for (auto next = static_cast<std::size_t>(*schema); next < kSchemas.size(); ++next) {
    if (auto made = database.execute(kSchemas[next]); !made) return made;
  }
  return transaction.commit();
}

Result<SavedState> StateDb::load() {
  SavedState state;
  if (!impl_) return state;
  for (const auto read :
       {&Impl::read_attachments, &Impl::read_vpcs, &Impl::read_next_hops, &Impl::read_generations}) {
    if (const auto done = (*impl_.*read)(state); !done) return pass(done, cure(impl_->folder));
  }
  return state;
}

Result<void> StateDb::Impl::read_attachments(SavedState& state) {
  auto rows = database.prepare(kListAttachments);
  if (!rows) return pass(rows);
  while (true) {
    const auto found = rows->step();
    if (!found) return pass(found);
    if (!*found) return {};
    auto attachment = read_attachment(rows->row());
    if (!attachment) return pass(attachment);
    state.attachments.push_back(*std::move(attachment));
  }
}

Result<void> StateDb::Impl::read_vpcs(SavedState& state) {
  const auto version = database.query_integer("SELECT version FROM push");
  if (!version) return pass(version);
  state.vpcs_version = static_cast<std::uint64_t>(*version);
  auto rows = database.prepare("SELECT vpc FROM vpcs ORDER BY id");
  if (!rows) return pass(rows);
  while (true) {
    const auto found = rows->step();
    if (!found) return pass(found);
    if (!*found) return {};
    auto vpc = parse_vpc_blob(rows->row().bytes(0));
    if (!vpc) return pass(vpc);
    const VpcId id = vpc->id;
    state.vpcs.emplace(id, std::make_shared<const dataplane::Vpc>(*std::move(vpc)));
  }
}

Result<void> StateDb::Impl::read_next_hops(SavedState& state) {
  auto rows = database.prepare("SELECT vtep, mac FROM next_hops");
  if (!rows) return pass(rows);
  while (true) {
    const auto found = rows->step();
    if (!found) return pass(found);
    if (!*found) return {};
    RowReader reader(rows->row());
    const auto vtep = reader.ip();
    state.next_hops.emplace(vtep, reader.mac());
    if (!reader.is_good())
      return fail(Code::kDataLoss, "STATE_CORRUPT", "a next hop's row is not what berthd writes");
  }
}

Result<void> StateDb::Impl::read_generations(SavedState& state) {
  auto rows = database.prepare("SELECT function, generation FROM functions");
  if (!rows) return pass(rows);
  while (true) {
    const auto found = rows->step();
    if (!found) return pass(found);
    if (!*found) return {};
    RowReader reader(rows->row());
    const auto function = reader.number<std::uint16_t>();
    state.generations.emplace(function, reader.number<std::uint64_t>());
    if (!reader.is_good())
      return fail(Code::kDataLoss, "STATE_CORRUPT", "a function's row is not what berthd writes");
  }
}

Task<void> StateDb::save(SavedAttachment attachment) {
  if (!impl_) co_return Result<void>();
  co_return co_await offload(
      impl_->writer.get_executor(),
      [impl = impl_.get(), saved = std::move(attachment)] { return impl->save(saved); });
}

Result<void> StateDb::Impl::save(const SavedAttachment& saved) {
  auto statement = database.prepare(kPutAttachment);
  if (!statement) return pass(statement);
  bind_attachment(*statement, saved);
  return statement->run();
}

Task<void> StateDb::erase(AttachmentId attachment, FreedFunction freed) {
  if (!impl_) co_return Result<void>();
  co_return co_await offload(impl_->writer.get_executor(), [impl = impl_.get(), id = std::move(attachment),
                                                            freed] { return impl->erase(id, freed); });
}

Result<void> StateDb::Impl::erase(const AttachmentId& id, FreedFunction freed) {
  Transaction transaction(database);
  if (auto begun = transaction.begin(); !begun) return begun;
  auto remove = database.prepare("DELETE FROM attachments WHERE id = ?1");
  if (!remove) return pass(remove);
  if (auto removed = remove->bind(id.str()).run(); !removed) return removed;
  auto count = database.prepare("INSERT OR REPLACE INTO functions VALUES (?1, ?2)");
  if (!count) return pass(count);
  count->bind(freed.index).bind(static_cast<std::int64_t>(freed.generation));
  if (auto counted = count->run(); !counted) return counted;
  return transaction.commit();
}

Task<void> StateDb::save_vpcs(std::shared_ptr<const dataplane::VpcSet> vpcs, std::set<VpcId> changed,
                              std::uint64_t version) {
  if (!impl_) co_return Result<void>();
  co_return co_await offload(impl_->writer.get_executor(),
                             [impl = impl_.get(), vpcs = std::move(vpcs), changed = std::move(changed),
                              version] { return impl->save_vpcs(*vpcs, changed, version); });
}

Result<void> StateDb::Impl::save_vpcs(const dataplane::VpcSet& vpcs, const std::set<VpcId>& changed,
                                      std::uint64_t version) {
  Transaction transaction(database);
  if (auto begun = transaction.begin(); !begun) return begun;
  auto put = database.prepare("INSERT OR REPLACE INTO vpcs VALUES (?1, ?2)");
  if (!put) return pass(put);
  auto remove = database.prepare("DELETE FROM vpcs WHERE id = ?1");
  if (!remove) return pass(remove);
  for (const VpcId& id : changed) {
    const auto vpc = vpcs.find(id);
    const bool is_there = vpc != vpcs.end();
    if (is_there) put->bind(id.str()).bind_blob(format_vpc_blob(*vpc->second));
    if (!is_there) remove->bind(id.str());
    if (auto written = is_there ? put->run() : remove->run(); !written) return written;
  }
  auto push = database.prepare("INSERT OR REPLACE INTO push VALUES (1, ?1)");
  if (!push) return pass(push);
  if (auto written = push->bind(static_cast<std::int64_t>(version)).run(); !written) return written;
  return transaction.commit();
}

Task<void> StateDb::save_next_hops(std::map<IpAddress, MacAddress> next_hops) {
  if (!impl_) co_return Result<void>();
  co_return co_await offload(impl_->writer.get_executor(), [impl = impl_.get(), hops = std::move(next_hops)] {
    return impl->save_next_hops(hops);
  });
}

Result<void> StateDb::Impl::save_next_hops(const std::map<IpAddress, MacAddress>& next_hops) {
  Transaction transaction(database);
  if (auto begun = transaction.begin(); !begun) return begun;
  if (auto emptied = database.execute("DELETE FROM next_hops"); !emptied) return emptied;
  auto put = database.prepare("INSERT INTO next_hops VALUES (?1, ?2)");
  if (!put) return pass(put);
  for (const auto& [vtep, mac] : next_hops) {
    if (auto written = put->bind(vtep.str()).bind(mac.str()).run(); !written) return written;
  }
  return transaction.commit();
}

}  // namespace berth::agent
