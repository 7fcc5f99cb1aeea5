// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// Registration plans: how a file's memory can be registered on an adapter. Pure: what the kernel answered comes in as data.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace hf::rdma {

enum class Plan {
  refused,
  plain,   ///< pinned; the lease keeps the layout under the pin
  odp,     ///< On-Demand Paging: nothing is pinned; the lease keeps every page reachable
  pinned,  ///< plain, over a view of the kernel module holdfast-pin: FS-DAX without ODP
};

/// What backs the memory. In the order of how hard it is to register: of several, the last counts.
enum class Backing { anonymous, memory_file, page_cache, dax };

struct PlanQuestion {
  Backing backing = Backing::anonymous;
  bool writable = true;      ///< remote or local writes by the adapter
  bool adapter_odp = false;  ///< the adapter has ODP
  bool prefer_odp = false;   ///< the program asked for it
  bool never_odp = false;
  bool pin = false;  ///< the kernel module holdfast-pin is loaded
};

/// tmpfs and hugetlbfs are memory; other filesystems are DAX or page cache.
Backing backing_of(std::uint32_t magic, bool dax);

/// The plans to try, the best first: on FS-DAX and page cache ODP where the adapter has it, since stock kernels refuse to pin them for long; plain elsewhere.
/// On FS-DAX holdfast-pin, where it is loaded, takes the place of what these kernels refuse.
std::vector<Plan> plans_to_try(const PlanQuestion& question);

/// What came of trying them.
struct Attempts {
  std::optional<int> plain;  ///< errno, 0 for success; none: not tried
  std::optional<int> odp;
};

/// Why there is no plan, and what mends it; `what` names the memory for people ("/mnt/pool/file").
Error refusal(const PlanQuestion& question, const Attempts& attempts, std::string_view what);

std::string_view plan_word(Plan plan);
std::string_view backing_word(Backing backing);

}  // namespace hf::rdma
