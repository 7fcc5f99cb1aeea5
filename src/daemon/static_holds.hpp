// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// Files that the configuration holds: found by their patterns, without following a symbolic link that somebody else may have put there.
#pragma once

#include <string>
#include <vector>

#include "base/fd.hpp"
#include "base/result.hpp"
#include "lease/policy.hpp"

namespace hf {

struct FoundFile {
  std::string path;
  bool settle = false;
  Fd file;
};

/// Opens what a pattern stands for. Links are followed in the part before the first wildcard's folder only, which is the administrator's own word; below it,
/// where others may write, none is. What is no regular file is left out.
std::vector<FoundFile> find_held_files(const std::vector<StaticHold>& holds);

}  // namespace hf
