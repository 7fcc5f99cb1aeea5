// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// Admission of the file, the caller and the ranges; admission_layout.cpp has the layout.
#include "lease/admission.hpp"

#include <linux/magic.h>

#include <algorithm>
#include <array>

namespace hf {

namespace {

constexpr std::string_view kUseSupported = "keep the file on XFS, ext4, tmpfs or hugetlbfs";
constexpr std::string_view kCopyOnWrite = "it copies on write: every write moves the bytes that it changes";
constexpr std::string_view kNetwork = "its layout is the server's to change, where no gate of this machine sees it";
constexpr std::string_view kNoLayout = "its files have no layout of their own";
constexpr std::string_view kNotCovered = "Holdfast does not know the operations that move its blocks";
constexpr std::string_view kReadOnly = "it is read-only and packs file contents: there is nothing to register for remote writes and no layout to hold";

/// A filesystem, and where it cannot be held, why not.
struct Filesystem {
  std::uint32_t magic;
  std::string_view name;
  std::string_view reason;  ///< empty: supported
  std::string_view hint = kUseSupported;
};

// Numbers without a name are not in <linux/magic.h>.
constexpr std::array kFilesystems{
    Filesystem{0x58465342, "xfs", ""},
    Filesystem{EXT4_SUPER_MAGIC, "ext4", ""},
    Filesystem{TMPFS_MAGIC, "tmpfs", ""},
    Filesystem{HUGETLBFS_MAGIC, "hugetlbfs", ""},
    Filesystem{BTRFS_SUPER_MAGIC, "btrfs", kCopyOnWrite},
    Filesystem{0xca451a4e, "bcachefs", kCopyOnWrite},
    Filesystem{0x2fc12fc1, "zfs", kCopyOnWrite},
    Filesystem{0xf2f52010, "f2fs", "it is log-structured: garbage collection moves blocks at any time"},
    Filesystem{NILFS_SUPER_MAGIC, "nilfs2", "it is log-structured: garbage collection moves blocks at any time"},
    Filesystem{0x5a4f4653, "zonefs", kNotCovered},
    Filesystem{OVERLAYFS_SUPER_MAGIC, "overlay", "the file that a path leads to changes at copy-up, and its blocks are another filesystem's",
               "hold the file by its path in the upper layer, or mount a volume of XFS, ext4, tmpfs or hugetlbfs there"},
    Filesystem{ECRYPTFS_SUPER_MAGIC, "ecryptfs", "its blocks are another filesystem's"},
    Filesystem{NFS_SUPER_MAGIC, "nfs", kNetwork},
    Filesystem{0xff534d42, "cifs", kNetwork},
    Filesystem{0xfe534d42, "smb2", kNetwork},
    Filesystem{SMB_SUPER_MAGIC, "smb", kNetwork},
    Filesystem{0x00c36400, "ceph", kNetwork},
    Filesystem{0x5346414f, "afs", kNetwork},
    Filesystem{0x6b414653, "afs", kNetwork},
    Filesystem{CODA_SUPER_MAGIC, "coda", kNetwork},
    Filesystem{V9FS_MAGIC, "9p", kNetwork},
    Filesystem{0x0bd00bd0, "lustre", kNetwork},
    Filesystem{0x47504653, "gpfs", kNetwork},
    Filesystem{0x7461636f, "ocfs2", "other nodes of the cluster can change its layout, and no gate of this machine sees them"},
    Filesystem{0x01161970, "gfs2", "other nodes of the cluster can change its layout, and no gate of this machine sees them"},
    Filesystem{0x65735546, "fuse", "its layout is decided by a process (or, on virtiofs, by the host), not by this kernel"},
    Filesystem{MSDOS_SUPER_MAGIC, "vfat", kNotCovered},
    Filesystem{0x2011bab0, "exfat", kNotCovered},
    Filesystem{0x7366746e, "ntfs3", kNotCovered},
    Filesystem{REISERFS_SUPER_MAGIC, "reiserfs", kNotCovered},
    Filesystem{RAMFS_MAGIC, "ramfs", kNotCovered, "use tmpfs in its place"},
    Filesystem{SQUASHFS_MAGIC, "squashfs", kReadOnly},
    Filesystem{0xe0f5e1e2, "erofs", kReadOnly},
    Filesystem{ISOFS_SUPER_MAGIC, "iso9660", kReadOnly},
    Filesystem{CRAMFS_MAGIC, "cramfs", kReadOnly},
    Filesystem{PROC_SUPER_MAGIC, "proc", kNoLayout},
    Filesystem{SYSFS_MAGIC, "sysfs", kNoLayout},
    Filesystem{DEVPTS_SUPER_MAGIC, "devpts", kNoLayout},
};

const Filesystem* find_filesystem(std::uint32_t magic) {
  auto at = std::find_if(kFilesystems.begin(), kFilesystems.end(), [=](const Filesystem& one) { return one.magic == magic; });
  return at == kFilesystems.end() ? nullptr : &*at;
}

std::string what(const FileFacts& file) { return file.path.empty() ? "the file" : file.path; }

std::string in_words(const Extent& extent) { return fmt::format("[{}, {})", extent.first, extent.end); }

}  // namespace

bool supported_filesystem(std::uint32_t magic) {
  const Filesystem* filesystem = find_filesystem(magic);
  return filesystem && filesystem->reason.empty();
}

std::string filesystem_name(std::uint32_t magic) {
  const Filesystem* filesystem = find_filesystem(magic);
  return filesystem ? std::string(filesystem->name) : fmt::format("filesystem {:#x}", magic);
}

std::string shell_quoted(std::string_view word) {
  constexpr std::string_view kPlain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_@%+=:,./-";
  // A leading dash would be read as an option.
  if (!word.empty() && word.front() != '-' && word.find_first_not_of(kPlain) == word.npos) return std::string(word);
  std::string quoted = word.starts_with('-') ? "'./" : "'";
  for (char character : word) {
    if (character == '\'')
      quoted += "'\\''";
    else
      quoted += character;
  }
  return quoted + "'";
}

std::uint32_t lease_page_shift(const FileFacts& file) {
  // Where blocks are larger than pages, the filesystem frees and moves whole blocks.
  return std::max<std::uint32_t>(12, file.block_shift);
}

Status admit_file(const FileFacts& file) {
  constexpr std::string_view kRegularOnly = "lease a regular file";
  switch (file.type) {
    case FileType::regular:
      break;
    case FileType::directory:
      return fail(EISDIR, what(file) + " is a directory, and a lease is on the bytes of one file", "lease the files in it one by one");
    case FileType::block_device:
      return fail(EINVAL, what(file) + " is a block device: it has no layout that could change", "lease a file of the filesystem on it");
    case FileType::character_device:
      return fail(EINVAL, what(file) + " is a character device: it has no layout that could change",
                  "device DAX memory can be registered as it is; it needs no lease");
    case FileType::fifo:
      return fail(EINVAL, what(file) + " is a fifo: it has no bytes that stay", std::string(kRegularOnly));
    case FileType::socket:
      return fail(EINVAL, what(file) + " is a socket: it has no bytes that stay", std::string(kRegularOnly));
    case FileType::symlink:
      return fail(EINVAL, what(file) + " is a symbolic link", "lease the file that it leads to");
    case FileType::other:
      return fail(EINVAL, what(file) + " is not a regular file", std::string(kRegularOnly));
  }

  const Filesystem* filesystem = find_filesystem(file.magic);
  if (!filesystem || !filesystem->reason.empty()) {
    const std::string name = file.filesystem.empty() ? filesystem_name(file.magic) : file.filesystem;
    return fail(EOPNOTSUPP, fmt::format("{} is on {}, which cannot be held: {}", what(file), name, filesystem ? filesystem->reason : kNotCovered),
                std::string(filesystem ? filesystem->hint : kUseSupported));
  }
  return {};
}

Status admit_caller(const FileFacts& file, const CallerFacts& caller) {
  // Whoever could have written the file could have broken it too: a lease gives nothing away. A mere reader could block its owner.
  if (caller.opened_for_writing || caller.owner || caller.cap_lease || caller.root || caller.allow_listed) return {};
  return fail(EACCES, fmt::format("{} is open for reading only, and whoever asks is not its owner: a reader may not hold a file", what(file)),
              "open it for writing (O_RDWR), or ask as its owner or with CAP_LEASE");
}

Result<ExtentSet> normalise_ranges(const FileFacts& file, std::span<const RangeRequest> ranges) {
  if (ranges.empty()) return fail(EINVAL, "no range of " + what(file) + " is asked for", "offset 0 with length 0 is the whole file");
  if (file.size_bytes == 0) {
    const std::string name = file.path.empty() ? "FILE" : shell_quoted(file.path);
    return fail(ENODATA, what(file) + " is empty: there are no bytes to hold", fmt::format("give it its size first: truncate --size BYTES {}", name));
  }
  ExtentSet extents;
  for (const RangeRequest& range : ranges) {
    if (range.offset_bytes == file.size_bytes && range.length_bytes == 0)
      return fail(EINVAL, fmt::format("the range from {} to the end of {} is empty", range.offset_bytes, what(file)),
                  fmt::format("its size is {} bytes", file.size_bytes));
    // Compared by subtraction: offset + length may be more than 64 bits hold.
    if (range.offset_bytes > file.size_bytes || range.length_bytes > file.size_bytes - range.offset_bytes)
      return fail(ERANGE,
                  fmt::format("the range of {} bytes from {} goes beyond the end of {}, which has {} bytes", range.length_bytes, range.offset_bytes, what(file),
                              file.size_bytes),
                  "grow the file first, or ask for length 0: to its end");
    const Extent extent{range.offset_bytes, range.length_bytes ? range.offset_bytes + range.length_bytes : file.size_bytes};
    if (extents.overlaps(extent))
      return fail(EINVAL, fmt::format("the range {} of {} overlaps another one of the same request", in_words(extent), what(file)), "ask for each byte once");
    extents.add(extent);
  }
  return extents;
}

Result<Admission> admit(const FileFacts& file, const CallerFacts& caller, std::span<const RangeRequest> ranges) {
  HF_TRY(admit_file(file));
  HF_TRY(admit_caller(file, caller));
  HF_TRY_ASSIGN(ExtentSet extents, normalise_ranges(file, ranges));
  HF_TRY(admit_layout(file, extents));
  return Admission{std::move(extents), lease_page_shift(file)};
}

}  // namespace hf
