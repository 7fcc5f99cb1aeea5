// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "catalog/break_sources.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace hf {

namespace {

constexpr std::uint8_t kDaxAndPageCache = kDax | kPageCache;

constexpr std::string_view kSetattr = "inode_setattr with ATTR_SIZE";
constexpr std::string_view kFallocate = "vfs_fallocate, then file_permission";
constexpr std::string_view kClone = "vfs_clone_file_range, then file_permission";
constexpr std::string_view kDedupe = "vfs_dedupe_file_range_one, then file_permission";
constexpr std::string_view kCopy = "vfs_copy_file_range, then file_permission";
constexpr std::string_view kIoctl = "file_ioctl";

// Every way in by io_uring or a 32-bit process reaches the same hook; the routes name the calls themselves.
constexpr std::array kBreakSources{
    BreakSource{.op = HF_OP_TRUNCATE,
                .id = "truncate",
                .source_class = BreakClass::truncate,
                .description = "sets a smaller size: what lies beyond it is freed",
                .routes = {"truncate", "ftruncate", "open O_TRUNC", "creat", "io_uring FTRUNCATE", "SETATTR by nfsd or ksmbd", "a core dump into the file",
                           "overlayfs above the file"},
                .touches = Touches::from_new_size,
                .range = "[new size, end of file); growing touches nothing",
                .kinds = kAllKinds,
                .filesystems = "all",
                .hook = kSetattr,
                .verdict = Verdict::refused,
                .functions = {"notify_change", "xfs:xfs_setattr_size|xfs:xfs_vn_setattr_size", "ext4:ext4_setattr", "shmem_setattr", "hugetlbfs_setattr"},
                .choke_points = {"truncate_inode_pages_range", "shmem_undo_range", "remove_inode_hugepages", "__xfs_bunmapi", "ext4_ext_remove_space"},
                .administrator = "open files for writing only where they are used; seal memfds with F_SEAL_SHRINK"},
    BreakSource{.op = HF_OP_PUNCH,
                .id = "punch",
                .source_class = BreakClass::punch,
                .description = "frees what backs a range and leaves a hole",
                .routes = {"fallocate PUNCH_HOLE", "madvise MADV_REMOVE", "FS_IOC_UNRESVSP", "io_uring FALLOCATE", "FALLOCATE by nfsd or ksmbd",
                           "DSM of an nvmet namespace"},
                .touches = Touches::range,
                .range = "[offset, offset + length)",
                .kinds = kAllKinds,
                .filesystems = "all",
                .hook = kFallocate,
                .verdict = Verdict::refused,
                .functions = {"vfs_fallocate", "xfs:xfs_free_file_space", "ext4:ext4_punch_hole", "shmem_fallocate", "hugetlbfs_fallocate"},
                .choke_points = {"truncate_inode_pages_range", "shmem_undo_range", "remove_inode_hugepages", "__xfs_bunmapi", "ext4_ext_remove_space"},
                .administrator = "none needed"},
    BreakSource{.op = HF_OP_ZERO,
                .id = "zero",
                .source_class = BreakClass::zero,
                .description = "replaces a range by unwritten extents",
                .routes = {"fallocate ZERO_RANGE", "FS_IOC_ZERO_RANGE", "io_uring FALLOCATE"},
                .touches = Touches::range,
                .range = "[offset, offset + length)",
                .kinds = kDaxAndPageCache,
                .filesystems = "xfs ext4",
                .hook = kFallocate,
                .verdict = Verdict::refused,
                .functions = {"vfs_fallocate", "xfs:xfs_free_file_space", "ext4:ext4_fallocate"},
                .choke_points = {"truncate_inode_pages_range", "__xfs_bunmapi"},
                .administrator = "none needed"},
    BreakSource{.op = HF_OP_COLLAPSE,
                .id = "collapse",
                .source_class = BreakClass::shift,
                .description = "takes a range out: all that follows moves down",
                .routes = {"fallocate COLLAPSE_RANGE", "io_uring FALLOCATE"},
                .touches = Touches::from_offset,
                .range = "[offset - one block, end of file)",
                .kinds = kDaxAndPageCache,
                .filesystems = "xfs ext4",
                .hook = kFallocate,
                .verdict = Verdict::refused,
                .functions = {"vfs_fallocate", "xfs:xfs_collapse_file_space", "ext4:ext4_fallocate"},
                .choke_points = {"truncate_inode_pages_range", "__xfs_bunmapi", "ext4_ext_shift_extents", "ext4_ext_remove_space"},
                .administrator = "none needed"},
    BreakSource{.op = HF_OP_INSERT,
                .id = "insert",
                .source_class = BreakClass::shift,
                .description = "puts a hole in: all that follows moves up",
                .routes = {"fallocate INSERT_RANGE", "io_uring FALLOCATE"},
                .touches = Touches::from_offset,
                .range = "[offset - one block, end of file)",
                .kinds = kDaxAndPageCache,
                .filesystems = "xfs ext4",
                .hook = kFallocate,
                .verdict = Verdict::refused,
                .functions = {"vfs_fallocate", "xfs:xfs_insert_file_space", "ext4:ext4_fallocate"},
                .choke_points = {"truncate_inode_pages_range", "ext4_ext_shift_extents"},
                .administrator = "none needed"},
    BreakSource{.op = HF_OP_UNSHARE,
                .id = "unshare",
                .source_class = BreakClass::unshare,
                .description = "gives shared extents of a range blocks of their own, which moves them",
                .routes = {"fallocate UNSHARE_RANGE", "io_uring FALLOCATE"},
                .touches = Touches::range,
                .range = "[offset, offset + length)",
                .kinds = kDaxAndPageCache,
                .filesystems = "xfs",
                .hook = kFallocate,
                .verdict = Verdict::refused,
                .functions = {"vfs_fallocate", "xfs:xfs_reflink_unshare"},
                .choke_points = {"invalidate_inode_pages2_range", "__xfs_bunmapi"},
                .administrator = "mkfs.xfs -m reflink=0"},
    BreakSource{.op = HF_OP_WRITE_ZEROES,
                .id = "write-zeroes",
                .source_class = BreakClass::write_zeroes,
                .description = "replaces a range by written zeroes",
                .routes = {"fallocate WRITE_ZEROES", "io_uring FALLOCATE"},
                .touches = Touches::range,
                .range = "[offset, offset + length)",
                .kinds = kDaxAndPageCache,
                .filesystems = "xfs ext4",
                .hook = kFallocate,
                .verdict = Verdict::refused,
                .needs = "queue_max_wzeroes_unmap_sectors_show",
                .since = "6.17",
                .functions = {"vfs_fallocate"},
                .choke_points = {"truncate_inode_pages_range", "__xfs_bunmapi"},
                .administrator = "none needed"},
    BreakSource{.op = HF_OP_FALLOCATE_NEW,
                .id = "fallocate-new",
                .source_class = BreakClass::unknown_call,
                .description = "a fallocate mode that this version does not know",
                .routes = {"fallocate with an unknown mode", "io_uring FALLOCATE"},
                .touches = Touches::from_offset,
                .range = "[offset, end of file): nobody has looked yet at what it touches",
                .kinds = kAllKinds,
                .filesystems = "all",
                .hook = kFallocate,
                .verdict = Verdict::refused,
                .functions = {"vfs_fallocate"},
                .administrator = "none needed"},
    BreakSource{.op = HF_OP_REFLINK,
                .id = "reflink",
                .source_class = BreakClass::reflink,
                .description = "replaces a range by another file's extents, shared",
                .routes = {"FICLONE", "FICLONERANGE"},
                .touches = Touches::range_of_each,
                .range = "the destination range; of FICLONE the whole file",
                .kinds = kDaxAndPageCache,
                .filesystems = "xfs",
                .hook = kClone,
                .verdict = Verdict::refused,
                .functions = {"vfs_clone_file_range", "xfs:xfs_file_remap_range"},
                .choke_points = {"truncate_inode_pages_range", "__xfs_bunmapi", "xfs_reflink_remap_blocks"},
                .administrator = "mkfs.xfs -m reflink=0"},
    BreakSource{.op = HF_OP_REFLINK_FROM,
                .id = "reflink-from",
                .source_class = BreakClass::reflink_from,
                .description = "shares the file's extents with another file: the next write moves them, and a pinned writer writes into the clone",
                .routes = {"FICLONE", "FICLONERANGE"},
                .touches = Touches::range_of_each,
                .range = "the source range; of FICLONE the whole file",
                .kinds = kDaxAndPageCache,
                .filesystems = "xfs",
                .hook = kClone,
                .verdict = Verdict::refused,
                .functions = {"vfs_clone_file_range", "xfs:xfs_file_remap_range"},
                .choke_points = {"xfs_reflink_remap_blocks"},
                .administrator = "mkfs.xfs -m reflink=0"},
    BreakSource{.op = HF_OP_DEDUPE,
                .id = "dedupe",
                .source_class = BreakClass::dedupe,
                .description = "replaces a range by another file's extents of the same content",
                .routes = {"FIDEDUPERANGE"},
                .touches = Touches::range_of_each,
                .range = "the destination range",
                .kinds = kDaxAndPageCache,
                .filesystems = "xfs",
                .hook = kDedupe,
                .verdict = Verdict::refused,
                .functions = {"vfs_dedupe_file_range_one", "xfs:xfs_file_remap_range"},
                .choke_points = {"truncate_inode_pages_range", "__xfs_bunmapi"},
                .administrator = "mkfs.xfs -m reflink=0"},
    BreakSource{.op = HF_OP_DEDUPE_FROM,
                .id = "dedupe-from",
                .source_class = BreakClass::dedupe,
                .description = "shares the file's extents with a file of the same content",
                .routes = {"FIDEDUPERANGE"},
                .touches = Touches::range_of_each,
                .range = "the source range",
                .kinds = kDaxAndPageCache,
                .filesystems = "xfs",
                .hook = kDedupe,
                .verdict = Verdict::refused,
                .functions = {"vfs_dedupe_file_range_one", "xfs:xfs_file_remap_range"},
                .choke_points = {"xfs_reflink_remap_blocks"},
                .administrator = "mkfs.xfs -m reflink=0"},
    BreakSource{.op = HF_OP_COPY,
                .id = "copy",
                .source_class = BreakClass::copy,
                .description = "copies into the file, where the filesystem may share extents instead",
                .routes = {"copy_file_range", "COPY or CLONE by nfsd", "copy-chunk by ksmbd"},
                .touches = Touches::range_of_each,
                .range = "the destination range",
                .kinds = kDaxAndPageCache,
                .filesystems = "xfs",
                .hook = kCopy,
                .verdict = Verdict::refused,
                .functions = {"vfs_copy_file_range", "xfs:xfs_file_remap_range"},
                .choke_points = {"truncate_inode_pages_range", "__xfs_bunmapi"},
                .administrator = "mkfs.xfs -m reflink=0"},
    BreakSource{.op = HF_OP_COPY_FROM,
                .id = "copy-from",
                .source_class = BreakClass::copy,
                .description = "copies out of the file, where the filesystem may share its extents instead",
                .routes = {"copy_file_range", "COPY or CLONE by nfsd", "copy-chunk by ksmbd"},
                .touches = Touches::range_of_each,
                .range = "the source range",
                .kinds = kDaxAndPageCache,
                .filesystems = "xfs",
                .hook = kCopy,
                .verdict = Verdict::refused,
                .functions = {"vfs_copy_file_range", "xfs:xfs_file_remap_range"},
                .choke_points = {"xfs_reflink_remap_blocks"},
                .administrator = "mkfs.xfs -m reflink=0"},
    BreakSource{.op = HF_OP_EXCHANGE,
                .id = "exchange",
                .source_class = BreakClass::exchange,
                .description = "exchanges the extents of two ranges",
                .routes = {"XFS_IOC_EXCHANGE_RANGE", "XFS_IOC_COMMIT_RANGE"},
                .touches = Touches::range_of_each,
                .range = "the range in each of both files",
                .kinds = kDaxAndPageCache,
                .filesystems = "xfs",
                .hook = kIoctl,
                .verdict = Verdict::refused,
                .needs = "xfs:xfs_ioc_exchange_range",
                .since = "6.10",
                .functions = {"xfs:xfs_ioc_exchange_range", "xfs:xfs_ioc_commit_range", "xfs:xfs_exchange_range"},
                .choke_points = {"truncate_inode_pages_range", "__xfs_bunmapi"},
                .administrator = "mkfs.xfs -i exchange=0"},
    BreakSource{.op = HF_OP_SWAP_EXTENTS,
                .id = "swap-extents",
                .source_class = BreakClass::exchange,
                .description = "exchanges all extents of two files, as xfs_fsr does",
                .routes = {"XFS_IOC_SWAPEXT"},
                .touches = Touches::whole_file_each,
                .range = "both files, whole",
                .kinds = kDaxAndPageCache,
                .filesystems = "xfs",
                .hook = kIoctl,
                .verdict = Verdict::refused,
                .functions = {"xfs:xfs_ioc_swapext", "xfs:xfs_swap_extents"},
                .choke_points = {"truncate_inode_pages_range", "xfs_swap_extents"},
                .administrator = "do not run xfs_fsr on this mount"},
    BreakSource{.op = HF_OP_MOVE_EXTENTS,
                .id = "move-extents",
                .source_class = BreakClass::exchange,
                .description = "exchanges extents with a donor file, as e4defrag does",
                .routes = {"EXT4_IOC_MOVE_EXT"},
                .touches = Touches::range_of_each,
                .range = "the range in both files",
                .kinds = kDaxAndPageCache,
                .filesystems = "ext4",
                .hook = kIoctl,
                .verdict = Verdict::refused,
                .functions = {"ext4:ext4_move_extents", "ext4:ext4_swap_extents"},
                .choke_points = {"ext4_swap_extents"},
                .administrator = "do not run e4defrag on this mount"},
    BreakSource{.op = HF_OP_SWAP_BOOT,
                .id = "swap-boot",
                .source_class = BreakClass::exchange,
                .description = "exchanges all blocks with the boot loader's inode",
                .routes = {"EXT4_IOC_SWAP_BOOT"},
                .touches = Touches::whole_file,
                .range = "the whole file",
                .kinds = kDaxAndPageCache,
                .filesystems = "ext4",
                .hook = kIoctl,
                .verdict = Verdict::refused,
                .functions = {"ext4:__ext4_ioctl"},
                .choke_points = {"truncate_inode_pages_range"},
                .administrator = "none needed: only root may"},
    BreakSource{.op = HF_OP_MIGRATE,
                .id = "migrate",
                .source_class = BreakClass::exchange,
                .description = "rebuilds the file's block map as extents",
                .routes = {"EXT4_IOC_MIGRATE"},
                .touches = Touches::whole_file,
                .range = "the whole file",
                .kinds = kDaxAndPageCache,
                .filesystems = "ext4",
                .hook = kIoctl,
                .verdict = Verdict::refused,
                .functions = {"ext4:ext4_ext_migrate"},
                .administrator = "mkfs.ext4 makes files with extents unless told otherwise"},
    BreakSource{.op = HF_OP_ATTRIBUTES,
                .id = "attributes",
                .source_class = BreakClass::attributes,
                .description = "changes flags or the version: DAX, journalling, compression, realtime, encryption; the number that tells the file",
                .routes = {"FS_IOC_SETFLAGS", "FS_IOC_FSSETXATTR", "file_setattr", "FS_IOC_SETVERSION", "chattr", "xfs_io chattr"},
                .touches = Touches::whole_file,
                .range = "the whole file; some flags only at its next eviction",
                .kinds = kDaxAndPageCache,
                .filesystems = "xfs ext4",
                .hook = "file_ioctl; inode_file_setattr where there is one",
                .verdict = Verdict::refused,
                .functions = {"vfs_fileattr_set", "ext4:__ext4_ioctl"},
                .administrator = "none needed"},
    BreakSource{.op = HF_OP_VERITY,
                .id = "verity",
                .source_class = BreakClass::attributes,
                .description = "seals the file's content: every later write would be an error of the medium",
                .routes = {"FS_IOC_ENABLE_VERITY"},
                .touches = Touches::whole_file,
                .range = "the whole file",
                .kinds = kPageCache,
                .filesystems = "ext4",
                .hook = kIoctl,
                .verdict = Verdict::refused,
                .functions = {"fsverity_ioctl_enable"},
                .administrator = "mkfs.ext4 -O ^verity"},
    BreakSource{.op = HF_OP_LAYOUT_CALL,
                .id = "layout-call",
                .source_class = BreakClass::unknown_call,
                .description = "one of the calls above whose details the gate could not see",
                .routes = {"fallocate", "FICLONE", "FICLONERANGE", "FIDEDUPERANGE", "copy_file_range"},
                .touches = Touches::whole_file,
                .range = "the whole file: the range is not known",
                .kinds = kAllKinds,
                .filesystems = "all",
                .hook = "file_permission, and the call stack",
                .verdict = Verdict::refused,
                .functions = {"security_file_permission"},
                .administrator = "none needed"},
    BreakSource{.op = HF_OP_DIRECT_WRITE,
                .id = "direct-write",
                .source_class = BreakClass::invalidate,
                .description = "writes past the page cache: the pages of its range are dropped, pinned or not",
                .routes = {"write O_DIRECT", "pwrite O_DIRECT", "writev O_DIRECT", "splice into O_DIRECT", "io_submit O_DIRECT", "io_uring WRITE O_DIRECT",
                           "a loop device with direct I/O"},
                .touches = Touches::range,
                .range = "[offset, offset + length) of write and pwrite; of writev from the offset on; by io_submit and io_uring the whole file",
                .kinds = kPageCache,
                .filesystems = "xfs ext4",
                .hook = "file_permission",
                .verdict = Verdict::refused,
                .functions = {"kiocb_invalidate_pages", "__iomap_dio_rw"},
                .choke_points = {"invalidate_inode_pages2_range", "folio_unmap_invalidate"},
                .administrator = "use DAX, tmpfs or hugetlbfs for what is registered"},
    BreakSource{.op = HF_OP_LOOP_ATTACH,
                .id = "loop-attach",
                .source_class = BreakClass::loop,
                .description = "puts a loop device on the file, whose discards and direct I/O no hook sees",
                .routes = {"LOOP_CONFIGURE", "LOOP_SET_FD", "LOOP_CHANGE_FD"},
                .touches = Touches::whole_file,
                .range = "the whole file",
                .kinds = kDax | kShmem | kPageCache,
                .filesystems = "xfs ext4 tmpfs",
                .hook = kIoctl,
                .verdict = Verdict::refused,
                .needs = "loop:lo_ioctl",
                .functions = {"loop:lo_ioctl", "loop:loop_configure"},
                .administrator = "modprobe.d: blacklist loop"},
    BreakSource{.op = HF_OP_NONE,
                .id = "cow-write",
                .source_class = BreakClass::cow_write,
                .description = "writes to shared extents: the filesystem gives the range other blocks first",
                .routes = {"write", "a store to a mapping", "write O_DIRECT"},
                .touches = Touches::range,
                .range = "the written range",
                .kinds = kDaxAndPageCache,
                .filesystems = "xfs",
                .hook = "",
                .verdict = Verdict::admitted,
                .reason = "a lease is given on unshared extents only, and while it stands nothing can share them",
                .functions = {"xfs:xfs_reflink_end_cow"},
                .choke_points = {"invalidate_inode_pages2_range", "__xfs_bunmapi"},
                .administrator = "mkfs.xfs -m reflink=0; no XFS in always-copy-on-write mode"},
    BreakSource{.op = HF_OP_NONE,
                .id = "hole-fill",
                .source_class = BreakClass::hole_fill,
                .description = "writes to a hole or to unwritten extents: the filesystem allocates or converts blocks",
                .routes = {"write", "a store to a mapping", "a write fault of an adapter"},
                .touches = Touches::range,
                .range = "the written range",
                .kinds = kDaxAndPageCache,
                .filesystems = "xfs ext4",
                .hook = "",
                .verdict = Verdict::admitted,
                .reason = "a lease is given on written extents only",
                .functions = {"xfs:xfs_file_write_iter", "ext4:ext4_map_blocks"},
                .administrator = "holdfast hold --settle"},
    BreakSource{.op = HF_OP_NONE,
                .id = "relocate",
                .source_class = BreakClass::whole_filesystem,
                .description = "moves files in the background, or at each write",
                .routes = {"btrfs balance and defragmentation", "f2fs garbage collection", "bcachefs rebalance", "btrfs device removal"},
                .touches = Touches::whole_filesystem,
                .range = "every file",
                .kinds = 0,
                .filesystems = "btrfs f2fs bcachefs",
                .hook = "",
                .verdict = Verdict::admitted,
                .reason = "no lease is given on such a filesystem",
                .functions = {"btrfs:btrfs_relocate_block_group", "f2fs:f2fs_gc"},
                .administrator = "use XFS, ext4, tmpfs or hugetlbfs"},
    BreakSource{.op = HF_OP_NONE,
                .id = "zone-gc",
                .source_class = BreakClass::whole_filesystem,
                .description = "a kernel thread of zoned XFS moves files from zone to zone",
                .routes = {"garbage collection of zoned XFS"},
                .touches = Touches::whole_filesystem,
                .range = "every file of the realtime device",
                .kinds = kPageCache,
                .filesystems = "xfs",
                .hook = "",
                .verdict = Verdict::observed,
                .reason = "no system call begins it, so no hook can refuse it",
                .needs = "xfs:xfs_zoned_gcd",
                .since = "6.15",
                .functions = {"xfs:xfs_zoned_gcd"},
                .choke_points = {"__xfs_bunmapi"},
                .administrator = "do not register files of a zoned XFS"},
    BreakSource{.op = HF_OP_NONE,
                .id = "loop-discard",
                .source_class = BreakClass::loop,
                .description = "discards on a loop device that was on the file before the lease",
                .routes = {"BLKDISCARD", "fstrim of a filesystem on the device", "BLKZEROOUT", "mount -o discard"},
                .touches = Touches::range,
                .range = "the discarded range",
                .kinds = kDax | kShmem | kPageCache,
                .filesystems = "xfs ext4 tmpfs",
                .hook = "",
                .verdict = Verdict::observed,
                .reason = "lo_fallocate() calls the filesystem itself, past vfs_fallocate() and every hook; attaching to a leased file is refused",
                .needs = "loop:lo_ioctl",
                .functions = {"loop:lo_ioctl", "loop:lo_fallocate"},
                .choke_points = {"truncate_inode_pages_range", "shmem_undo_range", "__xfs_bunmapi", "ext4_ext_remove_space"},
                .administrator = "losetup -j FILE shows the device: detach it first"},
    BreakSource{
        .op = HF_OP_NONE,
        .id = "overlay-splice",
        .source_class = BreakClass::invalidate,
        .description = "splices with O_DIRECT into overlayfs above the file: the pages of the range are dropped",
        .routes = {"splice and sendfile into a descriptor of overlayfs with O_DIRECT"},
        .touches = Touches::range,
        .range = "[offset, offset + length)",
        .kinds = kPageCache,
        .filesystems = "xfs ext4",
        .hook = "",
        .verdict = Verdict::observed,
        .reason = "backing_file_splice_write() hands the pages to the lower file without security_file_permission(); before 6.8 that was called, and refuses",
        .needs = "backing_file_splice_write",
        .since = "6.8",
        .functions = {"backing_file_splice_write"},
        .choke_points = {"invalidate_inode_pages2_range", "folio_unmap_invalidate"},
        .administrator = "no overlayfs above registered files of the page cache"},
    BreakSource{.op = HF_OP_NONE,
                .id = "target-unmap",
                .source_class = BreakClass::exports,
                .description = "UNMAP and WRITE SAME of a SCSI target whose backing store is the file",
                .routes = {"UNMAP by an initiator of a LIO fileio backstore", "WRITE SAME with UNMAP"},
                .touches = Touches::range,
                .range = "the unmapped range",
                .kinds = kDax | kShmem | kPageCache,
                .filesystems = "all",
                .hook = "",
                .verdict = Verdict::observed,
                .reason = "fd_do_unmap() calls the filesystem itself, past vfs_fallocate() and every hook",
                .needs = "target_core_file:fd_execute_unmap",
                .functions = {"target_core_file:fd_execute_unmap"},
                .choke_points = {"truncate_inode_pages_range", "shmem_undo_range", "__xfs_bunmapi", "ext4_ext_remove_space"},
                .administrator = "set the backstore's attrib/emulate_tpu and emulate_tpws to 0"},
    BreakSource{.op = HF_OP_NONE,
                .id = "stacked-attributes",
                .source_class = BreakClass::attributes,
                .description = "ecryptfs above the file passes attribute calls on to it",
                .routes = {"FS_IOC_SETFLAGS through ecryptfs", "FS_IOC_SETVERSION through ecryptfs"},
                .touches = Touches::whole_file,
                .range = "the whole file",
                .kinds = kPageCache,
                .filesystems = "xfs ext4",
                .hook = "",
                .verdict = Verdict::observed,
                .reason = "it calls the lower file's own functions, past security_file_ioctl(); from 6.17 inode_file_setattr refuses the flags",
                .needs = "ecryptfs:ecryptfs_unlocked_ioctl",
                .functions = {"ecryptfs:ecryptfs_unlocked_ioctl", "ecryptfs:ecryptfs_fileattr_set"},
                .administrator = "do not mount ecryptfs above registered files"},
    BreakSource{.op = HF_OP_NONE,
                .id = "pnfs-layout",
                .source_class = BreakClass::exports,
                .description = "hands the file's blocks to NFS clients, who write them without this machine",
                .routes = {"LAYOUTGET of a block or SCSI layout by nfsd", "LAYOUTCOMMIT"},
                .touches = Touches::range,
                .range = "the granted range",
                .kinds = kPageCache,
                .filesystems = "xfs",
                .hook = "",
                .verdict = Verdict::observed,
                .reason = "nfsd calls the filesystem's export operations, which have no hook",
                .functions = {"xfs:xfs_fs_map_blocks", "xfs:xfs_fs_commit_blocks"},
                .choke_points = {"invalidate_inode_pages2_range"},
                .administrator = "export without the option pnfs"},
    BreakSource{.op = HF_OP_NONE,
                .id = "large-folio",
                .source_class = BreakClass::punch,
                .description = "punches or truncates beside the lease, in a large folio of the page cache that has pages of both",
                .routes = {"fallocate PUNCH_HOLE beside the range", "truncate to a size behind the range", "O_DIRECT write beside the range"},
                .touches = Touches::page,
                .range = "the whole folio, up to 2 MiB",
                .kinds = kPageCache | kShmem,
                .filesystems = "xfs ext4 tmpfs",
                .hook = "file_permission inode_setattr",
                .verdict = Verdict::refused,
                .functions = {"truncate_inode_partial_folio"},
                .choke_points = {"truncate_inode_pages_range", "invalidate_inode_pages2_range", "shmem_undo_range"},
                .administrator = "punch, truncate and write directly in multiples of 2 MiB where a file of the page cache is registered in part"},
    BreakSource{.op = HF_OP_NONE,
                .id = "share-beside",
                .source_class = BreakClass::reflink,
                .description = "shares blocks beside the lease: XFS plans new places for their neighbours too, and later writes move those there",
                .routes = {"FICLONE, FICLONERANGE, FIDEDUPERANGE, copy_file_range and EXCHANGE_RANGE beside the range, then writes"},
                .touches = Touches::whole_file,
                .range = "128 KiB around what is shared, or the file's extent size hints; the gate takes the whole file",
                .kinds = kDaxAndPageCache,
                .filesystems = "xfs",
                .hook = kClone,
                .verdict = Verdict::refused,
                .functions = {"xfs:xfs_reflink_allocate_cow", "xfs:xfs_reflink_end_cow"},
                .choke_points = {"__xfs_bunmapi"},
                .administrator = "mkfs.xfs -m reflink=0; lease with --settle files that had shared blocks before"},
    BreakSource{.op = HF_OP_NONE,
                .id = "thp-open",
                .source_class = BreakClass::invalidate,
                .description = "opens for writing a file that has read-only huge pages: its whole page cache is dropped",
                .routes = {"open for writing, where khugepaged has collapsed pages of the file"},
                .touches = Touches::whole_file,
                .range = "the whole file",
                .kinds = kPageCache,
                .filesystems = "xfs ext4",
                .hook = "",
                .verdict = Verdict::observed,
                .reason = "it happens inside do_dentry_open(), after its hook",
                .needs = "?nr_thps",
                .since = "5.4",
                .functions = {"do_dentry_open"},
                .choke_points = {"truncate_inode_pages_range"},
                .administrator = "take a kernel without CONFIG_READ_ONLY_THP_FOR_FS (Debian has none with it), or keep the file open for writing"},
    BreakSource{.op = HF_OP_NONE,
                .id = "quota-file",
                .source_class = BreakClass::invalidate,
                .description = "quotaoff drops the page cache of what it took for its quota file",
                .routes = {"quotactl Q_QUOTAOFF", "unmount with quota files"},
                .touches = Touches::whole_file,
                .range = "the whole file",
                .kinds = kPageCache,
                .filesystems = "ext4",
                .hook = "",
                .verdict = Verdict::observed,
                .reason = "only for a file that an administrator has named as quota file; quotaon has no hook for the file",
                .needs = "dquot_initialize",
                .functions = {"dquot_quota_off"},
                .choke_points = {"truncate_inode_pages_range"},
                .administrator = "use the quota feature of ext4, whose files have no name"},
    BreakSource{.op = HF_OP_NONE,
                .id = "swap",
                .source_class = BreakClass::swap,
                .description = "swapon: the kernel writes memory into the file's blocks by itself",
                .routes = {"swapon"},
                .touches = Touches::whole_file,
                .range = "the whole file",
                .kinds = kPageCache,
                .filesystems = "xfs ext4",
                .hook = "",
                .verdict = Verdict::observed,
                .reason = "the blocks stay where they are; what is in them does not, and there is no hook before it",
                .functions = {"__x64_sys_swapon|__se_sys_swapon", "iomap_swapfile_activate"},
                .administrator = "none needed: only root may"},
    BreakSource{.op = HF_OP_NONE,
                .id = "reclaim",
                .source_class = BreakClass::memory,
                .description = "takes clean or swappable pages out of memory",
                .routes = {"posix_fadvise DONTNEED", "drop_caches", "MADV_PAGEOUT", "memory pressure and memory.reclaim", "pwritev2 RWF_DONTCACHE"},
                .touches = Touches::page,
                .range = "pages that nobody holds",
                .kinds = kShmem | kPageCache,
                .filesystems = "all",
                .hook = "",
                .verdict = Verdict::harmless,
                .reason = "a page that a registration has pinned is left alone; where nothing is pinned, the same content comes back",
                .functions = {"invalidate_mapping_pages", "shrink_folio_list"},
                .administrator = "none needed"},
    BreakSource{.op = HF_OP_NONE,
                .id = "migration",
                .source_class = BreakClass::memory,
                .description = "moves what is in a page to another page",
                .routes = {"move_pages", "mbind and migrate_pages", "compaction", "MADV_SOFT_OFFLINE", "MADV_COLLAPSE and khugepaged", "memory hot-remove"},
                .touches = Touches::page,
                .range = "pages that nobody holds",
                .kinds = kShmem | kHugetlb | kPageCache,
                .filesystems = "all",
                .hook = "",
                .verdict = Verdict::harmless,
                .reason = "a page that a registration has pinned is not moved; on-demand paging follows the move",
                .functions = {"migrate_pages", "collapse_file", "soft_offline_page"},
                .administrator = "none needed"},
    BreakSource{.op = HF_OP_NONE,
                .id = "eviction",
                .source_class = BreakClass::whole_filesystem,
                .description = "frees a file without a name when its last user has closed it",
                .routes = {"unlink, then the last close", "rename over the file", "process exit"},
                .touches = Touches::whole_file,
                .range = "the whole file",
                .kinds = kAllKinds,
                .filesystems = "all",
                .hook = "",
                .verdict = Verdict::harmless,
                .reason = "nobody can reach the file any more; on tmpfs and hugetlbfs a registration keeps the pages, FS-DAX waits for them",
                .functions = {"evict|evict_inodes"},
                .administrator = "none needed"},
    BreakSource{.op = HF_OP_NONE,
                .id = "shutdown",
                .source_class = BreakClass::whole_filesystem,
                .description = "stops the filesystem: every access fails from then on",
                .routes = {"XFS_IOC_GOINGDOWN", "EXT4_IOC_SHUTDOWN", "a failed write of the journal"},
                .touches = Touches::whole_filesystem,
                .range = "every file",
                .kinds = kDaxAndPageCache,
                .filesystems = "xfs ext4",
                .hook = "",
                .verdict = Verdict::harmless,
                .reason = "the blocks stay where they are",
                .functions = {"xfs:xfs_fs_goingdown", "ext4:ext4_force_shutdown|ext4:__ext4_ioctl"},
                .administrator = "none needed: only root may"},
    BreakSource{.op = HF_OP_NONE,
                .id = "resize",
                .source_class = BreakClass::whole_filesystem,
                .description = "grows or shrinks the filesystem",
                .routes = {"XFS_IOC_FSGROWFSDATA", "EXT4_IOC_RESIZE_FS", "EXT4_IOC_GROUP_EXTEND", "tmpfs remount with another size"},
                .touches = Touches::whole_filesystem,
                .range = "no file",
                .kinds = 0,
                .filesystems = "all",
                .hook = "",
                .verdict = Verdict::harmless,
                .reason = "XFS gives up free space only; ext4 does not shrink while it is mounted; tmpfs refuses a size below what is used",
                .functions = {"xfs:xfs_growfs_data", "ext4:ext4_resize_fs"},
                .administrator = "none needed"},
    BreakSource{.op = HF_OP_NONE,
                .id = "online-repair",
                .source_class = BreakClass::whole_filesystem,
                .description = "XFS builds a file's block map anew from its reverse mappings",
                .routes = {"XFS_IOC_SCRUB_METADATA with repair", "XFS_IOC_SCRUBV_METADATA with repair", "xfs_scrub"},
                .touches = Touches::whole_file,
                .range = "the whole file",
                .kinds = kPageCache,
                .filesystems = "xfs",
                .hook = "",
                .verdict = Verdict::observed,
                .reason = "the new map names the same blocks, but the page cache is dropped first, pinned or not, even where the repair is then refused; the "
                          "call names the file by a number in user memory",
                .needs = "xfs:xrep_bmap",
                .since = "6.8",
                .functions = {"xfs:xfs_scrub_metadata", "xfs:xrep_bmap"},
                .choke_points = {"invalidate_inode_pages2_range"},
                .administrator = "mask xfs_scrub_all.timer where page-cache files of this filesystem are registered"},
    BreakSource{.op = HF_OP_NONE,
                .id = "freeze",
                .source_class = BreakClass::whole_filesystem,
                .description = "stops all changes for a while, or takes the mount out of sight",
                .routes = {"FIFREEZE", "remount read-only", "umount --lazy", "umount --force"},
                .touches = Touches::whole_filesystem,
                .range = "no file",
                .kinds = 0,
                .filesystems = "all",
                .hook = "",
                .verdict = Verdict::harmless,
                .reason = "no block moves; an unmount that succeeds finds no user of any file",
                .functions = {"freeze_super", "generic_shutdown_super"},
                .administrator = "none needed"},
    BreakSource{.op = HF_OP_NONE,
                .id = "device-write",
                .source_class = BreakClass::device,
                .description = "writes or discards blocks below the filesystem",
                .routes = {"write to the block device", "BLKDISCARD, BLKZEROOUT, BLKSECDISCARD", "fallocate of the block device"},
                .touches = Touches::whole_filesystem,
                .range = "every file",
                .kinds = kDaxAndPageCache,
                .filesystems = "xfs ext4",
                .hook = "",
                .verdict = Verdict::observed,
                .reason = "the filesystem's map stays; content is lost, which no layout shows",
                .functions = {"blkdev_issue_discard", "blkdev_fallocate"},
                .administrator = "boot with bdev_allow_write_mounted=0 (6.8 and later)"},
    BreakSource{.op = HF_OP_NONE,
                .id = "device-map",
                .source_class = BreakClass::device,
                .description = "puts other blocks under the filesystem: another table of a device-mapper device",
                .routes = {"dmsetup reload and resume", "lvm pvmove"},
                .touches = Touches::whole_filesystem,
                .range = "every file",
                .kinds = kDaxAndPageCache,
                .filesystems = "xfs ext4",
                .hook = "",
                .verdict = Verdict::observed,
                .reason = "only root may, and the file's own layout stays; FS-DAX mappings made before go on reaching the old device",
                .needs = "dm_mod:dm_swap_table",
                .functions = {"dm_mod:dm_swap_table"},
                .administrator = "no pvmove on this volume"},
    BreakSource{.op = HF_OP_NONE,
                .id = "device-removal",
                .source_class = BreakClass::device,
                .description = "takes the device away",
                .routes = {"ndctl destroy-namespace --force", "daxctl reconfigure-device", "driver unbind in sysfs", "CXL memory removed"},
                .touches = Touches::whole_filesystem,
                .range = "every file",
                .kinds = kDax,
                .filesystems = "xfs ext4",
                .hook = "",
                .verdict = Verdict::observed,
                .reason = "it is the end of the memory; no hook can refuse what hardware does",
                .functions = {"kill_dax", "memunmap_pages", "xfs:xfs_dax_notify_failure"},
                .administrator = "do not unbind a device in use"},
    BreakSource{.op = HF_OP_NONE,
                .id = "memory-failure",
                .source_class = BreakClass::hardware,
                .description = "the machine reports a page as bad, or someone says so",
                .routes = {"machine check", "MADV_HWPOISON", "/sys/devices/system/memory/hard_offline_page", "hwpoison-inject"},
                .touches = Touches::page,
                .range = "the page",
                .kinds = kAllKinds,
                .filesystems = "all",
                .hook = "",
                .verdict = Verdict::observed,
                .reason = "the memory is gone; no hook can refuse it",
                .functions = {"memory_failure"},
                .choke_points = {"mf_dax_kill_procs", "generic_error_remove_folio"},
                .administrator = "watch mcelog or rasdaemon"},
};

constexpr std::size_t kOperations = HF_OP_COUNT - 1;  // all but HF_OP_NONE

/// Entry n is operation n + 1; entries after them stand for no operation of the gate.
consteval bool every_operation_is_in_its_place() {
  for (std::size_t i = 0; i < kBreakSources.size(); i++) {
    const std::size_t wanted = i < kOperations ? i + 1 : static_cast<std::size_t>(HF_OP_NONE);
    if (static_cast<std::size_t>(kBreakSources[i].op) != wanted) return false;
  }
  return kBreakSources.size() >= kOperations;
}

consteval bool ids_are_unique() {
  for (std::size_t i = 0; i < kBreakSources.size(); i++)
    for (std::size_t j = 0; j < i; j++)
      if (kBreakSources[i].id == kBreakSources[j].id) return false;
  return true;
}

consteval bool entries_are_complete() {
  for (const BreakSource& source : kBreakSources) {
    if (source.id.empty() || source.description.empty() || source.routes.size() == 0 || source.range.empty() || source.filesystems.empty()) return false;
    // An operation exists to be refused, and what is refused needs a hook that does it.
    if (source.op != HF_OP_NONE && source.verdict != Verdict::refused) return false;
    if (source.verdict == Verdict::refused && (source.hook.empty() || source.kinds == 0)) return false;
    if ((source.verdict == Verdict::refused) != source.reason.empty()) return false;
    if (source.administrator.empty() || source.functions.size() == 0) return false;
  }
  return true;
}

static_assert(every_operation_is_in_its_place(), "each enum hf_op has one entry, in the order of the enum");
static_assert(ids_are_unique());
static_assert(entries_are_complete());
static_assert(HF_OP_COUNT <= 32, "hf_mount::seals has a bit for each operation");

}  // namespace

std::span<const BreakSource> break_sources() { return kBreakSources; }

const BreakSource* find_break_source(hf_op op) {
  const auto value = static_cast<std::size_t>(op);
  return value >= 1 && value <= kOperations ? &kBreakSources[value - 1] : nullptr;
}

const BreakSource* find_break_source(std::string_view id) {
  auto at = std::find_if(kBreakSources.begin(), kBreakSources.end(), [=](const BreakSource& source) { return source.id == id; });
  return at == kBreakSources.end() ? nullptr : &*at;
}

std::string op_name(std::uint32_t op) {
  const BreakSource* source = op < HF_OP_COUNT ? find_break_source(static_cast<hf_op>(op)) : nullptr;
  return source ? std::string(source->id) : fmt::format("operation {}", op);
}

std::string_view name(BreakClass value) {
  switch (value) {
    case BreakClass::truncate:
      return "truncate";
    case BreakClass::punch:
      return "punch";
    case BreakClass::zero:
      return "zero";
    case BreakClass::shift:
      return "shift";
    case BreakClass::write_zeroes:
      return "write-zeroes";
    case BreakClass::unshare:
      return "unshare";
    case BreakClass::unknown_call:
      return "unknown-call";
    case BreakClass::reflink:
      return "reflink";
    case BreakClass::reflink_from:
      return "reflink-from";
    case BreakClass::dedupe:
      return "dedupe";
    case BreakClass::copy:
      return "copy";
    case BreakClass::exchange:
      return "exchange";
    case BreakClass::attributes:
      return "attributes";
    case BreakClass::cow_write:
      return "cow-write";
    case BreakClass::hole_fill:
      return "hole-fill";
    case BreakClass::invalidate:
      return "invalidate";
    case BreakClass::swap:
      return "swap";
    case BreakClass::whole_filesystem:
      return "whole-filesystem";
    case BreakClass::device:
      return "device";
    case BreakClass::exports:
      return "exports";
    case BreakClass::loop:
      return "loop";
    case BreakClass::memory:
      return "memory";
    case BreakClass::hardware:
      return "hardware";
  }
  return "?";
}

std::string_view name(Touches value) {
  switch (value) {
    case Touches::from_new_size:
      return "from-new-size";
    case Touches::range:
      return "range";
    case Touches::from_offset:
      return "from-offset";
    case Touches::range_of_each:
      return "range-of-each";
    case Touches::whole_file:
      return "whole-file";
    case Touches::whole_file_each:
      return "whole-file-each";
    case Touches::whole_filesystem:
      return "whole-filesystem";
    case Touches::page:
      return "page";
  }
  return "?";
}

std::string_view name(Verdict value) {
  switch (value) {
    case Verdict::refused:
      return "refused";
    case Verdict::admitted:
      return "admitted";
    case Verdict::observed:
      return "observed";
    case Verdict::harmless:
      return "harmless";
  }
  return "?";
}

std::string kinds_letters(std::uint8_t kinds) {
  std::string letters;
  for (const auto& [bit, letter] : {std::pair{kDax, 'D'}, {kShmem, 'S'}, {kHugetlb, 'H'}, {kPageCache, 'P'}}) {
    if (!(kinds & bit)) continue;
    if (!letters.empty()) letters += ' ';
    letters += letter;
  }
  return letters;
}

}  // namespace hf
