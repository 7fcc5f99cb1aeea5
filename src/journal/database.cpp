// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "journal/database.hpp"

#include <sqlite3.h>

#include <cerrno>

namespace hf {
namespace {

constexpr int kBusyMs = 2000;

int errno_of(int code) {
  switch (code & 0xff) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_SCHEMA:
      return EUCLEAN;
    case SQLITE_FULL:
      return ENOSPC;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return EBUSY;
    case SQLITE_READONLY:
      return EROFS;
    case SQLITE_PERM:
    case SQLITE_AUTH:
      return EACCES;
    case SQLITE_CANTOPEN:
      return ENOENT;
    case SQLITE_NOMEM:
      return ENOMEM;
    default:
      return EIO;
  }
}

tl::unexpected<Error> failed(sqlite3* connection, int code) {
  const int system = connection ? sqlite3_system_errno(connection) : 0;
  // A disk that fills up while the write-ahead log grows is an input/output error to SQLite.
  const int error = (code & 0xff) == SQLITE_IOERR && system == ENOSPC ? ENOSPC : errno_of(code);
  return fail(error, connection ? sqlite3_errmsg(connection) : sqlite3_errstr(code));
}

}  // namespace

void Statement::Finalize::operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
void Database::Close::operator()(sqlite3* connection) const { sqlite3_close_v2(connection); }

void Statement::bind(int at, std::int64_t number) { sqlite3_bind_int64(statement_.get(), at, number); }
void Statement::bind(int at, std::string_view text) { sqlite3_bind_text64(statement_.get(), at, text.data(), text.size(), SQLITE_TRANSIENT, SQLITE_UTF8); }
void Statement::bind_borrowed(int at, std::string_view text) {
  sqlite3_bind_text64(statement_.get(), at, text.data(), text.size(), SQLITE_STATIC, SQLITE_UTF8);
}
void Statement::bind_borrowed_or_null(int at, std::string_view text) {
  if (text.empty())
    bind_null(at);
  else
    bind_borrowed(at, text);
}
void Statement::bind_null(int at) { sqlite3_bind_null(statement_.get(), at); }
void Statement::bind_text_or_null(int at, std::string_view text) {
  if (text.empty())
    bind_null(at);
  else
    bind(at, text);
}

Result<bool> Statement::step() {
  const int code = sqlite3_step(statement_.get());
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  return failed(sqlite3_db_handle(statement_.get()), code);
}

Status Statement::run() {
  Result<bool> more = true;
  while (more && *more) more = step();
  reset();
  if (!more) return tl::unexpected(more.error());
  return {};
}

void Statement::reset() { sqlite3_reset(statement_.get()); }

std::int64_t Statement::number(int column) const { return sqlite3_column_int64(statement_.get(), column); }
bool Statement::is_null(int column) const { return sqlite3_column_type(statement_.get(), column) == SQLITE_NULL; }
std::string Statement::text(int column) const {
  const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(statement_.get(), column));
  return text ? std::string(text, static_cast<std::size_t>(sqlite3_column_bytes(statement_.get(), column))) : std::string();
}

Result<Database> Database::open(const std::string& path, Mode mode) {
  sqlite3* connection = nullptr;
  const int flags = mode == Mode::kRead ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
  const int code = sqlite3_open_v2(path.c_str(), &connection, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, nullptr);
  Database database(connection);
  if (code != SQLITE_OK) return failed(connection, code);
  sqlite3_busy_timeout(connection, kBusyMs);
  return database;
}

Result<Statement> Database::prepare(std::string_view sql) const {
  sqlite3_stmt* statement = nullptr;
  const int code = sqlite3_prepare_v2(connection_.get(), sql.data(), static_cast<int>(sql.size()), &statement, nullptr);
  if (code != SQLITE_OK) return failed(connection_.get(), code);
  return Statement(statement);
}

Status Database::run(const char* sql) const {
  const int code = sqlite3_exec(connection_.get(), sql, nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) return failed(connection_.get(), code);
  return {};
}

Result<std::int64_t> Database::number(const char* sql) const {
  HF_TRY_ASSIGN(auto statement, prepare(sql));
  HF_TRY_ASSIGN(const bool row, statement.step());
  return row ? statement.number(0) : 0;
}

std::int64_t Database::changes() const { return sqlite3_changes64(connection_.get()); }

}  // namespace hf
