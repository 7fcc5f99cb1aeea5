// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// What uses a mounted filesystem from beside or above: swap, loop devices, stacked filesystems, block targets.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kernel/paths.hpp"

namespace hf::qualify {

struct Surroundings {
  std::vector<std::string> swap_files;
  bool swap_on = false;                                    ///< this machine swaps at all
  std::vector<std::pair<std::string, std::string>> loops;  ///< device, file
  std::vector<std::string> overlays;                       ///< mount points of overlayfs over folders of it
  std::vector<std::string> stacked;                        ///< mount points of ecryptfs over folders of it
  std::vector<std::string> targets;                        ///< backing files of SCSI or NVMe targets

  /// Each in one stable line, by a stable key.
  std::map<std::string, std::string> lines() const;
};

/// @param root in whose place / stands
Surroundings read_surroundings(const std::string& point, const std::vector<Mount>& mounts, const std::string& root = "");

/// Is the path the folder, or below it?
bool lies_in(std::string_view path, std::string_view point);
/// "\040" of /proc and /etc/fstab as the character.
std::string unescaped(std::string_view text);

}  // namespace hf::qualify
