// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// A record of the kernel's maps as a Lease.
#include <algorithm>

#include "lease/table.hpp"

namespace hf {

namespace {

/// The kernel fills such arrays with strscpy(); a torn read may miss the NUL all the same.
template <std::size_t Size>
std::string text(const char (&characters)[Size]) {
  return {characters, std::find(characters, characters + Size, '\0')};
}

}  // namespace

Lease lease_from_kernel(const LeaseRecord& record, std::span<const hf_part> parts) {
  Lease lease;
  lease.id = record.id;
  lease.holder.kind = static_cast<hf_lease_kind>(record.kind);
  lease.holder.tgid = record.tgid;
  lease.holder.start_ns = record.holder_start;
  lease.holder.uid = record.uid;
  lease.holder.gid = record.gid;
  lease.holder.comm = text(record.comm);
  lease.state = static_cast<hf_lease_state>(record.state);
  lease.reasons = record.reasons;
  lease.since_ns = record.since_ns;
  lease.address = record.address;
  lease.length_bytes = record.length_bytes;
  lease.access = record.access;
  lease.odp = record.odp != 0;
  lease.device = record.device_name;
  for (const hf_part& part : parts) {
    LeasedFile& file = lease.file(part.file);
    ExtentSet& bytes = part.slot == HF_NO_SLOT ? file.unprotected : file.extents;
    bytes.add(Extent{part.first, part.end});
    file.reasons |= part.reasons;
    file.magic = part.magic;
    file.dax = file.dax || (part.flags & HF_PART_DAX) != 0;
    file.whole = file.whole || (part.slot != HF_NO_SLOT && (part.flags & HF_PART_WHOLE) != 0);
    file.merged = file.merged || (part.flags & HF_PART_MERGED) != 0;
  }
  return lease;
}

}  // namespace hf
