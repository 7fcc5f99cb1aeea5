// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "daemon/escape_log.hpp"

#include <algorithm>

namespace hf {

std::uint64_t EscapeLog::number(const hf_escape& event) {
  const auto& breaker = event.breaker;
  const bool same = total_ && breaker.tid == last_thread_ && breaker.file == last_file_ && breaker.time_ns - last_time_ns_ < kSameBreakNs;
  last_thread_ = breaker.tid;
  last_file_ = breaker.file;
  last_time_ns_ = breaker.time_ns;
  if (!same) total_++;
  return total_;
}

void EscapeLog::add(const std::string& json) {
  lines_.push_back(json);
  if (lines_.size() > kRemembered) lines_.pop_front();
}

std::vector<std::string> EscapeLog::last(std::size_t count) const {
  count = std::min(count, lines_.size());
  return {lines_.rbegin(), lines_.rbegin() + static_cast<std::ptrdiff_t>(count)};
}

}  // namespace hf
