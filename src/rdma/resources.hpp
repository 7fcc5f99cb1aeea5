// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// The regions that exist, by the kernel's own account (`rdma resource show mr`): for those that were registered before anyone observed.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.hpp"

namespace hf::rdma {

struct ExistingRegion {
  std::string device;
  std::uint32_t number = 0;  ///< the kernel's for it, on that device
  std::uint32_t pid = 0;     ///< of the process that registered it
  std::uint64_t length_bytes = 0;
};

/// Regions of user space, in the order of their numbers for each device. An empty list where the RDMA core is not loaded.
/// What the kernel does not tell: where in the process they lie, and with what access.
Result<std::vector<ExistingRegion>> existing_regions();

}  // namespace hf::rdma
