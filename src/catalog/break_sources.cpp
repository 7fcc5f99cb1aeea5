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
    BreakSource{HF_OP_TRUNCATE,
                "truncate",
                BreakClass::truncate,
                "sets a smaller size: what lies beyond it is freed",
                {"truncate", "ftruncate", "open O_TRUNC", "creat", "io_uring FTRUNCATE", "SETATTR by nfsd or ksmbd", "overlayfs above the file"},
                Touches::from_new_size,
                "[new size, end of file); growing touches nothing",
                kAllKinds,
                "all",
                kSetattr,
                Verdict::refused},
    BreakSource{HF_OP_PUNCH,
                "punch",
                BreakClass::punch,
                "frees what backs a range and leaves a hole",
                {"fallocate PUNCH_HOLE", "madvise MADV_REMOVE", "FS_IOC_UNRESVSP", "io_uring FALLOCATE"},
                Touches::range,
                "[offset, offset + length)",
                kAllKinds,
                "all",
                kFallocate,
                Verdict::refused},
    BreakSource{HF_OP_ZERO,
                "zero",
                BreakClass::zero,
                "replaces a range by unwritten extents",
                {"fallocate ZERO_RANGE", "FS_IOC_ZERO_RANGE", "io_uring FALLOCATE"},
                Touches::range,
                "[offset, offset + length)",
                kDaxAndPageCache,
                "xfs ext4",
                kFallocate,
                Verdict::refused},
    BreakSource{HF_OP_COLLAPSE,
                "collapse",
                BreakClass::shift,
                "takes a range out: all that follows moves down",
                {"fallocate COLLAPSE_RANGE", "io_uring FALLOCATE"},
                Touches::from_offset,
                "[offset, end of file)",
                kDaxAndPageCache,
                "xfs ext4",
                kFallocate,
                Verdict::refused},
    BreakSource{HF_OP_INSERT,
                "insert",
                BreakClass::shift,
                "puts a hole in: all that follows moves up",
                {"fallocate INSERT_RANGE", "io_uring FALLOCATE"},
                Touches::from_offset,
                "[offset, end of file)",
                kDaxAndPageCache,
                "xfs ext4",
                kFallocate,
                Verdict::refused},
    BreakSource{HF_OP_UNSHARE,
                "unshare",
                BreakClass::unshare,
                "gives shared extents of a range blocks of their own, which moves them",
                {"fallocate UNSHARE_RANGE", "io_uring FALLOCATE"},
                Touches::range,
                "[offset, offset + length)",
                kDaxAndPageCache,
                "xfs",
                kFallocate,
                Verdict::refused},
    BreakSource{HF_OP_WRITE_ZEROES,
                "write-zeroes",
                BreakClass::write_zeroes,
                "replaces a range by written zeroes",
                {"fallocate WRITE_ZEROES", "io_uring FALLOCATE"},
                Touches::range,
                "[offset, offset + length)",
                kDaxAndPageCache,
                "xfs ext4",
                kFallocate,
                Verdict::refused},
    BreakSource{HF_OP_FALLOCATE_NEW,
                "fallocate-new",
                BreakClass::unknown_call,
                "a fallocate mode that this version does not know",
                {"fallocate with an unknown mode", "io_uring FALLOCATE"},
                Touches::from_offset,
                "[offset, end of file): nobody has looked yet at what it touches",
                kAllKinds,
                "all",
                kFallocate,
                Verdict::refused},
    BreakSource{HF_OP_REFLINK,
                "reflink",
                BreakClass::reflink,
                "replaces a range by another file's extents, shared",
                {"FICLONE", "FICLONERANGE"},
                Touches::range_of_each,
                "the destination range; of FICLONE the whole file",
                kDaxAndPageCache,
                "xfs",
                kClone,
                Verdict::refused},
    BreakSource{HF_OP_REFLINK_FROM,
                "reflink-from",
                BreakClass::reflink_from,
                "shares the file's extents with another file: the next write moves them, and a pinned writer writes into the clone",
                {"FICLONE", "FICLONERANGE"},
                Touches::range_of_each,
                "the source range; of FICLONE the whole file",
                kDaxAndPageCache,
                "xfs",
                kClone,
                Verdict::refused},
    BreakSource{HF_OP_DEDUPE,
                "dedupe",
                BreakClass::dedupe,
                "replaces a range by another file's extents of the same content",
                {"FIDEDUPERANGE"},
                Touches::range_of_each,
                "the destination range",
                kDaxAndPageCache,
                "xfs",
                kDedupe,
                Verdict::refused},
    BreakSource{HF_OP_DEDUPE_FROM,
                "dedupe-from",
                BreakClass::dedupe,
                "shares the file's extents with a file of the same content",
                {"FIDEDUPERANGE"},
                Touches::range_of_each,
                "the source range",
                kDaxAndPageCache,
                "xfs",
                kDedupe,
                Verdict::refused},
    BreakSource{HF_OP_COPY,
                "copy",
                BreakClass::copy,
                "copies into the file, where the filesystem may share extents instead",
                {"copy_file_range", "COPY or CLONE by nfsd", "copy-chunk by ksmbd"},
                Touches::range_of_each,
                "the destination range",
                kDaxAndPageCache,
                "xfs",
                kCopy,
                Verdict::refused},
    BreakSource{HF_OP_COPY_FROM,
                "copy-from",
                BreakClass::copy,
                "copies out of the file, where the filesystem may share its extents instead",
                {"copy_file_range", "COPY or CLONE by nfsd", "copy-chunk by ksmbd"},
                Touches::range_of_each,
                "the source range",
                kDaxAndPageCache,
                "xfs",
                kCopy,
                Verdict::refused},
    BreakSource{HF_OP_EXCHANGE,
                "exchange",
                BreakClass::exchange,
                "exchanges the extents of two ranges",
                {"XFS_IOC_EXCHANGE_RANGE", "XFS_IOC_COMMIT_RANGE"},
                Touches::range_of_each,
                "the range in each of both files",
                kDaxAndPageCache,
                "xfs",
                kIoctl,
                Verdict::refused},
    BreakSource{HF_OP_SWAP_EXTENTS,
                "swap-extents",
                BreakClass::exchange,
                "exchanges all extents of two files, as xfs_fsr does",
                {"XFS_IOC_SWAPEXT"},
                Touches::whole_file_each,
                "both files, whole",
                kDaxAndPageCache,
                "xfs",
                kIoctl,
                Verdict::refused},
    BreakSource{HF_OP_MOVE_EXTENTS,
                "move-extents",
                BreakClass::exchange,
                "exchanges extents with a donor file, as e4defrag does",
                {"EXT4_IOC_MOVE_EXT"},
                Touches::range_of_each,
                "the range in both files",
                kDaxAndPageCache,
                "ext4",
                kIoctl,
                Verdict::refused},
    BreakSource{HF_OP_SWAP_BOOT,
                "swap-boot",
                BreakClass::exchange,
                "exchanges all blocks with the boot loader's inode",
                {"EXT4_IOC_SWAP_BOOT"},
                Touches::whole_file,
                "the whole file",
                kDaxAndPageCache,
                "ext4",
                kIoctl,
                Verdict::refused},
    BreakSource{HF_OP_MIGRATE,
                "migrate",
                BreakClass::exchange,
                "rebuilds the file's block map as extents",
                {"EXT4_IOC_MIGRATE"},
                Touches::whole_file,
                "the whole file",
                kDaxAndPageCache,
                "ext4",
                kIoctl,
                Verdict::refused},
    BreakSource{HF_OP_ATTRIBUTES,
                "attributes",
                BreakClass::attributes,
                "changes flags that the layout hangs on: DAX, journalling, compression, immutable, realtime, encryption",
                {"FS_IOC_SETFLAGS", "FS_IOC_FSSETXATTR", "file_setattr", "chattr", "xfs_io chattr"},
                Touches::whole_file,
                "the whole file; some flags only at its next eviction",
                kDaxAndPageCache,
                "xfs ext4",
                "file_ioctl; inode_file_setattr where there is one",
                Verdict::refused},
    BreakSource{HF_OP_VERITY,
                "verity",
                BreakClass::attributes,
                "seals the file's content: every later write would be an error of the medium",
                {"FS_IOC_ENABLE_VERITY"},
                Touches::whole_file,
                "the whole file",
                kPageCache,
                "ext4",
                kIoctl,
                Verdict::refused},
    BreakSource{HF_OP_LAYOUT_CALL,
                "layout-call",
                BreakClass::unknown_call,
                "one of the calls above whose details the gate could not see",
                {"fallocate", "FICLONE", "FICLONERANGE", "FIDEDUPERANGE", "copy_file_range"},
                Touches::whole_file,
                "the whole file: the range is not known",
                kAllKinds,
                "all",
                "file_permission, and the call stack",
                Verdict::refused},
    BreakSource{HF_OP_DIRECT_WRITE,
                "direct-write",
                BreakClass::invalidate,
                "writes past the page cache: the pages of its range are dropped, pinned or not",
                {"write O_DIRECT", "pwrite O_DIRECT", "writev O_DIRECT", "io_submit O_DIRECT", "io_uring WRITE O_DIRECT"},
                Touches::range,
                "[offset, offset + length) of write and pwrite; of writev from the offset on; by io_submit and io_uring the whole file",
                kPageCache,
                "xfs ext4",
                "file_permission",
                Verdict::refused},
    BreakSource{HF_OP_LOOP_ATTACH,
                "loop-attach",
                BreakClass::loop,
                "puts a loop device on the file, whose discards and direct I/O no hook sees",
                {"LOOP_CONFIGURE", "LOOP_SET_FD", "LOOP_CHANGE_FD"},
                Touches::whole_file,
                "the whole file",
                kAllKinds,
                "all",
                kIoctl,
                Verdict::refused},
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
