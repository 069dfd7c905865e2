#include "agent/state_db.h"

#include "agent/blob.h"
#include "agent/group_commit.h"
#include "agent/sqlite.h"
#include "agent/state_writes.h"
#include "agent/vpc_blob.h"
#include "agent/wal_check.h"

#include <cassert>
#include <fstream>
#include <functional>
#include <iterator>
#include <utility>

namespace berth::agent {
namespace {

constexpr int kSchema = 6;
// Files of these schemas have rows of an older format, too: they are read as they are (records.h,
// vpc_blob.h).
constexpr int kSchemaWithoutUpdates = 5;
constexpr int kSchemaWithoutGroups = 4;
constexpr int kSchemaWithoutBoot = 3;
// What schema 4 has not. The later of two rows was freed later.
constexpr const char* kFreedTable = R"(
  CREATE TABLE freed_addresses (
    freed INTEGER PRIMARY KEY NOT NULL, vpc TEXT NOT NULL, ip TEXT NOT NULL, UNIQUE (vpc, ip)) STRICT;
)";
// What schema 3 has not, either.
constexpr const char* kBootTable = R"(
  CREATE TABLE boot (one INTEGER PRIMARY KEY CHECK (one = 1), id TEXT NOT NULL) STRICT;
)";
// STRICT and NOT NULL: a wrong value is refused when it is written, not when it is needed.
constexpr const char* kTables = R"(
  CREATE TABLE attachments (id TEXT PRIMARY KEY NOT NULL, record BLOB NOT NULL) STRICT;
  CREATE TABLE operations (
    revision INTEGER PRIMARY KEY NOT NULL, id TEXT UNIQUE NOT NULL, request TEXT NOT NULL,
    is_told INTEGER NOT NULL, record BLOB NOT NULL) STRICT;
  CREATE INDEX operations_by_request ON operations (request);
  CREATE INDEX untold_operations ON operations (revision) WHERE is_told = 0;
  CREATE TABLE vpcs (id TEXT PRIMARY KEY NOT NULL, vpc BLOB NOT NULL) STRICT;
  CREATE TABLE push (one INTEGER PRIMARY KEY CHECK (one = 1), version INTEGER NOT NULL) STRICT;
  CREATE TABLE next_hops (vtep TEXT PRIMARY KEY NOT NULL, record BLOB NOT NULL) STRICT;
  CREATE TABLE functions (function INTEGER PRIMARY KEY NOT NULL, generation INTEGER NOT NULL) STRICT;
)";

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
  Impl(SqliteDatabase opened, std::filesystem::path in)
      : database(std::move(opened)), folder(std::move(in)) {}

  Result<void> prepare();
  Result<void> read_attachments(SavedState& state);
  Result<void> read_operations(SavedState& state);
  Result<void> read_vpcs(SavedState& state);
  Result<void> read_next_hops(SavedState& state);
  Result<void> read_generations(SavedState& state);
  Result<void> read_boot(SavedState& state);
  Result<void> read_freed_addresses(SavedState& state);

  SqliteDatabase database;
  std::filesystem::path folder;
  GroupCommit commits{database};
};

namespace {

// Calls `take` for every row.
template <typename Take>
Result<void> for_each_row(SqliteStatement& rows, Take take) {
  while (true) {
    const auto found = rows.step();
    if (!found) return pass(found);
    if (!*found) return {};
    if (auto taken = take(rows.row()); !taken) return taken;
  }
}

Result<FinishedOperation> read_operation(SqliteRow row) {
  const auto record = row.record(1);
  if (!record) return pass(record);
  auto finished = parse_operation_record(*record);
  if (finished) finished->operation.revision = static_cast<std::uint64_t>(row.integer(0));
  return finished;
}

}  // namespace

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
  // Before SQLite sees the log: it would make the best of it.
  std::ifstream log(folder / "state.db-wal", std::ios::binary);
  const std::string logged{std::istreambuf_iterator<char>(log), {}};
  if (const auto whole = check_wal(logged); !whole) return pass(whole, cure(folder));
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
  if (*schema == kSchema) return {};
  const auto make = [&](const std::string& tables) {
    return database.execute(
        fmt::format("BEGIN IMMEDIATE; PRAGMA user_version = {}; {} COMMIT", kSchema, tables));
  };
  if (*schema == kSchemaWithoutUpdates) return make("");
  if (*schema == kSchemaWithoutGroups) return make(kFreedTable);
  if (*schema == kSchemaWithoutBoot) return make(std::string(kBootTable) + kFreedTable);
  if (*schema != 0) {
    return fail(Code::kFailedPrecondition, "STATE_VERSION",
                fmt::format("its schema is {}, this berthd's is {}", *schema, kSchema));
  }
  return make(std::string(kTables) + kBootTable + kFreedTable);
}

Result<SavedState> StateDb::load() {
  SavedState state;
  if (!impl_) return state;
  assert(impl_->commits.is_idle() && "the database is its thread's while something is being written");
  for (const auto read :
       {&Impl::read_attachments, &Impl::read_operations, &Impl::read_vpcs, &Impl::read_next_hops,
        &Impl::read_generations, &Impl::read_boot, &Impl::read_freed_addresses}) {
    if (const auto done = (*impl_.*read)(state); !done) return pass(done, cure(impl_->folder));
  }
  return state;
}

Result<void> StateDb::Impl::read_attachments(SavedState& state) {
  auto rows = database.prepare("SELECT record FROM attachments ORDER BY id");
  if (!rows) return pass(rows);
  return for_each_row(*rows, [&](SqliteRow row) -> Result<void> {
    const auto record = row.record(0);
    if (!record) return pass(record);
    auto saved = parse_attachment_record(*record);
    if (!saved) return pass(saved);
    state.attachments.push_back(*std::move(saved));
    return {};
  });
}

Result<void> StateDb::Impl::read_operations(SavedState& state) {
  const auto latest = database.query_integer("SELECT coalesce(max(revision), 0) FROM operations");
  if (!latest) return pass(latest);
  state.revision = static_cast<std::uint64_t>(*latest);
  const std::int64_t first_loaded = *latest - static_cast<std::int64_t>(kMaxLoaded) + 1;
  auto rows =
      database.prepare("SELECT revision, record FROM operations WHERE revision >= ?1 ORDER BY revision");
  if (!rows) return pass(rows);
  rows->bind(first_loaded);
  const auto loaded = for_each_row(*rows, [&](SqliteRow row) -> Result<void> {
    auto finished = read_operation(row);
    if (!finished) return pass(finished);
    state.operations.push_back(*std::move(finished));
    return {};
  });
  if (!loaded) return loaded;
  auto untold =
      database.prepare("SELECT revision, record FROM operations WHERE is_told = 0 ORDER BY revision");
  if (!untold) return pass(untold);
  const auto taken = for_each_row(*untold, [&](SqliteRow row) -> Result<void> {
    auto finished = read_operation(row);
    if (!finished) return pass(finished);
    state.untold.push_back(std::move(finished->operation));
    return {};
  });
  if (!taken) return taken;
  auto older = database.prepare("SELECT request FROM operations WHERE revision < ?1");
  if (!older) return pass(older);
  older->bind(first_loaded);
  return for_each_row(*older, [&](SqliteRow row) -> Result<void> {
    state.older_requests.push_back(request_hash(RequestId::trusted(row.text(0))));
    return {};
  });
}

Result<void> StateDb::Impl::read_vpcs(SavedState& state) {
  const auto version = database.query_integer("SELECT version FROM push");
  if (!version) return pass(version);
  state.vpcs_version = static_cast<std::uint64_t>(*version);
  auto rows = database.prepare("SELECT vpc FROM vpcs ORDER BY id");
  if (!rows) return pass(rows);
  return for_each_row(*rows, [&](SqliteRow row) -> Result<void> {
    const auto record = row.record(0);
    if (!record) return pass(record);
    auto vpc = parse_vpc_blob(*record);
    if (!vpc) return pass(vpc);
    const VpcId id = vpc->id;
    state.vpcs.emplace(id, std::make_shared<const dataplane::Vpc>(*std::move(vpc)));
    return {};
  });
}

Result<void> StateDb::Impl::read_next_hops(SavedState& state) {
  auto rows = database.prepare("SELECT record FROM next_hops");
  if (!rows) return pass(rows);
  return for_each_row(*rows, [&](SqliteRow row) -> Result<void> {
    const auto record = row.record(0);
    if (!record) return pass(record);
    BlobReader reader(*record);
    const IpAddress vtep = reader.ip();
    const MacAddress mac = reader.mac();
    if (!reader.is_good() || !reader.is_at_end())
      return fail(Code::kDataLoss, "STATE_CORRUPT", "a next hop's row is not what berthd writes");
    state.next_hops.emplace(vtep, mac);
    return {};
  });
}

template <typename Write>
Task<void> StateDb::write(Write write) {
  if (!impl_) co_return Result<void>();
  const auto written = co_await impl_->commits.commit(
      [write = std::move(write)](SqliteDatabase& database) -> Result<std::uint64_t> {
        const Result<void> done = write(database);
        if (!done) return pass(done);
        return 0;
      });
  if (!written) co_return pass(written);
  co_return Result<void>();
}

Result<void> StateDb::Impl::read_generations(SavedState& state) {
  auto rows = database.prepare("SELECT function, generation FROM functions");
  if (!rows) return pass(rows);
  return for_each_row(*rows, [&](SqliteRow row) -> Result<void> {
    state.generations.emplace(static_cast<std::uint16_t>(row.integer(0)),
                              static_cast<std::uint64_t>(row.integer(1)));
    return {};
  });
}

Result<void> StateDb::Impl::read_boot(SavedState& state) {
  auto boot = database.query_text("SELECT id FROM boot");
  if (!boot) return pass(boot);
  state.boot = *std::move(boot);
  return {};
}

Result<void> StateDb::Impl::read_freed_addresses(SavedState& state) {
  auto rows = database.prepare("SELECT vpc, ip FROM freed_addresses ORDER BY freed");
  if (!rows) return pass(rows);
  return for_each_row(*rows, [&](SqliteRow row) -> Result<void> {
    const auto ip = IpAddress::parse("ip", row.text(1));
    if (!ip) return fail(Code::kDataLoss, "STATE_CORRUPT", "a freed address is none");
    state.freed_addresses.push_back({VpcId::trusted(row.text(0)), *ip});
    return {};
  });
}

Task<void> StateDb::save(SavedAttachment attachment) {
  return write([saved = std::move(attachment)](SqliteDatabase& database) {
    return write_attachment(database, saved);
  });
}

Task<void> StateDb::erase(AttachmentId attachment, Freed freed) {
  return write([id = std::move(attachment), freed = std::move(freed)](SqliteDatabase& database) {
    return erase_attachment(database, id, freed);
  });
}

Task<void> StateDb::save_vpcs(std::shared_ptr<const dataplane::VpcSet> vpcs, std::set<VpcId> changed,
                              std::uint64_t version) {
  return write([vpcs = std::move(vpcs), changed = std::move(changed), version](SqliteDatabase& database) {
    return write_vpcs(database, *vpcs, changed, version);
  });
}

Task<void> StateDb::save_next_hops(std::map<IpAddress, MacAddress> next_hops) {
  return write(
      [hops = std::move(next_hops)](SqliteDatabase& database) { return write_next_hops(database, hops); });
}

Task<void> StateDb::save_boot(std::string boot, std::vector<SavedAttachment> attachments) {
  return write([boot = std::move(boot), attachments = std::move(attachments)](SqliteDatabase& database) {
    return write_boot(database, boot, attachments);
  });
}

Task<std::uint64_t> StateDb::finish(FinishedOperation finished, AttachmentEnd left, bool is_told) {
  if (!impl_) co_return ++revision_;
  co_return co_await impl_->commits.commit(
      [finished = std::move(finished), left = std::move(left), is_told](SqliteDatabase& database) {
        return write_end(database, finished, left, is_told);
      });
}

Task<void> StateDb::told(std::uint64_t revision) {
  return write([revision](SqliteDatabase& database) -> Result<void> {
    auto mark = database.prepare("UPDATE operations SET is_told = 1 WHERE revision = ?1");
    if (!mark) return pass(mark);
    return mark->bind(static_cast<std::int64_t>(revision)).run();
  });
}

Task<std::optional<FinishedOperation>> StateDb::find(const char* column, std::string value) {
  using Found = std::optional<FinishedOperation>;
  if (!impl_) co_return Found();
  auto found = std::make_shared<Found>();
  const auto looked = co_await impl_->commits.commit(
      [found, column, value = std::move(value)](SqliteDatabase& database) -> Result<std::uint64_t> {
        // Of a request that was made twice, the later operation counts.
        auto rows = database.prepare(fmt::format(
            "SELECT revision, record FROM operations WHERE {} = ?1 ORDER BY revision DESC LIMIT 1", column));
        if (!rows) return pass(rows);
        rows->bind(value);
        const auto read = for_each_row(*rows, [&](SqliteRow row) -> Result<void> {
          auto finished = read_operation(row);
          if (!finished) return pass(finished);
          *found = *std::move(finished);
          return {};
        });
        if (!read) return pass(read);
        return 0;
      });
  if (!looked) co_return pass(looked);
  co_return *std::move(found);
}

std::uint64_t StateDb::request_hash(const RequestId& request) {
  return std::hash<std::string>()(request.str());
}

}  // namespace berth::agent
