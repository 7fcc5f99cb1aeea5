// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// Comparing and hashing hf_file_key, which is a C type shared with the kernel side and so brings neither.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>

#include "kern.h"

// At namespace scope of the type, so that argument-dependent lookup finds them from any namespace.
inline bool operator==(const hf_file_key& a, const hf_file_key& b) { return a.inode == b.inode && a.device == b.device && a.generation == b.generation; }

inline std::strong_ordering operator<=>(const hf_file_key& a, const hf_file_key& b) {
  if (auto by_device = a.device <=> b.device; by_device != 0) return by_device;
  if (auto by_inode = a.inode <=> b.inode; by_inode != 0) return by_inode;
  return a.generation <=> b.generation;
}

template <>
struct std::hash<hf_file_key> {
  std::size_t operator()(const hf_file_key& key) const noexcept {
    // Inode numbers are dense and devices few: one multiplication spreads them over the buckets.
    std::uint64_t mixed = key.inode ^ (std::uint64_t{key.device} << 32) ^ key.generation;
    mixed *= 0x9e3779b97f4a7c15ull;
    return static_cast<std::size_t>(mixed ^ (mixed >> 32));
  }
};
