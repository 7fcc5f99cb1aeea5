// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// Admission: may these ranges of this file be leased to this caller? Refused with the reason and the command that mends it.
// Pure: the facts come in as plain data (src/kernel gathers them).
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "lease/extents.hpp"

namespace hf {

enum class FileType { regular, directory, block_device, character_device, fifo, socket, symlink, other };

/// One extent as FIEMAP reports it, asked with FIEMAP_FLAG_SYNC: before writeback, an extent with dirty pages still looks unwritten.
/// Bytes that no extent covers are holes.
struct LayoutExtent {
  Extent bytes;
  std::uint32_t flags = 0;  ///< FIEMAP_EXTENT_*
};

struct FileFacts {
  FileType type = FileType::regular;
  std::string path;         ///< for messages and commands; may be empty
  std::uint32_t magic = 0;  ///< statfs::f_type
  std::string filesystem;   ///< as mount(8) names it; may be empty
  bool dax = false;         ///< STATX_ATTR_DAX
  std::uint64_t size_bytes = 0;
  std::uint32_t block_shift = 12;  ///< super_block::s_blocksize_bits: the huge page's on hugetlbfs
  bool layout_known = false;       ///< FIEMAP answered; tmpfs and hugetlbfs have none and need none
  std::vector<LayoutExtent> layout;
};

struct CallerFacts {
  bool opened_for_writing = false;
  bool owner = false;
  bool cap_lease = false;
  bool root = false;
  bool allow_listed = false;  ///< by the configuration
};

/// A length of 0: to the end of the file as it is now.
struct RangeRequest {
  std::uint64_t offset_bytes = 0;
  std::uint64_t length_bytes = 0;
};

/// What keeps a layout from being settled, by what mends it.
struct Unsettled {
  ExtentSet inlined;    ///< data inside the inode: has no block yet
  ExtentSet holes;      ///< no block: the first write allocates
  ExtentSet delayed;    ///< allocation is decided at writeback
  ExtentSet unwritten;  ///< allocated, but the first write converts
  ExtentSet shared;     ///< reflinked: the next write moves it
  ExtentSet beside;     ///< reflinked bytes of the file beside the range, where a write to those moves blocks of it too: see reaches_beside()
  ExtentSet encoded;    ///< compressed or otherwise transformed: a write moves it, and nothing mends it in place
  bool empty() const { return inlined.empty() && holes.empty() && delayed.empty() && unwritten.empty() && shared.empty() && beside.empty() && encoded.empty(); }
};

struct Admission {
  ExtentSet extents;              ///< as asked for
  std::uint32_t page_shift = 12;  ///< the lease is rounded out to such pages
};

/// Is the layout of this filesystem one that the gate can hold?
bool supported_filesystem(std::uint32_t magic);
/// Its usual name, or "filesystem 0x..." for one that is not known.
std::string filesystem_name(std::uint32_t magic);

/// EISDIR or EINVAL for what is no regular file; EOPNOTSUPP for a filesystem that cannot be held.
Status admit_file(const FileFacts& file);
/// EACCES for a mere reader.
Status admit_caller(const FileFacts& file, const CallerFacts& caller);
/// EINVAL for none, an empty one, or two that overlap; ERANGE beyond the end of the file; ENODATA for an empty file.
Result<ExtentSet> normalise_ranges(const FileFacts& file, std::span<const RangeRequest> ranges);
/// Does sharing any byte of this file put all of its layout at risk? Around a shared block XFS plans new places for a whole extent size hint
/// (xfs_get_cowextsz_hint(), 32 blocks or what the file has), and later writes move the neighbours there, shared or not (xfs_find_trim_cow_extent()).
bool reaches_beside(const FileFacts& file);
/// What has to be asked of FIEMAP to judge a range: itself, or all of the file where sharing reaches beside it.
Extent layout_window(const FileFacts& file, const Extent& range);
/// The parts of `extents` whose layout may still change by itself: what `--settle` has to mend. Empty on tmpfs and hugetlbfs.
Unsettled unsettled(const FileFacts& file, const ExtentSet& extents);
/// EUCLEAN where settling mends it; EOPNOTSUPP where nothing does in place, or the layout is not known.
Status admit_layout(const FileFacts& file, const ExtentSet& extents);

/// All of the above, in this order.
Result<Admission> admit(const FileFacts& file, const CallerFacts& caller, std::span<const RangeRequest> ranges);

/// The pages that a lease of this file is rounded out to.
std::uint32_t lease_page_shift(const FileFacts& file);

/// A word that a shell reads back as it is.
std::string shell_quoted(std::string_view word);

}  // namespace hf
