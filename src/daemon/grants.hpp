// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// What a restarted daemon must still know of the leases that processes asked for, and the kernel has no room for: token, label, path.
//
// A file of JSON lines, appended to: {"lease":..., "token":..., ...} when one is granted. It is in /run, so it lives as long as the kernel's maps do, and
// those say which leases have ended: nothing is written of that. A line that a killed daemon left half written is skipped: its holder was never answered.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>

#include "base/fd.hpp"
#include "base/result.hpp"
#include "lease/table.hpp"

namespace hf {

struct Grant {
  std::uint64_t token = 0;  ///< proves at RECLAIM that it is the same holder
  std::string label;
  std::string path;
};

class Grants {
 public:
  /// Reads the file and writes it anew without what has ended. @param stands tells which leases the kernel still has
  template <class Stands>
  static Result<Grants> open(const std::string& file, Stands&& stands) {
    HF_TRY_ASSIGN(auto grants, read(file));
    std::erase_if(grants.grants_, [&](const auto& entry) { return !stands(entry.first); });
    HF_TRY(grants.rewrite());
    return grants;
  }

  /// Remembers the lease, under a new token, before its holder is told of it.
  Result<std::uint64_t> add(LeaseId lease, std::string label, std::string path);
  void remove(LeaseId lease) { grants_.erase(lease); }
  const Grant* find(LeaseId lease) const;
  std::size_t size() const { return grants_.size(); }

 private:
  static Result<Grants> read(const std::string& file);
  Status rewrite();
  Status append(const std::string& line);
  Result<std::uint64_t> new_token();

  std::string file_;
  Fd fd_;
  std::size_t lines_ = 0;
  bool damaged_ = false;  ///< the last line may be half written: nothing is put behind it
  std::map<LeaseId, Grant> grants_;
  std::array<std::uint64_t, 32> tokens_{};  ///< random numbers, those from tokens_left_ on used
  std::size_t tokens_left_ = 0;
};

}  // namespace hf
