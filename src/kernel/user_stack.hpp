// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// The call stack of a program, from what the kernel side took of it: build ids and offsets, which name a function even when the process is gone.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <set>
#include <span>
#include <string>
#include <tuple>
#include <vector>

#include "kern.h"
#include "kernel/paths.hpp"
#include "kernel/process.hpp"

namespace hf {

class UserStacks {
 public:
  explicit UserStacks(ProcessTable processes = ProcessTable()) : processes_(std::move(processes)) {}

  /// @param executable path of the process's own program; "" where it is not known
  /// @return a line for each frame, the innermost first: "function+0x12 (/path/of/file)"; where no file with that build id is found, "0x1234 (build id ...)";
  /// "0x1234 (/path)" where it is not root's own, since what users can write is not parsed (addr2line(1) tells the function)
  std::vector<std::string> describe(std::span<const hf_user_frame> frames, pid_t pid, bool alive, const std::string& executable);

 private:
  void learn_process(pid_t pid);
  void learn_file(const std::string& path, const std::string& open_as);

  ProcessTable processes_;
  MountTable mounts_;
  std::map<std::string, std::string> files_;  ///< build id → path; of what was seen so far, bounded
  using Seen = std::tuple<dev_t, ino_t, time_t, long>;
  std::set<Seen> seen_;  ///< files that need no second look: device, inode, time of the last change
};

}  // namespace hf
