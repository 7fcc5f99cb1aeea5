// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// A folder for scratch files that is gone when its maker is, however that ended.
#pragma once

#include <sys/types.h>

#include <string>

#include "base/fd.hpp"
#include "base/result.hpp"

namespace hf::qualify {

/// In the path of every scratch file (kScratchPaths).
inline constexpr const char* kScratchFolder = "/.holdfast-";

class Scratch {
 public:
  /// Makes a folder in `parent`. Another process, which holds nothing else, waits for the end of this one and of all its children, and then removes it.
  /// Folders that an earlier maker left, because that process was killed as well, are removed first.
  static Result<Scratch> make(const std::string& parent);
  Scratch(Scratch&& other) noexcept;
  Scratch& operator=(Scratch&&) = delete;
  /// Removes it, and returns when it is gone.
  ~Scratch();

  const std::string& path() const { return path_; }
  /// It stays.
  void keep();

 private:
  Scratch(std::string path, Fd lock, Fd alive, pid_t guardian);
  std::string path_;
  Fd lock_;   // of the folder: held by this process and its children
  Fd alive_;  // closes with the last of them
  pid_t guardian_ = -1;
};

}  // namespace hf::qualify
