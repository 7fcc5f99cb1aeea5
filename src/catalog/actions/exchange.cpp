// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// The filesystems' own calls that exchange the blocks of two files.
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "catalog/actions/action.hpp"
#include "catalog/actions/uapi.hpp"

namespace hf::actions {
namespace {

/// Issued on `second`, naming `first` by its descriptor.
Outcome exchange(const Subject& s, const std::string& first, const std::string& second) {
  const Open one(s, first, O_RDWR);
  if (!one.fd) return one.outcome();
  const Open two(s, second, O_RDWR);
  if (!two.fd) return two.outcome();
  uapi::xfs_exchange_range range{};
  range.file1_fd = one.get();
  range.file1_offset = range.file2_offset = s.offset;
  range.length = s.length;
  return from_call(s.calls->ioctl(two.get(), uapi::kXfsExchangeRange, &range, sizeof range), "ioctl XFS_IOC_EXCHANGE_RANGE");
}
Outcome exchange_on(const Subject& s) { return exchange(s, s.donor, s.file); }
Outcome exchange_named(const Subject& s) { return exchange(s, s.file, s.donor); }

Outcome commit(const Subject& s, const std::string& first, const std::string& second) {
  const Open one(s, first, O_RDWR);
  if (!one.fd) return one.outcome();
  const Open two(s, second, O_RDWR);
  if (!two.fd) return two.outcome();
  uapi::xfs_commit_range range{};
  if (const long result = s.calls->ioctl(two.get(), uapi::kXfsStartCommit, &range, sizeof range); result < 0)
    return from_call(result, "ioctl XFS_IOC_START_COMMIT");
  range.file1_fd = one.get();
  range.file1_offset = range.file2_offset = s.offset;
  range.length = s.length;
  return from_call(s.calls->ioctl(two.get(), uapi::kXfsCommitRange, &range, sizeof range), "ioctl XFS_IOC_COMMIT_RANGE");
}
Outcome commit_on(const Subject& s) { return commit(s, s.donor, s.file); }
Outcome commit_named(const Subject& s) { return commit(s, s.file, s.donor); }

/// Both files are named by number in the call's argument only: the call itself is issued on the scratch folder's own descriptor.
template <class Swap, class Seconds>
Outcome swap_extents_as(const Subject& s, const std::string& target, const std::string& temporary, unsigned long command) {
  const Open one(s, target, O_RDWR);
  if (!one.fd) return one.outcome();
  const Open two(s, temporary, O_RDWR);
  if (!two.fd) return two.outcome();
  const Open other(s, s.scratch, O_RDONLY | O_DIRECTORY);
  if (!other.fd) return other.outcome();
  fsync(one.get());
  fsync(two.get());
  struct stat status {};
  if (fstat(one.get(), &status) != 0) return {errno, "fstat"};
  Swap swap{};
  swap.fd_target = one.get();
  swap.fd_temporary = two.get();
  swap.length = status.st_size;
  // The kernel refuses with EBUSY where the target changed since these.
  swap.stat.ino = status.st_ino;
  swap.stat.mtime = {static_cast<Seconds>(status.st_mtim.tv_sec), static_cast<__s32>(status.st_mtim.tv_nsec)};
  swap.stat.ctime = {static_cast<Seconds>(status.st_ctim.tv_sec), static_cast<__s32>(status.st_ctim.tv_nsec)};
  return from_call(s.calls->ioctl(other.get(), command, &swap, sizeof swap), "ioctl XFS_IOC_SWAPEXT");
}
Outcome swap_extents(const Subject& s, const std::string& target, const std::string& temporary) {
  if (s.calls->compat()) return swap_extents_as<uapi::xfs_swapext_32, __s32>(s, target, temporary, uapi::kXfsSwapExtents32);
  return swap_extents_as<uapi::xfs_swapext, __kernel_long_t>(s, target, temporary, uapi::kXfsSwapExtents);
}
Outcome swap_extents_target(const Subject& s) { return swap_extents(s, s.file, s.donor); }
Outcome swap_extents_temporary(const Subject& s) { return swap_extents(s, s.donor, s.file); }

Outcome move_extents(const Subject& s, const std::string& original, const std::string& donor) {
  const Open one(s, original, O_RDWR);
  if (!one.fd) return one.outcome();
  const Open two(s, donor, O_RDWR);
  if (!two.fd) return two.outcome();
  uapi::ext4_move_extent move{};
  move.donor_fd = static_cast<__u32>(two.get());
  move.original_start = move.donor_start = s.offset / s.unit;
  move.length = s.length / s.unit;
  return from_call(s.calls->ioctl(one.get(), uapi::kExt4MoveExtents, &move, sizeof move), "ioctl EXT4_IOC_MOVE_EXT");
}
Outcome move_original(const Subject& s) { return move_extents(s, s.file, s.donor); }
Outcome move_donor(const Subject& s) { return move_extents(s, s.donor, s.file); }

Outcome plain_call(const Subject& s, unsigned long command, const char* name) {
  const Open file(s, s.file, O_RDWR);
  if (!file.fd) return file.outcome();
  return from_call(s.calls->ioctl_value(file.get(), command, 0), name);
}
Outcome swap_boot(const Subject& s) { return plain_call(s, uapi::kExt4SwapBoot, "ioctl EXT4_IOC_SWAP_BOOT"); }
Outcome migrate(const Subject& s) { return plain_call(s, uapi::kExt4Migrate, "ioctl EXT4_IOC_MIGRATE"); }

/// Builds the file's block map anew, from the reverse mappings.
Outcome online_repair(const Subject& s) {
  const Open file(s, s.file, O_RDWR);
  if (!file.fd) return file.outcome();
  uapi::xfs_scrub_metadata scrub{};
  scrub.type = uapi::kXfsScrubDataFork;
  scrub.flags = uapi::kXfsScrubRepair | uapi::kXfsScrubForceRebuild;
  const Outcome outcome = from_call(s.calls->ioctl(file.get(), uapi::kXfsScrubMetadata, &scrub, sizeof scrub), "ioctl XFS_IOC_SCRUB_METADATA");
  // Without reverse mappings it is refused only after xchk_setup_inode_bmap() has dropped the file's pages.
  return outcome.error == EOPNOTSUPP ? Outcome{0, "ioctl XFS_IOC_SCRUB_METADATA, refused after its preparations"} : outcome;
}

/// ext4 makes files without extents where its inode says so; then MIGRATE has something to do.
Outcome without_extents(Subject& s) {
  const Open file(s, s.file, O_RDWR);
  if (!file.fd) return file.outcome();
  int flags = 0;
  if (ioctl(file.get(), FS_IOC_GETFLAGS, &flags) < 0) return {errno, "ioctl FS_IOC_GETFLAGS"};
  flags &= ~FS_EXTENT_FL;
  return from_libc(ioctl(file.get(), FS_IOC_SETFLAGS, &flags), "ioctl FS_IOC_SETFLAGS without extents");
}

}  // namespace

std::vector<Action> exchange_actions() {
  constexpr Kind breaks = Kind::breaks;
  return {
      {"exchange", "exchange", "XFS_IOC_EXCHANGE_RANGE", breaks, kAnyXfs, 0, kAnyXfs, kAnyXfs, kNeedsDonor | kNoOverlay, Needs::exchange_range, exchange_on,
       nullptr},
      {"exchange-named", "exchange", "XFS_IOC_EXCHANGE_RANGE, fd", breaks, kAnyXfs, 0, kAnyXfs, kAnyXfs, kNeedsDonor | kNoOverlay, Needs::exchange_range,
       exchange_named, nullptr},
      {"commit-range", "exchange", "XFS_IOC_COMMIT_RANGE", breaks, kAnyXfs, 0, kAnyXfs, kAnyXfs, kNeedsDonor | kNoOverlay, Needs::commit_range, commit_on,
       nullptr},
      {"commit-range-named", "exchange", "XFS_IOC_COMMIT_RANGE, fd", breaks, kAnyXfs, 0, kAnyXfs, kAnyXfs, kNeedsDonor | kNoOverlay, Needs::commit_range,
       commit_named, nullptr},
      {"swapext", "swap-extents", "XFS_IOC_SWAPEXT, fd", breaks, kAnyXfs, 0, kAnyXfs, kAnyXfs, kNeedsRoot | kNeedsDonor | kNoOverlay, Needs::nothing,
       swap_extents_target, nullptr},
      {"swapext-temporary", "swap-extents", "XFS_IOC_SWAPEXT, fd", breaks, kAnyXfs, 0, kAnyXfs, kAnyXfs, kNeedsRoot | kNeedsDonor | kNoOverlay, Needs::nothing,
       swap_extents_temporary, nullptr},
      {"move-ext", "move-extents", "EXT4_IOC_MOVE_EXT", breaks, kExt4, kExt4Dax, kAnyExt4, kExt4, kNeedsDonor | kNoOverlay | kUnheld, Needs::nothing,
       move_original, nullptr},
      {"move-ext-donor", "move-extents", "EXT4_IOC_MOVE_EXT, fd", breaks, kExt4, kExt4Dax, kAnyExt4, kExt4, kNeedsDonor | kNoOverlay | kUnheld, Needs::nothing,
       move_donor, nullptr},
      {"swap-boot", "swap-boot", "EXT4_IOC_SWAP_BOOT", breaks, kAnyExt4, 0, kAnyExt4, kAnyExt4, kNeedsRoot | kNoOverlay | kNoCompat, Needs::nothing, swap_boot,
       nullptr},
      {"migrate", "migrate", "EXT4_IOC_MIGRATE", breaks, 0, kAnyExt4, kAnyExt4, 0, kNeedsRoot | kNoOverlay | kNoCompat, Needs::block_map, migrate,
       without_extents},
      // Only with CONFIG_XFS_ONLINE_REPAIR.
      {"online-repair", "online-repair", "XFS_IOC_SCRUB_METADATA", Kind::breaks, 0, kAnyXfs, kNowhere, kXfs, kNeedsRoot | kNoOverlay, Needs::nothing,
       online_repair, nullptr},
  };
}

}  // namespace hf::actions
