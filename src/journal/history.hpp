// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// Reads the journal: by time, file, breaker, kind. The daemon answers with it, and `holdfast history` reads a journal itself where no daemon runs.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"

namespace hf {

/// Where holdfastd keeps it, unless --state-dir says otherwise.
inline constexpr const char* kJournalPath = "/var/lib/holdfast/journal.db";
/// Paths of scratch files, which the probe breaks by the hundred.
inline constexpr const char* kScratchPaths = "*/.holdfast-*";

struct HistoryQuery {
  std::optional<std::int64_t> since_ms;
  std::optional<std::int64_t> until_ms;  ///< not included
  std::string file;                      ///< a path, or a pattern with * ? []; a folder: all below it
  std::string device;                    ///< with `file`: also what is on it, whatever it was called; with inode: that file only
  std::uint64_t inode = 0;
  std::string without;             ///< not these paths: a pattern
  std::string breaker;             ///< executable, its last component, command name, or process number
  std::vector<std::string> kinds;  ///< none: all
  std::int64_t after = 0;          ///< entries with a larger number only
  bool newest = false;             ///< the last `limit`, and not the first; they come in their order all the same
  std::size_t limit = 1000;
  std::optional<std::uint32_t> seen_by;  ///< only what concerns this user
};

struct HistoryRow {
  std::int64_t id = 0;
  std::string time;  ///< UTC, ISO 8601
  std::string node, machine, boot, version, kind, path;
  std::uint64_t count = 1;
  std::string data;  ///< JSON
};

struct HistoryPage {
  std::vector<HistoryRow> rows;
  bool more = false;  ///< after the last one; of the newest: before the first
};

/// @errors ENOENT where there is no journal, EUCLEAN where it is damaged
Result<HistoryPage> read_history(const std::string& journal, const HistoryQuery& query);

/// One entry as a JSON object (docs/json.md), whatever stands in `data`.
std::string history_json(const HistoryRow& row);

}  // namespace hf
