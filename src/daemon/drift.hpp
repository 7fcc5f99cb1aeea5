// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// Which mounts were qualified, as what the machine was then, and since when that is not so any more. Knows no event loop: drift_watch.hpp looks.
//
// The record outlives the daemon: what changed while it was down, or over a boot, is drift as well.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "daemon/json.hpp"

namespace hf {

/// What is watched, by a stable key, each in one line of text.
using Sample = std::map<std::string, std::string>;

/// "mount options: rw is now ro", one for each key that differs.
std::vector<std::string> differences(const Sample& before, const Sample& now);

struct QualifiedMount {
  std::string time;                 ///< when `holdfast qualify` told of it
  std::vector<std::string> failed;  ///< checks; empty: it was qualified
  Sample then;
  std::string drifted;               ///< since when; empty: it is as it was
  std::vector<std::string> changes;  ///< what differs now, and the escapes since
  std::vector<std::string> escapes;
};

class Drift {
 public:
  static constexpr std::size_t kEscapesKept = 16;
  static constexpr std::size_t kMountsMax = 256;

  /// @param file where the record is kept; "": nowhere
  explicit Drift(std::string file) : file_(std::move(file)) {}

  /// What an earlier daemon wrote. A file that can't be read is told, and counts as none.
  Status load();

  /// `holdfast qualify` has looked at it, now. @param failed its checks that failed
  Status qualified(const std::string& mount, std::vector<std::string> failed, Sample now, const std::string& time);
  bool watches() const { return !mounts_.empty(); }
  const std::map<std::string, QualifiedMount>& mounts() const { return mounts_; }

  /// @return what is new of the differences, for people: empty where nothing is
  Result<std::vector<std::string>> look(const std::string& mount, const Sample& now, const std::string& time);
  Result<std::vector<std::string>> escaped(const std::string& mount, const std::string& what, const std::string& time);

  /// For `holdfast status`: `points` that were never qualified are listed as such.
  Json list(const std::vector<std::string>& points) const;

 private:
  Status save() const;

  std::string file_;
  std::map<std::string, QualifiedMount> mounts_;
};

/// @param event "drift"
std::string drift_event_json(const std::string& mount, const std::vector<std::string>& changes, const std::string& time);

}  // namespace hf
