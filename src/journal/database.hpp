// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// SQLite behind Result<T>: a connection and its prepared statements.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.hpp"

struct sqlite3;
struct sqlite3_stmt;

namespace hf {

/// Errors carry EUCLEAN where the file is damaged or no database, ENOSPC where the disk is full, EBUSY where another writes, EROFS, EACCES or EIO else.
class Statement {
 public:
  explicit Statement(sqlite3_stmt* statement) : statement_(statement) {}

  void bind(int at, std::int64_t number);
  void bind(int at, std::string_view text);           ///< copied
  void bind_borrowed(int at, std::string_view text);  ///< not copied: it has to last until run() or reset()
  void bind_borrowed_or_null(int at, std::string_view text);
  void bind_text_or_null(int at, std::string_view text);
  void bind_null(int at);
  /// @return whether there is a row
  Result<bool> step();
  /// Steps to the end and makes it ready to run again.
  Status run();
  void reset();

  std::int64_t number(int column) const;
  std::string text(int column) const;
  bool is_null(int column) const;

 private:
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const;
  };
  std::unique_ptr<sqlite3_stmt, Finalize> statement_;
};

class Database {
 public:
  enum class Mode { kRead, kWrite };
  static Result<Database> open(const std::string& path, Mode mode);

  Result<Statement> prepare(std::string_view sql) const;
  Status run(const char* sql) const;
  Result<std::int64_t> number(const char* sql) const;
  std::int64_t changes() const;

 private:
  struct Close {
    void operator()(sqlite3* connection) const;
  };
  explicit Database(sqlite3* connection) : connection_(connection) {}
  std::unique_ptr<sqlite3, Close> connection_;
};

}  // namespace hf
