// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// What admission asks about an open file. The gate's own view comes first (hf_facts): asking the filesystem itself could wait for a server, so only
// filesystems that Holdfast supports are asked anything.
#pragma once

#include <sys/types.h>

#include <stop_token>

#include "base/result.hpp"
#include "kern.h"
#include "kernel/process.hpp"
#include "lease/admission.hpp"

namespace hf {

/// Everything but the layout; asks no filesystem.
FileFacts file_facts(const hf_facts& seen, std::string path);

/// Reads the layout of a range into `facts`, and what is shared beside it where that matters. May wait for the file's lock: not for the event loop.
/// Where the filesystem has no answer, or more extents than kLayoutExtentsMax, layout_known stays false.
Status add_layout(FileFacts& facts, int fd, Extent range);
inline constexpr std::size_t kLayoutExtentsMax = 1 << 16;

/// Does this filesystem have a layout to read? tmpfs and hugetlbfs have none: their pages are the file.
bool has_layout(std::uint32_t magic);

struct OpenMode {
  bool path_only = false;  ///< O_PATH: no operation on the file is possible
  bool readable = false;
  bool writable = false;
};
Result<OpenMode> open_mode(int fd);

/// @return the owner's uid. Only for files of supported filesystems.
Result<uid_t> file_owner(int fd);

/// Does the process have CAP_LEASE?
bool has_cap_lease(const ProcessTable& processes, pid_t pid);

/// Gives every byte of the window a written block of its own without changing its content, whoever writes meanwhile: allocates, unshares, and takes
/// a write fault on each page that is not settled. Waits for the disk: not for the event loop.
/// @param stop asks it to end early, with ECANCELED
Status settle_layout(int fd, const FileFacts& facts, const ExtentSet& extents, const std::stop_token& stop);

/// Where nothing of the file is shared any more, XFS forgets the new places that it had planned for blocks when something was (unsharing ends in
/// xfs_reflink_try_clear_inode_flag()). Else it keeps them for some minutes, and a write meanwhile moves blocks that are not shared. Nothing is done where the
/// gate refuses it, for a lease or a seal: since that began nothing has been shared, but a plan from before it stays.
/// @param extent any allocated one; its first block may be moved by this
Status drop_planned_places(int fd, const FileFacts& facts, Extent extent);

}  // namespace hf
