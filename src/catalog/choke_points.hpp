// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// The kernel functions through which layouts are broken, and at which the tripwire sees it (bpf/tripwire.bpf.h).
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "catalog/break_sources.hpp"

namespace hf {

struct ChokePoint {
  hf_choke choke;
  std::string_view function;     ///< of the kernel; the newest name where it was renamed
  std::string_view description;  ///< what passes there, one line
  std::uint8_t kinds;            ///< FileKinds
};

/// All, in the order of enum hf_choke.
std::span<const ChokePoint> choke_points();
/// The function, or "choke point N" for a value that this Holdfast does not know.
std::string choke_name(std::uint32_t choke);

}  // namespace hf
