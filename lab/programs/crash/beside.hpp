// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// What runs beside the daemons that are killed: who holds, who breaks, who works. Each is a process of its own, as on a real machine.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <string>

namespace lab {

/// Counted by the processes that break and the one that holds; shared memory.
struct Counts {
  std::atomic<std::uint64_t> tries{0};
  std::atomic<std::uint64_t> openings{0};
  std::atomic<std::uint64_t> other_errors{0};
  std::atomic<std::uint64_t> leases_lost{0};
  std::atomic<int> holding{0};
};
Counts& shared_counts();

/// Holds the file through every change of daemons.
pid_t start_keeper(const std::string& file, Counts& counts);
/// Truncates and punches the file, and never stops.
pid_t start_breaker(const std::string& file, Counts& counts);
/// Takes leases and gives them back; every third one ends with a process that is killed.
pid_t start_grants(const std::string& file);
/// Recalls the file for a command, again and again.
pid_t start_recalls(const std::string& file);
/// holdfastd, its words readable from `words`. @param crash NAME:N, or empty
pid_t start_daemon(const std::string& crash, bool upgrade, int& words);

/// Kills the process and what it started, and waits for its end.
void end(pid_t pid);

[[noreturn]] void give_up(const std::string& what);

}  // namespace lab
