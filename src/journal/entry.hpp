// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// One thing that happened, as the journal keeps it. docs/journal.md describes the table that it becomes a row of.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "kern.h"

namespace hf {

/// Kinds of entries; the text in the table.
namespace journal_kind {
inline constexpr std::string_view kRegistration = "registration";
inline constexpr std::string_view kRegistrationEnded = "registration_ended";
inline constexpr std::string_view kLease = "lease";
inline constexpr std::string_view kLeaseEnded = "lease_ended";
inline constexpr std::string_view kDenial = "denial";
inline constexpr std::string_view kEscape = "escape";
inline constexpr std::string_view kRecall = "recall";
inline constexpr std::string_view kWindow = "window";
inline constexpr std::string_view kRecallEnded = "recall_ended";
inline constexpr std::string_view kFence = "fence";
inline constexpr std::string_view kConfiguration = "configuration";
inline constexpr std::string_view kDaemon = "daemon";
inline constexpr std::string_view kDrift = "drift";
inline constexpr std::string_view kLost = "lost";
inline constexpr std::string_view kAll[] = {kRegistration, kRegistrationEnded, kLease, kLeaseEnded,    kDenial, kEscape, kRecall,
                                            kWindow,       kRecallEnded,       kFence, kConfiguration, kDaemon, kDrift,  kLost};
}  // namespace journal_kind

struct JournalEntry {
  std::string_view kind;      ///< one of journal_kind
  std::uint64_t time_ns = 0;  ///< CLOCK_BOOTTIME
  std::string path{};
  hf_file_key file{};
  std::string operation{};
  std::uint64_t lease = 0;
  std::uint32_t pid = 0;  ///< of the breaker, the holder, or who asked
  std::uint32_t uid = 0;
  std::string comm{};
  std::string executable{};
  std::uint64_t count = 1;
  /// The whole of it, as JSON; made on the journal's own thread, so that the event loop does not wait for it.
  std::function<std::string()> data{};
};

}  // namespace hf
