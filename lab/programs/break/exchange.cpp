// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// The filesystems' own calls that exchange the blocks of two files.
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "operation.hpp"
#include "uapi.hpp"

namespace lab {
namespace {

/// Issued on `second`, naming `first` by its descriptor.
Outcome exchange(const Subject& s, const std::string& first, const std::string& second) {
  const Open one(first, O_RDWR);
  if (!one.fd) return one.outcome();
  const Open two(second, O_RDWR);
  if (!two.fd) return two.outcome();
  uapi::xfs_exchange_range range{};
  range.file1_fd = one.get();
  range.file1_offset = range.file2_offset = s.offset;
  range.length = s.length;
  return from_call(ioctl(two.get(), uapi::kXfsExchangeRange, &range), "ioctl XFS_IOC_EXCHANGE_RANGE");
}
Outcome exchange_on(const Subject& s) { return exchange(s, s.donor, s.file); }
Outcome exchange_named(const Subject& s) { return exchange(s, s.file, s.donor); }

Outcome commit(const Subject& s, const std::string& first, const std::string& second) {
  const Open one(first, O_RDWR);
  if (!one.fd) return one.outcome();
  const Open two(second, O_RDWR);
  if (!two.fd) return two.outcome();
  uapi::xfs_commit_range range{};
  if (ioctl(two.get(), uapi::kXfsStartCommit, &range) < 0) return {errno, "ioctl XFS_IOC_START_COMMIT"};
  range.file1_fd = one.get();
  range.file1_offset = range.file2_offset = s.offset;
  range.length = s.length;
  return from_call(ioctl(two.get(), uapi::kXfsCommitRange, &range), "ioctl XFS_IOC_COMMIT_RANGE");
}
Outcome commit_on(const Subject& s) { return commit(s, s.donor, s.file); }
Outcome commit_named(const Subject& s) { return commit(s, s.file, s.donor); }

/// Both files are named by number in the call's argument only: the call itself is issued on the scratch folder's own descriptor.
Outcome swap_extents(const Subject& s, const std::string& target, const std::string& temporary) {
  const Open one(target, O_RDWR);
  if (!one.fd) return one.outcome();
  const Open two(temporary, O_RDWR);
  if (!two.fd) return two.outcome();
  const Open other(s.scratch, O_RDONLY | O_DIRECTORY);
  if (!other.fd) return other.outcome();
  fsync(one.get());
  fsync(two.get());
  struct stat status {};
  if (fstat(one.get(), &status) != 0) return {errno, "fstat"};
  uapi::xfs_swapext swap{};
  swap.fd_target = one.get();
  swap.fd_temporary = two.get();
  swap.length = status.st_size;
  // The kernel refuses with EBUSY where the target changed since these.
  swap.stat.ino = status.st_ino;
  swap.stat.mtime = {status.st_mtim.tv_sec, static_cast<__s32>(status.st_mtim.tv_nsec)};
  swap.stat.ctime = {status.st_ctim.tv_sec, static_cast<__s32>(status.st_ctim.tv_nsec)};
  return from_call(ioctl(other.get(), uapi::kXfsSwapExtents, &swap), "ioctl XFS_IOC_SWAPEXT");
}
Outcome swap_extents_target(const Subject& s) { return swap_extents(s, s.file, s.donor); }
Outcome swap_extents_temporary(const Subject& s) { return swap_extents(s, s.donor, s.file); }

Outcome move_extents(const Subject& s, const std::string& original, const std::string& donor) {
  const Open one(original, O_RDWR);
  if (!one.fd) return one.outcome();
  const Open two(donor, O_RDWR);
  if (!two.fd) return two.outcome();
  uapi::ext4_move_extent move{};
  move.donor_fd = static_cast<__u32>(two.get());
  move.original_start = move.donor_start = s.offset / s.unit;
  move.length = s.length / s.unit;
  return from_call(ioctl(one.get(), uapi::kExt4MoveExtents, &move), "ioctl EXT4_IOC_MOVE_EXT");
}
Outcome move_original(const Subject& s) { return move_extents(s, s.file, s.donor); }
Outcome move_donor(const Subject& s) { return move_extents(s, s.donor, s.file); }

Outcome plain_call(const Subject& s, unsigned long command, const char* name) {
  const Open file(s.file, O_RDWR);
  if (!file.fd) return file.outcome();
  return from_call(ioctl(file.get(), command, nullptr), name);
}
Outcome swap_boot(const Subject& s) { return plain_call(s, uapi::kExt4SwapBoot, "ioctl EXT4_IOC_SWAP_BOOT"); }
Outcome migrate(const Subject& s) { return plain_call(s, uapi::kExt4Migrate, "ioctl EXT4_IOC_MIGRATE"); }

}  // namespace

std::vector<Operation> exchange_operations() {
  return {
      // Only where mkfs made the filesystem with exchange=1, and from 6.10 (commit: 6.12).
      {"exchange", "exchange", "XFS_IOC_EXCHANGE_RANGE", Class::breaks, 0, kAnyXfs, kAnyXfs, false, true, exchange_on},
      {"exchange-named", "exchange", "XFS_IOC_EXCHANGE_RANGE, fd", Class::breaks, 0, kAnyXfs, kAnyXfs, false, true, exchange_named},
      {"commit-range", "exchange", "XFS_IOC_COMMIT_RANGE", Class::breaks, 0, kAnyXfs, kAnyXfs, false, true, commit_on},
      {"commit-range-named", "exchange", "XFS_IOC_COMMIT_RANGE, fd", Class::breaks, 0, kAnyXfs, kAnyXfs, false, true, commit_named},
      {"swapext", "exchange", "XFS_IOC_SWAPEXT, fd", Class::breaks, kAnyXfs, 0, kAnyXfs, true, true, swap_extents_target},
      {"swapext-temporary", "exchange", "XFS_IOC_SWAPEXT, fd", Class::breaks, kAnyXfs, 0, kAnyXfs, true, true, swap_extents_temporary},
      {"move-ext", "exchange", "EXT4_IOC_MOVE_EXT", Class::breaks, kExt4, kExt4Dax, kAnyExt4, false, true, move_original},
      {"move-ext-donor", "exchange", "EXT4_IOC_MOVE_EXT, fd", Class::breaks, kExt4, kExt4Dax, kAnyExt4, false, true, move_donor},
      {"swap-boot", "exchange", "EXT4_IOC_SWAP_BOOT", Class::breaks, kAnyExt4, 0, kAnyExt4, true, false, swap_boot},
      {"migrate", "exchange", "EXT4_IOC_MIGRATE", Class::breaks, 0, kAnyExt4, kAnyExt4, true, false, migrate},
  };
}

}  // namespace lab
