// SQLite with Result<>: a database, and statements that are bound, stepped and read. Only state_db.cc sees
// it. Blocking, one thread at a time.
#pragma once

#include "base/error.h"

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

struct sqlite3;
struct sqlite3_stmt;

namespace berth::agent {

class SqliteRow {
 public:
  // LIFETIME: until the next step of its statement.
  explicit SqliteRow(sqlite3_stmt* statement) : statement_(statement) {}
  std::int64_t integer(int column) const;
  std::string text(int column) const;
  // DATA_LOSS (STATE_CORRUPT) when it is not what SqliteStatement::bind_record() bound.
  Result<std::string> record(int column) const;

 private:
  sqlite3_stmt* statement_;
};

class SqliteStatement {
 public:
  // Columns and parameters count from 0 here.
  Result<bool> step();  // false: no (more) row
  // For statements without rows; then it can be bound and run again.
  Result<void> run();
  SqliteRow row() const { return SqliteRow(statement_.get()); }

  SqliteStatement& bind(std::int64_t value);  // the parameters, one after the other
  SqliteStatement& bind(std::string_view text);
  // A blob, and a checksum behind it: SQLite does not see that a byte within a row has changed.
  SqliteStatement& bind_record(std::string_view bytes);

 private:
  friend class SqliteDatabase;
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const;
  };
  explicit SqliteStatement(sqlite3_stmt* statement) : statement_(statement) {}

  std::unique_ptr<sqlite3_stmt, Finalize> statement_;
  int next_parameter_ = 1;
};

class SqliteDatabase {
 public:
  static Result<SqliteDatabase> open(const std::filesystem::path& file);
  Result<SqliteStatement> prepare(std::string_view sql);
  // One or more statements whose rows nobody wants.
  Result<void> execute(const std::string& sql);
  Result<std::int64_t> query_integer(std::string_view sql);
  Result<std::string> query_text(std::string_view sql);

 private:
  struct Close {
    void operator()(sqlite3* database) const;
  };
  explicit SqliteDatabase(sqlite3* database) : database_(database) {}

  std::unique_ptr<sqlite3, Close> database_;
};

}  // namespace berth::agent
