#include "agent/sqlite.h"

#include "base/fnv.h"

#include <algorithm>
#include <sqlite3.h>

#include <fmt/format.h>

namespace berth::agent {
namespace {

std::unexpected<Error> sqlite_failed(sqlite3* database) {
  const int code = sqlite3_errcode(database);
  const std::string message = fmt::format("SQLite: {}", sqlite3_errmsg(database));
  if (code == SQLITE_CORRUPT || code == SQLITE_NOTADB) return fail(Code::kDataLoss, "STATE_CORRUPT", message);
  if (code == SQLITE_BUSY || code == SQLITE_LOCKED)
    return fail(Code::kFailedPrecondition, "STATE_IN_USE", message);
  return fail(Code::kUnavailable, "STATE_UNWRITABLE", message);
}

constexpr std::size_t kChecksumBytes = 8;

// fnv1a_64(), little-endian.
std::string checksum_of(std::string_view bytes) {
  const std::uint64_t hash = fnv1a_64(bytes);
  std::string text;
  for (std::size_t i = 0; i < kChecksumBytes; ++i) text.push_back(static_cast<char>(hash >> (8 * i)));
  return text;
}

}  // namespace

std::int64_t SqliteRow::integer(int column) const {
  return sqlite3_column_int64(statement_, column);
}

std::string SqliteRow::text(int column) const {
  const void* bytes = sqlite3_column_blob(statement_, column);
  if (bytes == nullptr) return {};
  return {static_cast<const char*>(bytes),
          static_cast<std::size_t>(sqlite3_column_bytes(statement_, column))};
}

Result<std::string> SqliteRow::record(int column) const {
  std::string bytes = text(column);
  const std::size_t size = bytes.size() - std::min(bytes.size(), kChecksumBytes);
  const std::string checksum = bytes.substr(size);
  bytes.resize(size);
  if (checksum == checksum_of(bytes)) return bytes;
  return fail(Code::kDataLoss, "STATE_CORRUPT", "a record is not what was written");
}

void SqliteStatement::Finalize::operator()(sqlite3_stmt* statement) const {
  sqlite3_finalize(statement);
}

Result<bool> SqliteStatement::step() {
  const int code = sqlite3_step(statement_.get());
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  return sqlite_failed(sqlite3_db_handle(statement_.get()));
}

Result<void> SqliteStatement::run() {
  const auto stepped = step();
  sqlite3_reset(statement_.get());
  next_parameter_ = 1;
  if (!stepped) return pass(stepped);
  return {};
}

// A bind that fails (no memory, no such parameter) leaves NULL, which every column here refuses.
SqliteStatement& SqliteStatement::bind(std::int64_t value) {
  (void)sqlite3_bind_int64(statement_.get(), next_parameter_++, value);
  return *this;
}
SqliteStatement& SqliteStatement::bind(std::string_view text) {
  (void)sqlite3_bind_text(statement_.get(), next_parameter_++, text.data(), static_cast<int>(text.size()),
                          SQLITE_TRANSIENT);
  return *this;
}
SqliteStatement& SqliteStatement::bind_record(std::string_view bytes) {
  const std::string record = std::string(bytes) + checksum_of(bytes);
  (void)sqlite3_bind_blob(statement_.get(), next_parameter_++, record.data(), static_cast<int>(record.size()),
                          SQLITE_TRANSIENT);
  return *this;
}

void SqliteDatabase::Close::operator()(sqlite3* database) const {
  sqlite3_close(database);
}

Result<SqliteDatabase> SqliteDatabase::open(const std::filesystem::path& file) {
  sqlite3* opened = nullptr;
  const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
  const int code = sqlite3_open_v2(file.c_str(), &opened, flags, nullptr);
  SqliteDatabase database(opened);
  if (code == SQLITE_OK) return database;
  return fail(Code::kUnavailable, "STATE_UNWRITABLE", fmt::format("SQLite: {}", sqlite3_errstr(code)));
}

Result<SqliteStatement> SqliteDatabase::prepare(std::string_view sql) {
  sqlite3_stmt* statement = nullptr;
  const int code =
      sqlite3_prepare_v2(database_.get(), sql.data(), static_cast<int>(sql.size()), &statement, nullptr);
  if (code == SQLITE_OK) return SqliteStatement(statement);
  return sqlite_failed(database_.get());
}

Result<void> SqliteDatabase::execute(const std::string& sql) {
  if (sqlite3_exec(database_.get(), sql.c_str(), nullptr, nullptr, nullptr) == SQLITE_OK) return {};
  return sqlite_failed(database_.get());
}

Result<std::int64_t> SqliteDatabase::query_integer(std::string_view sql) {
  auto statement = prepare(sql);
  if (!statement) return pass(statement);
  const auto found = statement->step();
  if (!found) return pass(found);
  return *found ? statement->row().integer(0) : 0;
}

Result<std::string> SqliteDatabase::query_text(std::string_view sql) {
  auto statement = prepare(sql);
  if (!statement) return pass(statement);
  const auto found = statement->step();
  if (!found) return pass(found);
  return *found ? statement->row().text(0) : std::string();
}

}  // namespace berth::agent
