// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// Seals: classes of break sources that are refused on every file of a filesystem, by the words that an administrator uses for them.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace hf {

struct Seal {
  std::string_view name;
  std::uint32_t operations;  ///< bit 1 << enum hf_op
  std::string_view refuses;  ///< for people
};

/// Every operation of the gate is in exactly one of them.
std::span<const Seal> seals();
/// "truncate punch zero ...", for messages.
std::string seal_names();

/// hf_mount::seals for a list of names; "all" is all of them. The calls whose details the gate might not see come with those that they might be.
Result<std::uint32_t> seals_from_names(std::span<const std::string> names);
/// The way back: "all", "none", or the names, with blanks between.
std::string names_of_seals(std::uint32_t seals);
/// The name of the seal that refuses an operation; "" where none does.
std::string_view seal_of(std::uint32_t op);

}  // namespace hf
