// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "journal/history.hpp"

#include <algorithm>
#include <charconv>
#include <functional>
#include <nlohmann/json.hpp>

#include "journal/database.hpp"
#include "journal/journal.hpp"

namespace hf {
namespace {

constexpr std::size_t kLimitMost = 10'000;
constexpr std::size_t kPageBytes = 8 << 20;  // of data: keeps an answer below HF_WIRE_MAX

/// A WHERE clause that grows with what is bound to it.
struct Filter {
  std::string sql = "1";
  std::vector<std::function<void(Statement&, int)>> values;

  void text(const std::string& value) {
    values.push_back([value](Statement& statement, int at) { statement.bind(at, value); });
  }
  void number(std::int64_t value) {
    values.push_back([value](Statement& statement, int at) { statement.bind(at, value); });
  }
};

void filter_file(Filter& filter, const HistoryQuery& query) {
  if (query.file.empty()) return;
  const bool pattern = query.file.find_first_of("*?[") != std::string::npos;
  filter.sql += pattern ? " AND (path GLOB ?" : " AND (path = ? OR substr(path, 1, ?) = ?";
  filter.text(query.file);
  if (!pattern) {
    const auto folder = query.file.ends_with('/') ? query.file : query.file + "/";
    filter.number(static_cast<std::int64_t>(folder.size()));
    filter.text(folder);
  }
  if (!query.device.empty()) {
    filter.sql += query.inode ? " OR (device = ? AND inode = ?)" : " OR device = ?";
    filter.text(query.device);
    if (query.inode) filter.number(static_cast<std::int64_t>(query.inode));
  }
  filter.sql += ")";
}

void filter_breaker(Filter& filter, const HistoryQuery& query) {
  if (query.breaker.empty()) return;
  filter.sql += " AND kind IN ('denial', 'escape') AND (executable = ? OR comm = ? OR executable GLOB ?";
  filter.text(query.breaker);
  filter.text(query.breaker);
  filter.text("*/" + query.breaker);
  std::int64_t pid = 0;
  const auto* end = query.breaker.data() + query.breaker.size();
  if (const auto [stop, error] = std::from_chars(query.breaker.data(), end, pid); error == std::errc{} && stop == end) {
    filter.sql += " OR pid = ?";
    filter.number(pid);
  }
  filter.sql += ")";
}

Filter filter_of(const HistoryQuery& query) {
  Filter filter;
  if (query.after) {
    filter.sql += " AND id > ?";
    filter.number(query.after);
  }
  if (query.since_ms) {
    filter.sql += " AND time_ms >= ?";
    filter.number(*query.since_ms);
  }
  if (query.until_ms) {
    filter.sql += " AND time_ms < ?";
    filter.number(*query.until_ms);
  }
  filter_file(filter, query);
  if (!query.without.empty()) {
    filter.sql += " AND (path IS NULL OR path NOT GLOB ?)";
    filter.text(query.without);
  }
  filter_breaker(filter, query);
  if (!query.kinds.empty()) {
    std::string marks;
    for (const auto& kind : query.kinds) {
      marks += marks.empty() ? "?" : ", ?";
      filter.text(kind);
    }
    filter.sql += " AND kind IN (" + marks + ")";
  }
  if (query.seen_by) {
    filter.sql += " AND (uid = ? OR EXISTS (SELECT 1 FROM json_each(event.data, '$.leases') WHERE json_extract(value, '$.uid') = ?))";
    filter.number(*query.seen_by);
    filter.number(*query.seen_by);
  }
  return filter;
}

}  // namespace

Result<HistoryPage> read_history(const std::string& journal, const HistoryQuery& query) {
  auto opened = Database::open(journal, Database::Mode::kRead);
  if (!opened) {
    opened.error().message = fmt::format("the journal {} can't be read: {}", journal, opened.error().message);
    return tl::unexpected(opened.error());
  }
  const auto limit = std::min(query.limit, kLimitMost);
  const auto filter = filter_of(query);
  const auto picked = fmt::format("SELECT * FROM event WHERE {} ORDER BY id {} LIMIT {}", filter.sql, query.newest ? "DESC" : "ASC", limit + 1);
  const auto sql = fmt::format(
      "SELECT picked.id, strftime('%Y-%m-%dT%H:%M:%fZ', time_ms / 1000.0, 'unixepoch'), node, machine, boot, version, kind, path, count, data "
      "FROM ({}) AS picked JOIN run ON run.id = picked.run ORDER BY picked.id",
      picked);
  HF_TRY_ASSIGN(auto statement, opened->prepare(sql));
  int at = 0;
  for (const auto& value : filter.values) value(statement, ++at);
  HistoryPage page;
  std::size_t bytes = 0;
  for (;;) {
    HF_TRY_ASSIGN(const bool row, statement.step());
    if (!row) break;
    if (!query.newest && (page.rows.size() == limit || bytes > kPageBytes)) {
      page.more = true;
      break;
    }
    page.rows.push_back({statement.number(0), statement.text(1), statement.text(2), statement.text(3), statement.text(4), statement.text(5), statement.text(6),
                         statement.text(7), static_cast<std::uint64_t>(statement.number(8)), statement.text(9)});
    bytes += page.rows.back().data.size();
  }
  // Of the last ones, too, no more than an answer holds: the oldest of them go.
  while (query.newest && (page.rows.size() > limit || (bytes > kPageBytes && page.rows.size() > 1))) {
    bytes -= page.rows.front().data.size();
    page.rows.erase(page.rows.begin());
    page.more = true;
  }
  return page;
}

std::string history_json(const HistoryRow& row) {
  using Json = nlohmann::ordered_json;
  const auto text_or_null = [](const std::string& text) { return text.empty() ? Json() : Json(text); };
  auto data = Json::parse(row.data, nullptr, false);
  if (data.is_discarded()) data = nullptr;
  const Json object{{"id", row.id},       {"time", row.time},       {"node", row.node}, {"machine", text_or_null(row.machine)},
                    {"boot", row.boot},   {"version", row.version}, {"kind", row.kind}, {"path", text_or_null(row.path)},
                    {"count", row.count}, {"data", std::move(data)}};
  return object.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace hf
