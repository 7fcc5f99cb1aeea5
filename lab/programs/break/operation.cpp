// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "operation.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/statfs.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <iterator>
#include <stdexcept>
#include <system_error>

namespace lab {

std::uint64_t Subject::half() const {
  const std::uint64_t bytes = length / 2 / unit * unit;
  return std::max(bytes, unit);
}

void Subject::opened() const {
  if (!wait) return;
  fmt::print("{{\"ready\": true}}\n");
  std::fflush(stdout);
  for (int c = std::getchar(); c != EOF && c != '\n'; c = std::getchar()) {
  }
}

Open::Open(const std::string& path, int flags, unsigned mode) : fd(open(path.c_str(), flags | O_CLOEXEC, mode)), error(fd ? 0 : errno) {}

Outcome from_call(long result, const char* call) { return {result < 0 ? errno : 0, call}; }

const std::vector<Operation>& operations() {
  static const std::vector<Operation> all = [] {
    std::vector<Operation> table;
    for (auto part :
         {size_operations, fallocate_operations, share_operations, exchange_operations, attribute_operations, uring_operations, control_operations}) {
      std::ranges::move(part(), std::back_inserter(table));
    }
    return table;
  }();
  return all;
}

Where where_is(const std::string& path) {
  struct statfs filesystem {};
  if (statfs(path.c_str(), &filesystem) != 0) throw std::runtime_error("statfs " + path + ": " + std::generic_category().message(errno));
  struct statx status {};
  if (statx(AT_FDCWD, path.c_str(), 0, STATX_BASIC_STATS, &status) != 0)
    throw std::runtime_error("statx " + path + ": " + std::generic_category().message(errno));
  const bool dax = status.stx_attributes & STATX_ATTR_DAX;
  switch (filesystem.f_type) {
    case 0x58465342:
      return dax ? kXfsDax : kXfs;
    case EXT4_SUPER_MAGIC:
      return dax ? kExt4Dax : kExt4;
    case TMPFS_MAGIC:
      return kTmpfs;
    case HUGETLBFS_MAGIC:
      return kHugetlbfs;
    default:
      throw std::runtime_error(fmt::format("{}: a filesystem that this program does not know (magic {:#x})", path, filesystem.f_type));
  }
}

const char* name_of(Where where) {
  switch (where) {
    case kXfsDax:
      return "xfs-dax";
    case kXfs:
      return "xfs";
    case kExt4Dax:
      return "ext4-dax";
    case kExt4:
      return "ext4";
    case kTmpfs:
      return "tmpfs";
    case kHugetlbfs:
      return "hugetlbfs";
    default:
      return "?";
  }
}

}  // namespace lab
