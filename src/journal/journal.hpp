// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// The journal: what happened, in an SQLite database that outlives the daemon and the machine's restarts. Written in batches by a thread of its own; the event
// loop only puts entries into a bounded queue.
//
// Which way it fails: nothing waits for it. What can't be written stays in the queue until it can (a full disk, a read-only folder); what finds the queue full
// is counted, by kind, and the count becomes an entry. A damaged database is set aside and another begun.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "base/result.hpp"
#include "journal/database.hpp"
#include "journal/entry.hpp"

namespace hf {

/// How much is kept: what is older, or more, goes. Escapes go last.
struct JournalLimits {
  std::uint64_t size_bytes = 1ull << 30;  ///< 0: no limit
  std::uint64_t age_s = 90 * 86400;       ///< 0: no limit
  friend bool operator==(const JournalLimits&, const JournalLimits&) = default;
};

/// Whose journal it is.
struct NodeIdentity {
  std::string name;     ///< host name
  std::string machine;  ///< /etc/machine-id, or ""
  std::string boot;     ///< /proc/sys/kernel/random/boot_id
  static NodeIdentity of_this_machine();
};

class Journal {
 public:
  static constexpr std::size_t kQueueMax = 16384;        ///< entries in memory
  static constexpr std::size_t kEscapesReserved = 1024;  ///< beyond it, for escapes only
  static constexpr std::size_t kBatchMax = 2048;         ///< entries in a transaction
  static constexpr std::size_t kRowsAtOnce = 16;         ///< rows in a statement: of AUTOINCREMENT and of a statement's own cost there is one for all of them
  static constexpr int kVersion = 1;                     ///< of the tables

  struct Options {
    std::string path;
    std::string version;  ///< of the daemon
    NodeIdentity node;
    /// Something that an operator should know; from the journal's thread.
    std::function<void(bool good, const std::string&)> tell{};
  };
  struct Figures {
    std::uint64_t written = 0;
    std::uint64_t waiting = 0;
    std::uint64_t lost = 0;
    std::uint64_t lag_ms = 0;  ///< how long the oldest has waited
    std::uint64_t bytes = 0;   ///< of the database
    std::string trouble;       ///< why it can't be written now; "" where it can
  };

  explicit Journal(Options options);
  /// Writes what waits, as far as it can be written at once.
  ~Journal();
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;

  void add(JournalEntry entry);
  void set_limits(const JournalLimits& limits);
  /// Looks soon at its limits and at the clock, although nothing is to be written.
  void look();
  /// Until what was added before is written. @return false where it could not be within that time
  bool flush(std::uint64_t timeout_ms);
  Figures figures() const;
  const std::string& path() const { return options_.path; }

 private:
  struct Queued {
    JournalEntry entry;
    std::int64_t real_ms = 0;  ///< when it happened, by the clock as it stood when it was added
    std::uint64_t added_ns = 0;
  };
  struct Open {
    Database database;
    Statement insert;       ///< one row
    Statement insert_rows;  ///< kRowsAtOnce
    std::int64_t run = 0;
  };

  void run();
  void work();
  Status write(const std::vector<Queued>& batch);
  Status write_all(const std::vector<Queued>& batch, const std::map<std::string_view, std::uint64_t>& lost);
  Status insert(std::span<const Queued> rows);
  void bind_row(Statement& statement, int before, const Queued& queued, std::vector<std::string>& texts) const;
  Result<Open> open();
  Result<std::int64_t> begin_run(const Database& database) const;
  void set_aside(const Error& error);
  Status keep_within(const JournalLimits& limits);
  Status drop_old(std::uint64_t age_s, std::int64_t now_ms);
  void note_clock(std::uint64_t now_ns, std::int64_t now_ms);
  void failed(const Error& error);
  void recovered();

  Options options_;

  mutable std::mutex mutex_;  ///< of what follows
  std::condition_variable wake_;
  std::condition_variable progress_;
  std::deque<Queued> queue_;
  std::map<std::string_view, std::uint64_t> lost_;  ///< by kind, not yet told
  std::uint64_t lost_total_ = 0;
  std::uint64_t added_ = 0;  ///< accepted into the queue
  std::uint64_t written_ = 0;
  std::uint64_t in_hand_ = 0;
  std::uint64_t oldest_ns_ = 0;  ///< of those in hand
  std::uint64_t bytes_ = 0;
  std::string trouble_;
  bool hurry_ = false;
  bool stopping_ = false;
  JournalLimits limits_;

  // The thread's own.
  std::deque<Queued> taken_;  ///< from the queue, to be written
  std::optional<Open> open_;
  std::uint64_t age_looked_ns_ = 0;
  std::optional<std::int64_t> clock_offset_ms_;
  std::uint64_t clock_jumped_ns_ = 0;
  std::thread thread_;
};

}  // namespace hf
