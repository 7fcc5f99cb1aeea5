// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// What the daemon's events are in the journal.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "daemon/denial_log.hpp"
#include "daemon/escape_log.hpp"
#include "daemon/json.hpp"
#include "journal/entry.hpp"
#include "lease/table.hpp"

namespace hf {

JournalEntry denial_entry(std::shared_ptr<const Denial> denial);
JournalEntry escape_entry(const Escape& escape, std::string json);
/// @param kind journal_kind::kLease, kLeaseEnded, or those of registrations
/// @param found it stood when this daemon started
JournalEntry lease_entry(std::string_view kind, std::shared_ptr<const Lease> lease, bool found);
/// Events that found a buffer of the kernel full. @param what "denials", "escapes"
JournalEntry lost_entry(const char* what, std::uint64_t count);
/// @param event as Recalls announces it
JournalEntry recall_entry(std::string_view kind, const std::string& path, const hf_file_key& file, std::uint32_t pid, std::uint32_t uid,
                          const std::string& comm, std::string json);
/// Of the daemon itself and its configuration: {"event": kind, "what": what, ...more}. @param who asked; none: the daemon itself
struct Asker {
  std::uint32_t pid = 0;
  std::uint32_t uid = 0;
  std::string comm{};
};
JournalEntry note_entry(std::string_view kind, std::string_view what, Json more, const Asker& who = {});

}  // namespace hf
