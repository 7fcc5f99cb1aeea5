// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// What kernels from 6.1 on understand and the headers of Debian 12 don't declare. Each is the kernel's user interface, and so never changes.
#pragma once

#include <linux/falloc.h>
#include <linux/fs.h>
#include <linux/ioctl.h>
#include <linux/types.h>

namespace lab::uapi {

// linux/falloc.h, from 6.17
inline constexpr int kFallocWriteZeroes = 0x80;

// linux/io_uring.h, from 6.9
inline constexpr unsigned kUringFtruncate = 55;

// file_setattr(2), from 6.17
inline constexpr long kFileGetattr = 468;
inline constexpr long kFileSetattr = 469;
struct file_attr {
  __u64 xflags;
  __u32 extsize;
  __u32 nextents;
  __u32 projid;
  __u32 cowextsize;
};

// fs/ioctl.c: the allocation calls that came from XFS and work on every regular file
struct space_resv {
  __s16 type;
  __s16 whence;
  __s64 start;
  __s64 length;
  __s32 sysid;
  __u32 pid;
  __s32 pad[4];
};
static_assert(sizeof(space_resv) == 48);
inline constexpr unsigned long kUnreserveSpace = _IOW('X', 43, space_resv);
inline constexpr unsigned long kZeroRange = _IOW('X', 57, space_resv);

// fs/xfs/libxfs/xfs_fs.h
struct xfs_exchange_range {
  __s32 file1_fd;
  __u32 pad;
  __u64 file1_offset;
  __u64 file2_offset;
  __u64 length;
  __u64 flags;
};
static_assert(sizeof(xfs_exchange_range) == 40);
inline constexpr unsigned long kXfsExchangeRange = _IOW('X', 129, xfs_exchange_range);  // from 6.10, where mkfs made the filesystem with it

struct xfs_commit_range {
  __s32 file1_fd;
  __u32 pad;
  __u64 file1_offset;
  __u64 file2_offset;
  __u64 length;
  __u64 flags;
  __u64 file2_freshness[6];
};
static_assert(sizeof(xfs_commit_range) == 88);
inline constexpr unsigned long kXfsStartCommit = _IOR('X', 130, xfs_commit_range);  // from 6.12
inline constexpr unsigned long kXfsCommitRange = _IOW('X', 131, xfs_commit_range);

struct xfs_bstime {
  __kernel_long_t sec;
  __s32 nsec;
};
struct xfs_bstat {
  __u64 ino;
  __u16 mode;
  __u16 nlink;
  __u32 uid;
  __u32 gid;
  __u32 rdev;
  __s32 blksize;
  __s64 size;
  xfs_bstime atime;
  xfs_bstime mtime;
  xfs_bstime ctime;
  __s64 blocks;
  __u32 xflags;
  __s32 extsize;
  __s32 extents;
  __u32 gen;
  __u16 projid_lo;
  __u16 forkoff;
  __u16 projid_hi;
  __u16 sick;
  __u16 checked;
  unsigned char pad[2];
  __u32 cowextsize;
  __u32 dmevmask;
  __u16 dmstate;
  __u16 aextents;
};
struct xfs_swapext {
  __s64 version;
  __s64 fd_target;
  __s64 fd_temporary;
  __s64 offset;
  __s64 length;
  char pad[16];
  xfs_bstat stat;
};
static_assert(sizeof(xfs_bstat) == 136 && sizeof(xfs_swapext) == 192);
inline constexpr unsigned long kXfsSwapExtents = _IOWR('X', 109, xfs_swapext);

// fs/ext4/ext4.h
struct ext4_move_extent {
  __s32 reserved;
  __u32 donor_fd;
  __u64 original_start;  // these four in blocks
  __u64 donor_start;
  __u64 length;
  __u64 moved_length;
};
static_assert(sizeof(ext4_move_extent) == 40);
inline constexpr unsigned long kExt4MoveExtents = _IOWR('f', 15, ext4_move_extent);
inline constexpr unsigned long kExt4SwapBoot = _IO('f', 17);
inline constexpr unsigned long kExt4Migrate = _IO('f', 9);

}  // namespace lab::uapi
