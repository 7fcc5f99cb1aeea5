// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "catalog/choke_points.hpp"

#include <fmt/format.h>

#include <array>

namespace hf {

namespace {

constexpr std::array kChokePoints{
    ChokePoint{HF_CHOKE_TRUNCATE_PAGES, "truncate_inode_pages_range", "pages and FS-DAX entries of a range leave the file", kDax | kPageCache},
    ChokePoint{HF_CHOKE_INVALIDATE_PAGES, "invalidate_inode_pages2_range", "pages of a range are dropped whoever uses them", kDax | kPageCache},
    ChokePoint{HF_CHOKE_INVALIDATE_FOLIO, "folio_unmap_invalidate", "one folio is dropped whoever uses it", kPageCache},
    ChokePoint{HF_CHOKE_SHMEM, "shmem_undo_range", "pages of a tmpfs file or memfd are freed", kShmem},
    ChokePoint{HF_CHOKE_HUGETLB, "remove_inode_hugepages", "huge pages are freed", kHugetlb},
    ChokePoint{HF_CHOKE_XFS_UNMAP, "__xfs_bunmapi", "extents leave the file", kDax | kPageCache},
    ChokePoint{HF_CHOKE_XFS_SHARE, "xfs_reflink_remap_blocks", "extents of the source become shared", kDax | kPageCache},
    ChokePoint{HF_CHOKE_XFS_SWAP, "xfs_swap_extents", "two files exchange all their extents", kDax | kPageCache},
    ChokePoint{HF_CHOKE_EXT4_REMOVE, "ext4_ext_remove_space", "extents leave the file", kDax | kPageCache},
    ChokePoint{HF_CHOKE_EXT4_SWAP, "ext4_swap_extents", "two files exchange extents", kDax | kPageCache},
    ChokePoint{HF_CHOKE_EXT4_SHIFT, "ext4_ext_shift_extents", "all extents behind an offset move", kDax | kPageCache},
    ChokePoint{HF_CHOKE_EXT4_INDIRECT, "ext4_ind_remove_space", "blocks leave a file that has no extents", kDax | kPageCache},
    ChokePoint{HF_CHOKE_POISON_DAX, "mf_dax_kill_procs", "memory failed under an FS-DAX file", kDax},
    ChokePoint{HF_CHOKE_POISON_PAGE, "generic_error_remove_folio", "memory failed under a page of the file", kShmem | kHugetlb | kPageCache},
};

constexpr bool in_order() {
  for (std::size_t i = 0; i < kChokePoints.size(); i++)
    if (kChokePoints[i].choke != static_cast<hf_choke>(i + 1)) return false;
  return kChokePoints.size() == HF_CHOKE_COUNT - 1;
}
static_assert(in_order(), "an entry for each choke point, in their order");

}  // namespace

std::span<const ChokePoint> choke_points() { return kChokePoints; }

std::string choke_name(std::uint32_t choke) {
  if (choke == 0 || choke > kChokePoints.size()) return fmt::format("choke point {}", choke);
  return std::string(kChokePoints[choke - 1].function);
}

}  // namespace hf
