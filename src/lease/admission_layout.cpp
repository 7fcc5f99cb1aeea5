// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// Is the layout settled: does every byte have its own written block, so that neither a write nor the filesystem itself moves it?
#include <linux/fiemap.h>
#include <linux/magic.h>

#include "lease/admission.hpp"

namespace hf {

namespace {

std::string name_in_command(const FileFacts& file) { return file.path.empty() ? "FILE" : shell_quoted(file.path); }

/// The pages of these are the file: there are no blocks behind them that an allocation could still change.
bool pages_are_the_file(const FileFacts& file) { return file.magic == TMPFS_MAGIC || file.magic == HUGETLBFS_MAGIC; }

Extent hull(const ExtentSet& extents) { return {extents.front().first, extents.back().end}; }

std::string in_words(const FileFacts& file, const ExtentSet& extents, std::string_view finding) {
  std::string text = fmt::format("{}: bytes [{}, {}) {}", file.path.empty() ? "the file" : file.path, extents.front().first, extents.front().end, finding);
  if (extents.size() > 1) text += fmt::format(" (and {} more such ranges)", extents.size() - 1);
  return text;
}

std::string or_settle(const FileFacts& file, std::string command) {
  return fmt::format("mend it with: {}\n  or let Holdfast do it: holdfast hold --settle {}", command, name_in_command(file));
}

/// Reads and writes back what is there, so that it gets blocks without a change of content. (fallocate would leave unwritten extents, and zeroes
/// over an extent that only looks unwritten would lose what is still in the page cache.)
std::string rewrite_command(const FileFacts& file, const Extent& range) {
  const std::string name = name_in_command(file);
  return fmt::format("dd if={0} of={0} bs=1M skip={1} seek={1} count={2} iflag=skip_bytes,count_bytes oflag=seek_bytes conv=notrunc,fsync", name, range.first,
                     range.end - range.first);
}

}  // namespace

bool reaches_beside(const FileFacts& file) { return file.magic == XFS_SUPER_MAGIC; }

Extent layout_window(const FileFacts& file, const Extent& range) {
  return reaches_beside(file) && !range.empty() ? Extent{0, std::max(file.size_bytes, range.end)} : range;
}

Unsettled unsettled(const FileFacts& file, const ExtentSet& extents) {
  Unsettled found;
  if (pages_are_the_file(file)) return found;
  ExtentSet covered;
  for (const LayoutExtent& extent : file.layout) {
    const ExtentSet bytes = extents.intersection(extent.bytes);
    covered.add(bytes);
    if (reaches_beside(file) && (extent.flags & FIEMAP_EXTENT_SHARED)) {
      ExtentSet beside{extent.bytes};
      beside.remove(extents);
      found.beside.add(beside);
    }
    if (extent.flags & FIEMAP_EXTENT_DATA_INLINE) {
      found.inlined.add(bytes);
      continue;
    }
    // UNKNOWN without DELALLOC: allocated at writeback too, as far as anyone can tell.
    if (extent.flags & (FIEMAP_EXTENT_DELALLOC | FIEMAP_EXTENT_UNKNOWN)) found.delayed.add(bytes);
    if (extent.flags & FIEMAP_EXTENT_UNWRITTEN) found.unwritten.add(bytes);
    if (extent.flags & FIEMAP_EXTENT_SHARED) found.shared.add(bytes);
    // Encryption sets ENCODED as well, but transforms in place.
    if ((extent.flags & FIEMAP_EXTENT_ENCODED) && !(extent.flags & FIEMAP_EXTENT_DATA_ENCRYPTED)) found.encoded.add(bytes);
  }
  found.holes = extents;
  found.holes.remove(covered);
  return found;
}

Status admit_layout(const FileFacts& file, const ExtentSet& extents) {
  if (pages_are_the_file(file)) return {};
  if (!file.layout_known)
    return fail(EOPNOTSUPP, fmt::format("the layout of {} could not be read", file.path.empty() ? "the file" : file.path),
                "see what the filesystem answers: filefrag -v " + name_in_command(file));

  const Unsettled found = unsettled(file, extents);
  if (!found.encoded.empty())
    return fail(EOPNOTSUPP, in_words(file, found.encoded, "are stored compressed or encoded, so that a write moves them"),
                "copy the file without compression and lease the copy");
  if (!found.inlined.empty())
    return fail(EUCLEAN, in_words(file, found.inlined, "are stored inside the inode, and move out of it when the file grows"),
                or_settle(file, fmt::format("fallocate --keep-size --length {} {}", file.size_bytes, name_in_command(file))));
  if (!found.shared.empty()) {
    const Extent range = hull(found.shared);
    return fail(EUCLEAN, in_words(file, found.shared, "are shared with another file, so that the next write moves them"),
                or_settle(file, fmt::format("xfs_io -c \"funshare {} {}\" {}", range.first, range.end - range.first, name_in_command(file))));
  }
  if (!found.beside.empty()) {
    const Extent range = hull(found.beside);
    return fail(
        EUCLEAN,
        in_words(file, found.beside,
                 "beside the range are shared with another file: XFS plans new places for their neighbours as well, and a later write moves those there"),
        or_settle(file, fmt::format("xfs_io -c \"funshare {} {}\" {}", range.first, range.end - range.first, name_in_command(file))));
  }
  // Before holes and unwritten extents: writeback may turn either into a written one.
  if (!found.delayed.empty())
    return fail(EUCLEAN, in_words(file, found.delayed, "have no block yet: they are waiting for writeback"), or_settle(file, "sync " + name_in_command(file)));
  if (!found.holes.empty())
    return fail(EUCLEAN, in_words(file, found.holes, "are a hole: the first write to it changes the layout"),
                or_settle(file, rewrite_command(file, hull(found.holes))));
  if (!found.unwritten.empty())
    return fail(EUCLEAN, in_words(file, found.unwritten, "are allocated but never written: the first write to them changes the layout"),
                or_settle(file, rewrite_command(file, hull(found.unwritten))));
  return {};
}

}  // namespace hf
