// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// What the lease table and decide() mean, said byte by byte: slow, and too simple to be wrong. Shares no code with them.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <set>
#include <vector>

namespace hf::sim {

inline constexpr std::size_t kFiles = 3;
inline constexpr std::size_t kBytes = 256;    ///< that each file has
inline constexpr std::size_t kTail = kBytes;  ///< stands for every byte past them

using Bytes = std::array<bool, kBytes + 1>;

struct NaiveLease {
  std::uint32_t tgid = 0;
  std::uint32_t uid = 0;
  std::map<std::size_t, Bytes> files;  ///< asked for, by file
  friend bool operator==(const NaiveLease&, const NaiveLease&) = default;
};

using NaiveTable = std::map<std::uint64_t, NaiveLease>;

/// The leases of which a page (of 2^shift bytes) has one of the bytes.
std::set<std::uint64_t> touched(const NaiveTable& table, std::size_t file, const Bytes& bytes, std::uint32_t shift);
/// 0, EDEADLK or ETXTBSY.
int decide(const NaiveTable& table, std::size_t file, const Bytes& bytes, std::uint32_t task, bool sealed, std::uint32_t shift);
std::set<std::size_t> files(const NaiveTable& table);

}  // namespace hf::sim
