// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// The pattern that the writer puts and the verifier looks for: every block tells its seed, its round and its place, so that a lost write can be counted.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace lab {

inline constexpr std::size_t kBlockBytes = 4096;
inline constexpr std::size_t kBlockWords = kBlockBytes / 8;
inline constexpr std::uint64_t kStampMagic = 0x484f4c4446415354;  // "HOLDFAST"

using Block = std::span<std::uint64_t, kBlockWords>;
using ConstBlock = std::span<const std::uint64_t, kBlockWords>;

/// splitmix64's step: every bit of the input moves about half of the output's.
inline std::uint64_t mix(std::uint64_t value) {
  value += 0x9e3779b97f4a7c15;
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9;
  value = (value ^ (value >> 27)) * 0x94d049bb133111eb;
  return value ^ (value >> 31);
}

/// Fills a block: magic, seed, round, offset, then words that depend on all three.
inline void stamp(Block block, std::uint64_t seed, std::uint64_t round, std::uint64_t offset) {
  block[0] = kStampMagic;
  block[1] = seed;
  block[2] = round;
  block[3] = offset;
  const std::uint64_t base = mix(seed ^ mix(round ^ mix(offset)));
  for (std::size_t i = 4; i < kBlockWords; ++i) block[i] = base + i * 0x9e3779b97f4a7c15;
}

enum class BlockState {
  current,  ///< carries the round that was asked for, every word of it
  earlier,  ///< whole, but of an earlier round: the later writes were lost
  zero,     ///< all zeroes: a hole, or new memory
  corrupt,  ///< anything else: torn, misplaced or foreign
};

inline BlockState classify(ConstBlock block, std::uint64_t seed, std::uint64_t round, std::uint64_t offset) {
  std::uint64_t any = 0;
  for (const std::uint64_t word : block) any |= word;
  if (any == 0) return BlockState::zero;
  if (block[0] != kStampMagic || block[1] != seed || block[3] != offset) return BlockState::corrupt;
  const std::uint64_t base = mix(seed ^ mix(block[2] ^ mix(offset)));
  for (std::size_t i = 4; i < kBlockWords; ++i) {
    if (block[i] != base + i * 0x9e3779b97f4a7c15) return BlockState::corrupt;
  }
  return block[2] == round ? BlockState::current : BlockState::earlier;
}

}  // namespace lab
