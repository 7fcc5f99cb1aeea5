// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "lease/seals.hpp"

#include <algorithm>
#include <array>

#include "kern.h"

namespace hf {
namespace {

constexpr std::uint32_t bit(hf_op op) { return 1u << op; }

constexpr std::array kSeals{
    Seal{"truncate", bit(HF_OP_TRUNCATE), "setting a smaller size"},
    Seal{"punch", bit(HF_OP_PUNCH), "punching holes"},
    Seal{"zero", bit(HF_OP_ZERO) | bit(HF_OP_WRITE_ZEROES), "zeroing a range by replacing its blocks"},
    Seal{"shift", bit(HF_OP_COLLAPSE) | bit(HF_OP_INSERT), "collapsing and inserting ranges"},
    Seal{"unshare", bit(HF_OP_UNSHARE), "unsharing a range"},
    Seal{"reflink", bit(HF_OP_REFLINK) | bit(HF_OP_REFLINK_FROM) | bit(HF_OP_COPY) | bit(HF_OP_COPY_FROM),
         "reflinks, and copies that may share blocks instead"},
    Seal{"dedupe", bit(HF_OP_DEDUPE) | bit(HF_OP_DEDUPE_FROM), "deduplication"},
    Seal{"exchange", bit(HF_OP_EXCHANGE) | bit(HF_OP_SWAP_EXTENTS) | bit(HF_OP_MOVE_EXTENTS) | bit(HF_OP_SWAP_BOOT) | bit(HF_OP_MIGRATE),
         "exchanging blocks between files: defragmenters, range exchange"},
    Seal{"attributes", bit(HF_OP_ATTRIBUTES), "changing inode attributes (chattr, xfs_io -c chattr)"},
    Seal{"verity", bit(HF_OP_VERITY), "enabling fs-verity"},
    Seal{"direct-write", bit(HF_OP_DIRECT_WRITE), "O_DIRECT writes to files in the page cache, which drop its pages"},
    Seal{"loop", bit(HF_OP_LOOP_ATTACH), "loop devices, whose discards reach no hook"},
    Seal{"unknown", bit(HF_OP_FALLOCATE_NEW) | bit(HF_OP_LAYOUT_CALL), "fallocate modes that are newer than this Holdfast"},
};

constexpr std::uint32_t mask_of(std::string_view name) {
  for (const auto& seal : kSeals)
    if (seal.name == name) return seal.operations;
  return 0;
}

constexpr std::uint32_t all_seals() {
  std::uint32_t all = 0;
  for (const auto& seal : kSeals) all |= seal.operations;
  return all;
}
static_assert(all_seals() == (1u << HF_OP_COUNT) - 2, "an operation is in no seal");

/// What comes through vfs_fallocate() and the like: where the gate has not seen which of them it was, or does not know the mode, it may be a sealed one.
constexpr std::uint32_t kByFallocate = mask_of("punch") | mask_of("zero") | mask_of("shift") | mask_of("unshare");
constexpr std::uint32_t kSeenByHint = kByFallocate | mask_of("reflink") | mask_of("dedupe") | bit(HF_OP_EXCHANGE);

constexpr std::uint32_t with_unseen(std::uint32_t seals) {
  if (seals & kSeenByHint) seals |= bit(HF_OP_LAYOUT_CALL);
  if (seals & kByFallocate) seals |= bit(HF_OP_FALLOCATE_NEW);
  return seals;
}

}  // namespace

std::span<const Seal> seals() { return kSeals; }

std::string seal_names() {
  std::string names;
  for (const auto& seal : kSeals) names.append(names.empty() ? "" : " ").append(seal.name);
  return names;
}

Result<std::uint32_t> seals_from_names(std::span<const std::string> names) {
  std::uint32_t wanted = 0;
  for (const auto& name : names) {
    const auto operations = name == "all" ? all_seals() : mask_of(name);
    if (!operations) return fail(EINVAL, fmt::format("there is no seal \"{}\"", name), "There are: " + seal_names() + ", and all.");
    wanted |= operations;
  }
  return with_unseen(wanted);
}

std::string names_of_seals(std::uint32_t seals) {
  if (!seals) return "none";
  if ((seals & all_seals()) == all_seals()) return "all";
  std::string names;
  for (const auto& seal : kSeals) {
    const bool only_unseen = seal.name == "unknown" && (seals & kSeenByHint);
    if ((seals & seal.operations) == seal.operations && !only_unseen) names.append(names.empty() ? "" : " ").append(seal.name);
  }
  return names;
}

std::string_view seal_of(std::uint32_t op) {
  for (const auto& seal : kSeals)
    if (op < HF_OP_COUNT && (seal.operations & (1u << op))) return seal.name;
  return {};
}

}  // namespace hf
