// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// The denials that the daemon remembers: the last ones of all, and the last one of each file. Bounded.
#pragma once

#include <cstdint>
#include <deque>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "kernel/identity.hpp"
#include "lease/table.hpp"

namespace hf {

/// One refusal, complete.
struct Denial {
  std::uint64_t number = 0;   ///< since the daemon started
  std::uint64_t time_ns = 0;  ///< CLOCK_BOOTTIME
  std::uint32_t op = 0;
  int error = 0;  ///< positive errno, as the breaker got it
  hf_file_key file{};
  std::uint32_t magic = 0;
  std::string path;
  Extent touched;      ///< by the operation
  Extent leased;       ///< the extent that refused it
  bool whole = false;  ///< the file is held as a whole, for holdfast-pin
  std::uint64_t detail = 0;
  Breaker breaker;

  struct Broken {
    LeaseId id = 0;
    std::uint32_t pid = 0;
    std::uint32_t uid = 0;
    std::string comm;
    std::string label;
  };
  std::vector<Broken> leases;  ///< that would have been broken
};

class DenialLog {
 public:
  static constexpr std::size_t kRemembered = 4096;
  static constexpr std::size_t kFilesRemembered = 4096;

  std::shared_ptr<const Denial> add(Denial denial);
  /// The last `count`, the newest first.
  std::vector<std::shared_ptr<const Denial>> last(std::size_t count) const;
  std::shared_ptr<const Denial> last_on(const hf_file_key& file) const;
  std::uint64_t total() const { return total_; }
  std::size_t size() const { return denials_.size(); }

 private:
  struct PerFile {
    std::shared_ptr<const Denial> denial;
    std::list<hf_file_key>::iterator age;
  };
  std::uint64_t total_ = 0;
  std::deque<std::shared_ptr<const Denial>> denials_;
  std::unordered_map<hf_file_key, PerFile> by_file_;
  std::list<hf_file_key> ages_;  ///< of by_file_, the oldest denial first
};

}  // namespace hf
