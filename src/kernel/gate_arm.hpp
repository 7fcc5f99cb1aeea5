// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// Loading, attaching and pinning the gate's programs: the first time, for an upgrade, or not at all where what is pinned is this Holdfast's own.
#pragma once

#include <string>

#include "base/result.hpp"
#include "kernel/gate_pins.hpp"

namespace hf {

inline constexpr const char* kDetachHint =
    "holdfast gate detach, then start holdfastd again (registrations made before are protected again only once they are made anew)";

/// Sees that the gate is armed with this Holdfast's programs.
/// @param version of this Holdfast, as the pins will say it
/// @return whether what was pinned was kept as it is; else it was armed anew, beside the old programs until the new ones decided
/// @errors EPROTONOSUPPORT where pins of another HF_ABI_VERSION stand, ENOTSUP where this kernel lacks a required function, those of loading and attaching;
///   nothing stays of what failed
Result<bool> arm_or_keep(const std::string& version, KernelFunctions& kernel);

}  // namespace hf
