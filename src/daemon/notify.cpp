// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "daemon/notify.hpp"

#include <sys/socket.h>
#include <sys/un.h>

#include <cstddef>
#include <cstdlib>
#include <cstring>

#include "base/fd.hpp"

namespace hf {

void log_line(Priority priority, std::string_view text) {
  static const bool journal = std::getenv("JOURNAL_STREAM") != nullptr;
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

void notify_service_manager(const std::string& state) {
  const char* path = std::getenv("NOTIFY_SOCKET");
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (!path || !path[0] || std::strlen(path) >= sizeof(address.sun_path)) return;
  std::memcpy(address.sun_path, path, std::strlen(path));
  if (address.sun_path[0] == '@') address.sun_path[0] = '\0';  // the abstract namespace
  Fd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + std::strlen(path));
  ::sendto(socket.get(), state.data(), state.size(), MSG_NOSIGNAL, reinterpret_cast<const sockaddr*>(&address), length);
}

}  // namespace hf
