// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "daemon/notify.hpp"

#include <poll.h>
#include <sys/uio.h>
#include <systemd/sd-daemon.h>
#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>

namespace hf {
namespace {

constexpr const char* kSystemJournal = "/run/systemd/journal/socket";

/// Whether a line can be written now. Whoever reads standard error and has stopped to must not stop the daemon.
bool takes_lines() {
  pollfd error{STDERR_FILENO, POLLOUT, 0};
  return ::poll(&error, 1, 0) == 1 && (error.revents & POLLOUT);
}

}  // namespace

void log_line(Priority priority, std::string_view text) {
  static const bool journal = std::getenv("JOURNAL_STREAM") != nullptr;
  static std::atomic<std::uint64_t> lost;
  if (!takes_lines()) {
    ++lost;
    return;
  }
  if (const auto count = lost.exchange(0)) log_line(Priority::kWarning, fmt::format("{} lines before this one are lost: nobody read standard error", count));
  // One write a line, so that lines of several processes don't mix.
  std::string line = journal ? fmt::format("<{}>", static_cast<int>(priority)) : "holdfastd: ";
  for (const char c : text) {
    line += c;
    if (c == '\n' && journal) line += fmt::format("<{}>", static_cast<int>(priority));
  }
  line += '\n';
  [[maybe_unused]] const auto written = ::write(STDERR_FILENO, line.data(), line.size());
}

LineLimit::Answer LineLimit::ask(std::uint64_t now_ns) {
  constexpr std::uint64_t kMinuteNs = 60'000'000'000;
  if (now_ns - minute_start_ns_ > kMinuteNs) {
    minute_start_ns_ = now_ns;
    written_ = 0;
  }
  if (written_ >= kPerMinute) return Answer::kSkip;
  return ++written_ == kPerMinute ? Answer::kLast : Answer::kWrite;
}

void log_error(const Error& error) { log_line(Priority::kError, error.text()); }

void log_fields(Priority priority, std::string_view text, const LogFields& fields) {
  std::vector<std::string> lines{fmt::format("MESSAGE={}", text), fmt::format("PRIORITY={}", static_cast<int>(priority)), "SYSLOG_IDENTIFIER=holdfastd"};
  for (const auto& [name, value] : fields) lines.push_back(name + "=" + value);
  std::vector<iovec> parts;
  parts.reserve(lines.size());
  for (auto& line : lines) parts.push_back({line.data(), line.size()});
  const bool sent = ::access(kSystemJournal, W_OK) == 0 && sd_journal_sendv(parts.data(), static_cast<int>(parts.size())) == 0;
  // Where standard error goes to that journal, too, the line is there already.
  if (!sent || !std::getenv("JOURNAL_STREAM")) log_line(priority, text);
}

std::uint64_t watchdog_us() {
  std::uint64_t limit = 0;
  return sd_watchdog_enabled(0, &limit) > 0 ? limit : 0;
}

void notify_service_manager(const std::string& state) { (void)sd_notify(0, state.c_str()); }

}  // namespace hf
