// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "lease/extents.hpp"

#include <algorithm>

#include "decide.h"

namespace hf {

namespace {

/// The first extent that ends after `offset`: the one that holds it, or the next one.
auto first_ending_after(const std::vector<Extent>& extents, std::uint64_t offset) {
  return std::upper_bound(extents.begin(), extents.end(), offset, [](std::uint64_t value, const Extent& extent) { return value < extent.end; });
}

}  // namespace

ExtentSet::ExtentSet(std::initializer_list<Extent> extents) {
  for (const Extent& extent : extents) add(extent);
}

void ExtentSet::add(Extent extent) {
  if (extent.empty()) return;
  // From the first extent that touches it (its end may be where the new one begins) to the last.
  auto first = std::lower_bound(extents_.begin(), extents_.end(), extent.first, [](const Extent& have, std::uint64_t value) { return have.end < value; });
  auto last = first;
  for (; last != extents_.end() && last->first <= extent.end; ++last) {
    extent.first = std::min(extent.first, last->first);
    extent.end = std::max(extent.end, last->end);
  }
  if (first == last) {
    extents_.insert(first, extent);
    return;
  }
  *first = extent;
  extents_.erase(first + 1, last);
}

void ExtentSet::add(const ExtentSet& other) {
  if (&other == this) return;
  for (const Extent& extent : other) add(extent);
}

void ExtentSet::remove(Extent extent) {
  if (extent.empty()) return;
  auto first = extents_.begin() + (first_ending_after(extents_, extent.first) - extents_.begin());
  if (first == extents_.end() || first->first >= extent.end) return;
  const Extent head{first->first, extent.first};
  auto last = first;
  std::uint64_t reach = 0;
  for (; last != extents_.end() && last->first < extent.end; ++last) reach = last->end;
  const Extent tail{extent.end, reach};
  auto place = extents_.erase(first, last);
  if (!tail.empty()) place = extents_.insert(place, tail);
  if (!head.empty()) extents_.insert(place, head);
}

void ExtentSet::remove(const ExtentSet& other) {
  if (&other == this) {
    extents_.clear();
    return;
  }
  for (const Extent& extent : other) remove(extent);
}

bool ExtentSet::contains(std::uint64_t offset) const {
  auto at = first_ending_after(extents_, offset);
  return at != extents_.end() && at->first <= offset;
}

bool ExtentSet::contains(Extent extent) const {
  if (extent.empty()) return true;
  // Normalised: bytes without a gap are always in one extent.
  auto at = first_ending_after(extents_, extent.first);
  return at != extents_.end() && at->first <= extent.first && extent.end <= at->end;
}

bool ExtentSet::overlaps(Extent extent) const {
  if (extent.empty()) return false;
  auto at = first_ending_after(extents_, extent.first);
  return at != extents_.end() && at->first < extent.end;
}

bool ExtentSet::overlaps(const ExtentSet& other) const {
  return std::any_of(other.begin(), other.end(), [&](const Extent& extent) { return overlaps(extent); });
}

ExtentSet ExtentSet::intersection(Extent extent) const {
  ExtentSet common;
  if (extent.empty()) return common;
  for (auto at = first_ending_after(extents_, extent.first); at != extents_.end() && at->first < extent.end; ++at)
    common.extents_.push_back({std::max(at->first, extent.first), std::min(at->end, extent.end)});
  return common;
}

ExtentSet ExtentSet::intersection(const ExtentSet& other) const {
  ExtentSet common;
  for (const Extent& extent : other) common.add(intersection(extent));
  return common;
}

ExtentSet ExtentSet::gaps(Extent within) const {
  ExtentSet rest{within};
  for (const Extent& extent : intersection(within)) rest.remove(extent);
  return rest;
}

ExtentSet ExtentSet::round_out(std::uint32_t page_shift) const {
  ExtentSet rounded;
  for (const Extent& extent : extents_) {
    // Copies in the ABI's type: uint64_t and __u64 are different types of the same width.
    __u64 first = extent.first;
    __u64 end = extent.end;
    hf_round_out(&first, &end, page_shift);
    rounded.add(Extent{first, end});
  }
  return rounded;
}

std::uint64_t ExtentSet::total_bytes() const {
  if (!extents_.empty() && extents_.back().unbounded()) return HF_RANGE_END;
  // Bounded extents that share no byte end below HF_RANGE_END, so their sum fits.
  std::uint64_t total = 0;
  for (const Extent& extent : extents_) total += extent.end - extent.first;
  return total;
}

}  // namespace hf
