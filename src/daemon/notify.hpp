// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// How the daemon speaks to the operator and to the service manager: a few lines on standard error, and sd_notify(3)'s datagrams.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.hpp"
#include "daemon/words.hpp"

namespace hf {

enum class Priority { kCritical = 2, kError = 3, kWarning = 4, kNotice = 5, kInfo = 6 };

/// One line on standard error; with the priority that the journal understands ("<4>") where the journal reads it.
void log_line(Priority priority, std::string_view text);
void log_error(const Error& error);

/// How many lines of a kind that others can cause at will are written a minute; the journal must not be theirs to fill.
class LineLimit {
 public:
  static constexpr unsigned kPerMinute = 30;
  enum class Answer { kWrite, kLast, kSkip };
  Answer ask(std::uint64_t now_ns);

 private:
  std::uint64_t minute_start_ns_ = 0;
  unsigned written_ = 0;
};

/// Fields of a line in the system's journal, beside its text: systemd.journal-fields(7).
using LogFields = std::vector<std::pair<std::string, std::string>>;
inline constexpr const char* kEscapeMessageId = "6a1d7c9ff0f94b7f9be5f4f1a1c0e5ca";

/// The same with fields, where the system has a journal; else as log_line().
void log_fields(Priority priority, std::string_view text, const LogFields& fields);

template <class Make>
void log_limited(LineLimit& limit, Priority priority, Make&& make) {
  const auto answer = limit.ask(boot_time_ns());
  if (answer == LineLimit::Answer::kSkip) return;
  log_line(priority, make());
  if (answer == LineLimit::Answer::kLast) log_line(priority, "no more of these are logged for the rest of a minute; `holdfast watch` shows all");
}

template <class Make, class Fields>
void log_limited(LineLimit& limit, Priority priority, Make&& make, Fields&& fields) {
  const auto answer = limit.ask(boot_time_ns());
  if (answer == LineLimit::Answer::kSkip) return;
  log_fields(priority, make(), fields());
  if (answer == LineLimit::Answer::kLast) log_line(priority, "no more of these are logged for the rest of a minute; `holdfast history` has all");
}

/// How often WATCHDOG=1 is expected, in microseconds; 0: not at all.
std::uint64_t watchdog_us();

/// "READY=1", "STOPPING=1", "STATUS=...". Does nothing where no service manager listens.
void notify_service_manager(const std::string& state);

}  // namespace hf
