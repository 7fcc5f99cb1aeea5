// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// Processes as /proc shows them, told apart by number and start so that a reused number is never taken for the process that had it before.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/fd.hpp"
#include "base/result.hpp"

namespace hf {

/// /proc counts a start in clock ticks of the boot clock; the kernel side has nanoseconds. Equal starts differ by less than this.
inline constexpr std::uint64_t kClockTickNs = 10'000'000;

/// @return when the process started, in nanoseconds of CLOCK_BOOTTIME cut to a clock tick, from the text of /proc/PID/stat.
std::optional<std::uint64_t> parse_start_ns(std::string_view stat);

/// The value of a "Name:\tvalue" line of /proc/PID/status.
std::optional<std::string> status_field(std::string_view status, std::string_view name);

class ProcessTable {
 public:
  explicit ProcessTable(std::string proc = "/proc") : proc_(std::move(proc)) {}

  std::optional<std::uint64_t> start_ns(pid_t pid) const;
  /// Is this number still the process that started then?
  bool is(pid_t pid, std::uint64_t start_ns) const;
  Result<std::string> text(pid_t pid, std::string_view file) const;
  Result<std::string> link(pid_t pid, std::string_view file) const;
  const std::string& root() const { return proc_; }

  /// A descriptor that becomes readable when the process ends. Fails with ESRCH where the number is another process by now.
  Result<Fd> watch(pid_t pid, std::uint64_t start_ns) const;
  /// To that very process, never to a later one of its number. Done where it has ended already.
  Status send_signal(pid_t pid, std::uint64_t start_ns, int signal) const;

 private:
  std::string proc_;
};

}  // namespace hf
