// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// Escapes: breaks of leased bytes that happened all the same. The last ones in memory, for when the journal, which keeps them, can't be read.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "daemon/denial_log.hpp"

namespace hf {

/// A break as a choke point saw it. What is in common with a denial is in `what`: there is no error, and `op` is HF_OP_NONE where the gate saw nothing.
struct Escape {
  std::uint64_t number = 0;  ///< of the break: the same for each choke point that one operation passes
  bool traced = false;       ///< asked for with a trace, and no alarm
  Denial what;
  std::uint32_t choke = 0;  ///< enum hf_choke
  std::vector<std::string> user_stack;
};

class EscapeLog {
 public:
  static constexpr std::size_t kRemembered = 1024;
  static constexpr std::uint64_t kSameBreakNs = 100'000'000;

  /// @return the number of the break that this belongs to
  std::uint64_t number(const hf_escape& event);
  void add(const std::string& json);

  /// Breaks since the daemon started.
  std::uint64_t total() const { return total_; }
  /// The last `count` events, the newest first.
  std::vector<std::string> last(std::size_t count) const;

 private:
  std::deque<std::string> lines_;
  std::uint64_t total_ = 0;
  hf_file_key last_file_{};
  std::uint32_t last_thread_ = 0;
  std::uint64_t last_time_ns_ = 0;
};

}  // namespace hf
