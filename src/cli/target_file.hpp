// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// The FILE of a command line, opened, or the reason why it can't be the one that was meant.
#pragma once

#include <cstdint>
#include <string>

#include "base/fd.hpp"
#include "base/result.hpp"

namespace hf::cli {

struct TargetFile {
  Fd fd;
  std::string path;  ///< absolute where it could be found out
  std::uint64_t size_bytes = 0;
};

/// Opens a regular file without changing it or its times of access. @param write for writing where the caller may, else for reading
Result<TargetFile> open_target(const std::string& path, bool write);

}  // namespace hf::cli
