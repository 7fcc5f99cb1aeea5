// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// What kernels from 6.1 on understand and the headers of Debian 12 don't declare. Each is the kernel's user interface, and so never changes.
#pragma once

#include <linux/falloc.h>
#include <linux/fs.h>
#include <linux/ioctl.h>
#include <linux/types.h>

namespace hf::actions::uapi {

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
struct [[gnu::packed]] space_resv_32 {
  __s16 type;
  __s16 whence;
  __s64 start;
  __s64 length;
  __s32 sysid;
  __u32 pid;
  __s32 pad[4];
};
static_assert(sizeof(space_resv_32) == 44);
inline constexpr unsigned long kUnreserveSpace32 = _IOW('X', 43, space_resv_32);
inline constexpr unsigned long kZeroRange32 = _IOW('X', 57, space_resv_32);
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

// ... and as a 32-bit program has it: fs/xfs/xfs_ioctl32.h
struct xfs_bstime_32 {
  __s32 sec;
  __s32 nsec;
};
struct [[gnu::packed]] xfs_bstat_32 {
  __u64 ino;
  __u16 mode;
  __u16 nlink;
  __u32 uid;
  __u32 gid;
  __u32 rdev;
  __s32 blksize;
  __s64 size;
  xfs_bstime_32 atime;
  xfs_bstime_32 mtime;
  xfs_bstime_32 ctime;
  char rest[48];
};
struct [[gnu::packed]] xfs_swapext_32 {
  __s64 version;
  __s64 fd_target;
  __s64 fd_temporary;
  __s64 offset;
  __s64 length;
  char pad[16];
  xfs_bstat_32 stat;
};
static_assert(sizeof(xfs_bstat_32) == 108 && sizeof(xfs_swapext_32) == 164);
inline constexpr unsigned long kXfsSwapExtents32 = _IOWR('X', 109, xfs_swapext_32);

struct xfs_scrub_metadata {
  __u32 type;
  __u32 flags;
  __u64 inode;  // 0: of the descriptor
  __u32 generation;
  __u32 pad;
  __u64 reserved[5];
};
static_assert(sizeof(xfs_scrub_metadata) == 64);
inline constexpr unsigned long kXfsScrubMetadata = _IOWR('X', 60, xfs_scrub_metadata);
inline constexpr __u32 kXfsScrubDataFork = 12;          // XFS_SCRUB_TYPE_BMBTD
inline constexpr __u32 kXfsScrubRepair = 1 << 0;        // XFS_SCRUB_IFLAG_REPAIR
inline constexpr __u32 kXfsScrubForceRebuild = 1 << 8;  // XFS_SCRUB_IFLAG_FORCE_REBUILD

struct xfs_geometry {
  __u32 blocksize;
  __u32 rest1[7];
  __u64 datablocks;
  __u64 rtblocks;
  __u64 rtextents;
  __u64 logstart;
  unsigned char uuid[16];
  __u32 sunit;
  __u32 swidth;
  __s32 version;
  __u32 flags;
  __u32 rest2[6];
  __u64 reserved[17];
};
static_assert(sizeof(xfs_geometry) == 256);
inline constexpr unsigned long kXfsGeometry = _IOR('X', 126, xfs_geometry);
inline constexpr __u32 kXfsHasReflink = 1 << 20;
inline constexpr __u32 kXfsHasExchange = 1 << 24;  // XFS_FSOP_GEOM_FLAGS_EXCHANGE_RANGE, from 6.10

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

}  // namespace hf::actions::uapi
