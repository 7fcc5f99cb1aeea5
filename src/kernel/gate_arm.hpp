// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// Loading, attaching and pinning the gate's programs: the first time, for an upgrade, or not at all where what is pinned is this Holdfast's own.
#pragma once

#include <string>

#include "base/result.hpp"
#include "kernel/gate_pins.hpp"

namespace hf {

inline constexpr const char* kDetachHint =
    "holdfast gate detach, then start holdfastd again (registrations made before are protected again only once they are made anew)";

/// Whose programs decide once arm_or_take() has returned.
enum class Armed {
  kAnew,      ///< this start's
  kKept,      ///< this Holdfast's own, complete, by the maps of a gate that stood
  kStanding,  ///< another Holdfast's, by maps of this layout, with no hook missing: complete_gate() is due
};

/// Sees that a gate decides; takes the time of loading programs only where none does, or where a hook is missing.
/// @param version of this Holdfast, as the pins will say it
/// @errors EPROTONOSUPPORT where pins of another HF_ABI_VERSION stand, ENOTSUP where this kernel lacks a required function, those of loading and attaching;
///   nothing stays of what failed
Result<Armed> arm_or_take(const std::string& version, KernelFunctions& kernel);

/// Makes what stands complete and this Holdfast's own: the new programs stand beside the old ones until these go. Everything else may go on
/// meanwhile, on other threads and in the kernel.
/// @return whether programs were replaced; else nothing was amiss
/// @errors as arm_or_take(); the old programs go on deciding
Result<bool> complete_gate(const std::string& version, KernelFunctions& kernel);

}  // namespace hf
