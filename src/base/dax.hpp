// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include <fcntl.h>
#include <sys/stat.h>

namespace hf {

/// Does the file bypass the page cache (STATX_ATTR_DAX)? False also where that can't be read.
inline bool is_dax(int fd) {
  struct statx status {};
  return ::statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &status) == 0 && (status.stx_attributes & STATX_ATTR_DAX);
}

}  // namespace hf
