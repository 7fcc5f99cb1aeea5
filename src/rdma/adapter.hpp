// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// What an adapter says of itself. What it can do, trials.hpp finds out.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "rdma/uverbs.hpp"

namespace hf::rdma {

struct Limits {
  std::uint64_t region_bytes = 0;  ///< the largest region
  std::uint64_t regions = 0;
  std::uint64_t windows = 0;
  std::uint64_t queue_pairs = 0;
  std::uint64_t domains = 0;
  std::uint64_t page_sizes = 0;        ///< bit N: pages of 2^N bytes
  std::uint64_t odp_region_bytes = 0;  ///< the largest ODP region; 0: not told
};

struct Adapter {
  std::string name;
  std::string driver;  ///< kernel module; empty where sysfs does not tell
  std::string firmware;
  std::string transport;  ///< "InfiniBand", "RoCE", "iWARP", ...
  std::string link;       ///< "active", "down", ...
  std::string network_device;
  bool odp_claimed = false;
  std::vector<std::string> odp_claims;  ///< "rc.write", ...: by the adapter's word
  Limits limits;
};

Result<Adapter> describe(ibv_context* context);

/// A way in which memory is pinned for long that no probe of ours sees.
struct Unobserved {
  std::string id;
  std::string what;
  std::string why;
  bool present = false;  ///< this machine has what it takes, as far as can be seen
};
/// @param sys, proc where sysfs and procfs are
std::vector<Unobserved> unobserved_pins(const std::string& sys = "/sys", const std::string& proc = "/proc");

}  // namespace hf::rdma
