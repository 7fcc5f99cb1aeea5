// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// ExtentSet: an exact set of bytes of a file, kept as half-open ranges.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <vector>

#include "kern.h"

namespace hf {

/// The bytes [first, end) of a file. An end of HF_RANGE_END: the end of the file and all that may follow.
struct Extent {
  std::uint64_t first = 0;
  std::uint64_t end = 0;

  bool empty() const { return first >= end; }
  bool unbounded() const { return end == HF_RANGE_END && !empty(); }
  friend auto operator<=>(const Extent&, const Extent&) = default;
};

/// Always normalised: extents in ascending order, none empty, none touching its neighbour. Two sets of the same bytes are equal.
class ExtentSet {
 public:
  ExtentSet() = default;
  ExtentSet(std::initializer_list<Extent> extents);

  void add(Extent extent);
  void add(const ExtentSet& other);
  void remove(Extent extent);
  void remove(const ExtentSet& other);

  bool contains(std::uint64_t offset) const;
  /// Every byte of it; true for an empty extent.
  bool contains(Extent extent) const;
  /// At least one byte of it; false for an empty extent.
  bool overlaps(Extent extent) const;
  bool overlaps(const ExtentSet& other) const;

  ExtentSet intersection(Extent extent) const;
  ExtentSet intersection(const ExtentSet& other) const;
  /// The bytes of `within` that are not in the set.
  ExtentSet gaps(Extent within) const;
  /// Every extent widened to whole pages, as hf_round_out() does for the gate.
  ExtentSet round_out(std::uint32_t page_shift) const;

  /// Saturates: HF_RANGE_END as soon as one extent is unbounded.
  std::uint64_t total_bytes() const;

  bool empty() const { return extents_.empty(); }
  std::size_t size() const { return extents_.size(); }
  const Extent& front() const { return extents_.front(); }
  const Extent& back() const { return extents_.back(); }
  auto begin() const { return extents_.begin(); }
  auto end() const { return extents_.end(); }
  friend bool operator==(const ExtentSet&, const ExtentSet&) = default;

 private:
  std::vector<Extent> extents_;
};

}  // namespace hf
