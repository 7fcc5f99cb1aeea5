// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "daemon/histories.hpp"

#include <asio/co_spawn.hpp>
#include <asio/use_awaitable.hpp>

#include "daemon/json.hpp"
#include "journal/history.hpp"

namespace hf {
namespace {

constexpr std::uint64_t kFlushMs = 2000;
constexpr std::size_t kEscapesShown = 100;

std::string text_in(const Json& request, const char* name) {
  const auto found = request.find(name);
  return found != request.end() && found->is_string() ? found->get<std::string>() : std::string();
}

template <class Number>
std::optional<Number> number_in(const Json& request, const char* name) {
  const auto found = request.find(name);
  return found != request.end() && found->is_number_integer() ? std::optional(found->get<Number>()) : std::nullopt;
}

Result<HistoryQuery> query_in(const Json& request) {
  HistoryQuery query{.since_ms = number_in<std::int64_t>(request, "since_ms"),
                     .until_ms = number_in<std::int64_t>(request, "until_ms"),
                     .file = text_in(request, "file"),
                     .device = text_in(request, "device"),
                     .inode = number_in<std::uint64_t>(request, "inode").value_or(0),
                     .without = text_in(request, "without"),
                     .breaker = text_in(request, "breaker"),
                     .after = number_in<std::int64_t>(request, "after").value_or(0)};
  query.newest = request.value("newest", Json()) == Json(true);
  if (const auto limit = number_in<std::uint64_t>(request, "limit")) query.limit = static_cast<std::size_t>(*limit);
  const auto kinds = request.find("kinds");
  if (kinds == request.end()) return query;
  if (!kinds->is_array() || kinds->size() > std::size(journal_kind::kAll)) return fail(EINVAL, "\"kinds\" must be a list of kinds");
  for (const auto& kind : *kinds) {
    const auto known =
        kind.is_string() && std::find(std::begin(journal_kind::kAll), std::end(journal_kind::kAll), kind.get<std::string>()) != std::end(journal_kind::kAll);
    if (!known) return fail(EINVAL, fmt::format("the journal has no kind {}", kind.dump()), fmt::format("There are: {}.", fmt::join(journal_kind::kAll, ", ")));
    query.kinds.push_back(kind.get<std::string>());
  }
  return query;
}

std::string history_answer(const HistoryPage& page, const Journal::Figures& figures) {
  auto events = Json::array();
  for (const auto& row : page.rows) events.push_back(Json::parse(history_json(row), nullptr, false));
  Json answer{{"schema", "holdfast.history/1"}, {"events", std::move(events)}, {"more", page.more}};
  answer["waiting"] = figures.waiting;
  answer["trouble"] = figures.trouble.empty() ? Json() : Json(figures.trouble);
  return json_text(answer);
}

/// The newest first, each as the event that it was.
std::string escapes_answer(const HistoryPage& page, std::uint64_t total, std::size_t limit, const std::string& file) {
  auto list = Json::array();
  std::size_t left_out = 0;
  for (auto row = page.rows.rbegin(); row != page.rows.rend(); ++row) {
    if (list.size() < limit)
      list.push_back(Json::parse(row->data, nullptr, false));
    else
      left_out++;
  }
  return json_text(Json{{"schema", "holdfast.escapes/1"}, {"escapes", std::move(list)}, {"left_out", left_out}, {"since_start", total}, {"file", file}});
}

}  // namespace

asio::awaitable<std::optional<Result<std::string>>> Histories::answer(const Peer& peer, std::string_view text) {
  const auto request = Json::parse(text, nullptr, false);
  const auto name = request.is_object() ? text_in(request, "query") : std::string();
  const bool escapes = name == "escapes";
  if (!escapes && name != "history") co_return std::nullopt;
  auto query = query_in(escapes ? Json::object() : request);
  if (!query) co_return tl::unexpected(query.error());
  if (!peer.root()) query->seen_by = peer.uid;
  if (escapes) {
    query->kinds = {std::string(journal_kind::kEscape)};
    query->newest = true;
    query->limit = EscapeLog::kRemembered;
  }
  // What has happened by now is in it, if it can be.
  const auto read = [&]() -> asio::awaitable<Result<HistoryPage>> {
    (void)journal_.flush(kFlushMs);
    co_return read_history(journal_.path(), *query);
  };
  const auto page = co_await asio::co_spawn(pools_.history, read, asio::use_awaitable);
  if (!page && escapes) co_return std::nullopt;
  if (!page) co_return tl::unexpected(page.error());
  const auto figures = journal_.figures();
  // While the journal can't be written, memory knows of more escapes than it.
  if (escapes && !figures.trouble.empty()) co_return std::nullopt;
  if (!escapes) co_return history_answer(*page, figures);
  const auto limit = number_in<std::uint64_t>(request, "limit").value_or(kEscapesShown);
  co_return escapes_answer(*page, core_.escapes().total(), static_cast<std::size_t>(limit), journal_.path());
}

}  // namespace hf
