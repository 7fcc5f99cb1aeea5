// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// The catalogue of break sources: what each is called, how it is issued, what it touches and breaks, which hook sees it, and what Holdfast does about it.
// The CLI, the documentation, the probe and the tests are driven by it. A new one is one entry in break_sources.cpp.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "kern.h"

namespace hf {

enum class BreakClass : std::uint8_t {
  truncate,
  punch,
  zero,
  shift,
  write_zeroes,
  unshare,
  unknown_call,
  reflink,
  reflink_from,
  dedupe,
  copy,
  exchange,
  attributes,
  cow_write,
  hole_fill,
  invalidate,
  swap,
  whole_filesystem,
  device,
  exports,
  loop,
  memory,
  hardware,
};

/// The bytes whose layout it changes.
enum class Touches : std::uint8_t {
  from_new_size,  ///< [new size, end): nothing where the file grows
  range,          ///< [offset, offset + length)
  from_offset,    ///< [offset, end): what follows moves
  range_of_each,  ///< a range in each of two files
  whole_file,
  whole_file_each,  ///< all of two files
  whole_filesystem,
  page,
};

enum class Verdict : std::uint8_t {
  refused,   ///< by the gate, on leased bytes and under a seal
  admitted,  ///< cannot happen on what admission lets be leased
  observed,  ///< no hook can refuse it: `reason` says why; the tripwire or the kernel reports it
  harmless,  ///< breaks nothing that a lease promises, and stays legal: `reason` says why
};

/// Kinds of file, as bits.
enum FileKinds : std::uint8_t {
  kDax = 1 << 0,        ///< FS-DAX
  kShmem = 1 << 1,      ///< tmpfs, memfd
  kHugetlb = 1 << 2,    ///< hugetlbfs
  kPageCache = 1 << 3,  ///< XFS, ext4 without DAX
};
inline constexpr std::uint8_t kAllKinds = kDax | kShmem | kHugetlb | kPageCache;

/// A few words in an order, at compile time.
struct Words {
  static constexpr std::size_t kMax = 8;
  std::array<std::string_view, kMax> items{};
  std::size_t count = 0;

  template <class... Word>
  constexpr Words(Word... words) : items{std::string_view(words)...}, count(sizeof...(words)) {
    static_assert(sizeof...(words) <= kMax);
  }
  constexpr auto begin() const { return items.begin(); }
  constexpr auto end() const { return items.begin() + count; }
  constexpr std::size_t size() const { return count; }
};

struct BreakSource {
  hf_op op;             ///< HF_OP_NONE for a source that no operation of the gate stands for
  std::string_view id;  ///< stable: in configuration, output and the journal
  BreakClass source_class;
  std::string_view description;  ///< one line
  Words routes;                  ///< the calls that issue it
  Touches touches;
  std::string_view range;  ///< the touched bytes, in words and in the call's own terms
  std::uint8_t kinds;      ///< FileKinds that it breaks
  std::string_view filesystems;
  std::string_view hook;  ///< the kernel hook by which the gate sees it
  Verdict verdict;
  std::string_view reason{};         ///< why it is not refused
  std::string_view needs{};          ///< the KernelPart without which it does not exist; empty: every supported kernel has it
  std::string_view since{};          ///< the first kernel with it, for people; empty: before 6.1
  Words functions{};                 ///< KernelParts that perform it
  Words choke_points{};              ///< functions in which the tripwire sees it happen, depending on the kind of file
  std::string_view administrator{};  ///< what an administrator can do about it beside Holdfast
};

// A KernelPart names a function of the kernel: "notify_change", or "xfs:xfs_swap_extents" for one of a module. "a|b": either. "?x": one that can't be asked
// for.

/// All, the gate's operations first and in the order of enum hf_op.
std::span<const BreakSource> break_sources();
/// nullptr for HF_OP_NONE and for values that are not an operation.
const BreakSource* find_break_source(hf_op op);
const BreakSource* find_break_source(std::string_view id);
/// The id, or "operation N" for a value that this Holdfast does not know (an event of a newer gate).
std::string op_name(std::uint32_t op);

std::string_view name(BreakClass value);
std::string_view name(Touches value);
std::string_view name(Verdict value);
/// "D S H P", the kinds that are in the bits.
std::string kinds_letters(std::uint8_t kinds);

}  // namespace hf
