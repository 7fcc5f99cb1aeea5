// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "kernel/process.hpp"

#include <sys/syscall.h>

#include <array>
#include <charconv>
#include <climits>

#include "kernel/paths.hpp"

namespace hf {

std::optional<std::uint64_t> parse_start_ns(std::string_view stat) {
  constexpr int kFieldsAfterComm = 20;  // field 22; the second, the name, may hold blanks and parentheses, so count from its end
  auto position = stat.rfind(')');
  if (position == std::string_view::npos) return {};
  for (int field = 0; field < kFieldsAfterComm; field++) {
    position = stat.find(' ', position + 1);
    if (position == std::string_view::npos) return {};
  }
  std::uint64_t ticks = 0;
  const auto [end, error] = std::from_chars(stat.data() + position + 1, stat.data() + stat.size(), ticks);
  if (error != std::errc{} || end == stat.data() + position + 1) return {};
  return ticks * kClockTickNs;
}

std::optional<std::string> status_field(std::string_view status, std::string_view name) {
  for (std::size_t at = 0; at < status.size();) {
    const auto end = std::min(status.find('\n', at), status.size());
    const auto line = status.substr(at, end - at);
    if (line.size() > name.size() && line.substr(0, name.size()) == name && line[name.size()] == ':') {
      const auto value = line.substr(name.size() + 1);
      const auto first = value.find_first_not_of(" \t");
      return std::string(first == std::string_view::npos ? std::string_view() : value.substr(first));
    }
    at = end + 1;
  }
  return {};
}

std::optional<std::uint64_t> ProcessTable::start_ns(pid_t pid) const {
  const auto stat = text(pid, "stat");
  return stat ? parse_start_ns(*stat) : std::nullopt;
}

bool ProcessTable::is(pid_t pid, std::uint64_t start_ns) const {
  const auto found = this->start_ns(pid);
  if (!found) return false;
  const auto apart = *found > start_ns ? *found - start_ns : start_ns - *found;
  return apart < kClockTickNs;
}

Result<std::string> ProcessTable::text(pid_t pid, std::string_view file) const { return read_text(fmt::format("{}/{}/{}", proc_, pid, file)); }

Result<std::string> ProcessTable::link(pid_t pid, std::string_view file) const {
  const auto path = fmt::format("{}/{}/{}", proc_, pid, file);
  std::array<char, PATH_MAX> target;
  const auto length = ::readlink(path.c_str(), target.data(), target.size());
  if (length < 0) return sys_error(errno, "readlink", path);
  return std::string(target.data(), static_cast<std::size_t>(length));
}

Result<Fd> ProcessTable::watch(pid_t pid, std::uint64_t start_ns) const {
  Fd fd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (!fd) return sys_error(errno, "pidfd_open", fmt::format("{}", pid));
  // Checked after the open: from here on the number belongs to the descriptor's process for as long as that lives.
  if (!is(pid, start_ns)) return fail(ESRCH, fmt::format("process {} is not the one that took the lease any more", pid));
  return fd;
}

Status ProcessTable::send_signal(pid_t pid, std::uint64_t start_ns, int signal) const {
  const auto process = watch(pid, start_ns);
  if (!process) return process.error().code == ESRCH ? Status{} : Status(tl::unexpected(process.error()));
  if (::syscall(SYS_pidfd_send_signal, process->get(), signal, nullptr, 0) && errno != ESRCH)
    return sys_error(errno, "pidfd_send_signal", fmt::format("process {}", pid));
  return {};
}

}  // namespace hf
