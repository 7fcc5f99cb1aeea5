// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "daemon/record.hpp"

#include "catalog/break_sources.hpp"
#include "daemon/words.hpp"

namespace hf {
namespace {

JournalEntry break_entry(std::string_view kind, const Denial& what) {
  const auto& breaker = what.breaker;
  return {.kind = kind,
          .time_ns = what.time_ns,
          .path = what.path,
          .file = what.file,
          .operation = what.op ? std::string(op_name(what.op)) : std::string(),
          .lease = what.leases.empty() ? 0 : what.leases.front().id,
          .pid = breaker.pid,
          .uid = breaker.uid,
          .comm = breaker.comm,
          .executable = breaker.executable.value.value_or(std::string())};
}

}  // namespace

JournalEntry denial_entry(std::shared_ptr<const Denial> denial) {
  auto entry = break_entry(journal_kind::kDenial, *denial);
  entry.data = [denial = std::move(denial)] { return denial_event_json(*denial); };
  return entry;
}

JournalEntry escape_entry(const Escape& escape, std::string json) {
  auto entry = break_entry(journal_kind::kEscape, escape.what);
  entry.data = [json = std::move(json)] { return json; };
  return entry;
}

JournalEntry lease_entry(std::string_view kind, std::shared_ptr<const Lease> told, bool found) {
  const auto& lease = *told;
  const auto now = boot_time_ns();
  JournalEntry entry{.kind = kind, .time_ns = now, .lease = lease.id, .pid = lease.holder.tgid, .uid = lease.holder.uid, .comm = lease.holder.comm};
  if (!lease.files.empty()) {
    entry.path = lease.files.front().path;
    entry.file = lease.files.front().key;
  }
  entry.data = [kind, told = std::move(told), found, now] { return lease_event_json(kind, *told, now, found); };
  return entry;
}

JournalEntry lost_entry(const char* what, std::uint64_t count) {
  return {.kind = journal_kind::kLost, .time_ns = boot_time_ns(), .operation = what, .count = count, .data = [what, count] {
            return json_text({{"schema", "holdfast.event/1"}, {"event", "lost"}, {"what", what}, {"by", "kernel"}, {"count", count}});
          }};
}

JournalEntry recall_entry(std::string_view kind, const std::string& path, const hf_file_key& file, std::uint32_t pid, std::uint32_t uid,
                          const std::string& comm, std::string json) {
  return {.kind = kind, .time_ns = boot_time_ns(), .path = path, .file = file, .pid = pid, .uid = uid, .comm = comm, .data = [json = std::move(json)] {
            return json;
          }};
}

JournalEntry note_entry(std::string_view kind, std::string_view what, Json more, const Asker& who) {
  const auto now = boot_time_ns();
  Json json{{"schema", "holdfast.event/1"}, {"event", kind}, {"time", wall_clock(now)}, {"what", what}};
  json.update(more);
  if (who.pid) json["requester"] = {{"pid", who.pid}, {"uid", who.uid}, {"comm", who.comm}};
  return {.kind = kind,
          .time_ns = now,
          .path = more.value("path", std::string()),
          .operation = std::string(what),
          .pid = who.pid,
          .uid = who.uid,
          .comm = who.comm,
          .data = [text = json_text(json)] { return text; }};
}

}  // namespace hf
