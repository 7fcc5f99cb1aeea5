// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// The registration plan of each mount: an unnamed scratch file there is registered as a program would register its own.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "rdma/plan.hpp"
#include "rdma/uverbs.hpp"

namespace hf::rdma {

struct MountFacts {
  std::string point;
  std::string filesystem;
  std::uint32_t magic = 0;
};

/// What a program gets that registers a mapped file of that mount.
struct PlanFound {
  Plan plan = Plan::refused;
  std::string reason;  ///< why not, or why not tried
  std::string mend;
  bool tried = false;
};

struct MountPlan {
  MountFacts mount;
  Backing backing = Backing::page_cache;
  PlanFound writer, reader;
};

/// The mounts of filesystems that can be held, each filesystem once (by its first mount), as this process sees them.
Result<std::vector<MountFacts>> holdable_mounts(const std::string& mountinfo = "/proc/self/mountinfo");

/// Registers a scratch file (O_TMPFILE: it has no name and goes with the descriptor). Where none can be made there, says why.
MountPlan try_mount(ibv_pd* domain, const MountFacts& mount);

}  // namespace hf::rdma
