// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// Leases for the tests of the table.
#pragma once

#include "lease/table.hpp"

namespace hf::testing {

inline constexpr hf_file_key kFileA{.inode = 10, .device = 1, .generation = 1};
inline constexpr hf_file_key kFileB{.inode = 11, .device = 1, .generation = 1};
inline constexpr hf_file_key kFileAReused{.inode = 10, .device = 1, .generation = 2};

inline Lease lease_of(LeaseId id, std::uint32_t tgid, const hf_file_key& key, Extent extent) {
  Lease lease;
  lease.id = id;
  lease.holder.tgid = tgid;
  lease.holder.start_ns = 1000u + tgid;
  lease.holder.uid = 500u + tgid;
  lease.holder.comm = "holder";
  lease.state = HF_STATE_PROTECTED;
  lease.file(key).extents.add(extent);
  return lease;
}

inline hf_question asks(hf_op op, std::uint64_t first, std::uint64_t end, std::uint32_t task = 999) {
  return {.op = static_cast<__u32>(op), .task = task, .first = first, .end = end};
}

inline std::vector<LeaseId> ids(const std::vector<const Lease*>& leases) {
  std::vector<LeaseId> found;
  for (const Lease* lease : leases) found.push_back(lease->id);
  return found;
}

}  // namespace hf::testing
