// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// The part of Core that deals with registrations which were there before the gate: found by what the kernel lists and what their processes have mapped.
//
// The kernel tells a region's process and length, not where it lies. Where the process has as many shared file mappings of that length as it has
// such regions, these are the regions' files, and they are leased from then on. Otherwise the files that they may lie on are named.
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <map>

#include "daemon/core.hpp"
#include "daemon/words.hpp"
#include "lease/admission.hpp"

namespace hf {
namespace {

constexpr std::uint64_t kPage = 4096;
/// hf_lease::umem of such a lease is the region's number and 1 (numbers begin with 0): the kernel side never sees the release of a umem that it did
/// not see made.
constexpr std::uint64_t kNumberEnd = 1ull << 32;  // a real one is an address of the kernel's

std::uint64_t in_pages(std::uint64_t bytes) { return (bytes + kPage - 1) / kPage * kPage; }

LeaseRecord record_of(const rdma::ExistingRegion& region, const ProcessTable& processes) {
  const auto pid = static_cast<pid_t>(region.pid);
  LeaseRecord record{};
  record.umem = std::uint64_t{region.number} + 1;
  record.length_bytes = region.length_bytes;
  record.since_ns = boot_time_ns();
  record.holder_start = processes.start_ns(pid).value_or(0);
  record.tgid = record.tid = region.pid;
  record.kind = HF_LEASE_REGISTRATION;
  record.device_name = region.device;
  if (const auto status = processes.text(pid, "status")) {
    if (const auto uid = status_field(*status, "Uid")) record.uid = static_cast<std::uint32_t>(std::strtoul(uid->c_str(), nullptr, 10));
    if (const auto gid = status_field(*status, "Gid")) record.gid = static_cast<std::uint32_t>(std::strtoul(gid->c_str(), nullptr, 10));
    if (const auto comm = status_field(*status, "Name")) comm->copy(record.comm, sizeof record.comm - 1);
  }
  return record;
}

bool is_shared_file(const Mapping& mapping) {
  return mapping.shared && mapping.inode && !mapping.path.starts_with("/dev/infiniband/") && !mapping.path.starts_with("anon_inode:");
}

/// The shared file mappings on which a region of that length may lie: those in a stretch of addresses without a gap that is as long.
std::vector<Mapping> shared_files(const ProcessTable& processes, std::uint32_t pid, std::uint64_t length_bytes) {
  const auto mappings = mappings_of(static_cast<pid_t>(pid), 0, HF_RANGE_END, processes.root()).value_or(std::vector<Mapping>{});
  std::vector<Mapping> found;
  for (auto first = mappings.begin(); first != mappings.end();) {
    auto end = std::next(first);
    while (end != mappings.end() && end->start == std::prev(end)->end) ++end;
    if (std::prev(end)->end - first->start >= length_bytes) std::copy_if(first, end, std::back_inserter(found), is_shared_file);
    first = end;
  }
  return found;
}

}  // namespace

void Core::recall_existing(const std::vector<KernelLease>& standing) {
  for (const auto& lease : standing)
    if (lease.record.kind == HF_LEASE_REGISTRATION && lease.record.umem && lease.record.umem <= kNumberEnd)
      existing_[lease.record.id] = {lease.record.device_name, static_cast<std::uint32_t>(lease.record.umem - 1)};
}

void Core::take_existing(std::vector<rdma::ExistingRegion> regions) {
  // Those that were observed are in the table already: the newest ones, where some of one process look alike.
  std::map<std::pair<std::uint32_t, std::uint64_t>, std::vector<rdma::ExistingRegion>> alike;
  for (auto& region : regions) alike[{region.pid, region.length_bytes}].push_back(std::move(region));
  for (const auto& [id, lease] : table_.leases()) {
    if (lease.holder.kind != HF_LEASE_REGISTRATION) continue;
    const auto found = alike.find({lease.holder.tgid, lease.length_bytes});
    if (found != alike.end() && !found->second.empty()) found->second.pop_back();
  }
  for (auto& [what, group] : alike) {
    const auto& [pid, length] = what;
    const auto candidates = shared_files(processes_, pid, length);
    std::vector<Mapping> exact;
    for (const auto& mapping : candidates)
      if (mapping.end - mapping.start == in_pages(length)) exact.push_back(mapping);
    // No shared file mapping that is large enough: anonymous memory, with nothing to protect.
    for (std::size_t i = 0; i < group.size() && !candidates.empty(); ++i) take_region(group[i], exact.size() == group.size() ? &exact[i] : nullptr, candidates);
  }
}

/// @param where its mapping, or null where only `candidates` are known
void Core::take_region(const rdma::ExistingRegion& region, const Mapping* where, const std::vector<Mapping>& candidates) {
  auto record = record_of(region, processes_);
  if (!record.holder_start) return;  // gone meanwhile
  record.state = where ? HF_STATE_PINNING : HF_STATE_UNPROTECTED;
  // The survey completes it, as it does registrations that the kernel side could not look at.
  record.reasons = where ? HF_REASON_VMA_BUSY | HF_REASON_LATE : HF_REASON_RANGE_UNKNOWN;
  if (where) record.address = where->start;
  const auto id = gate_.lease_begin(record);
  if (!id) return hooks_.report(id.error());
  existing_[*id] = {region.device, region.number};
  refresh(*id);
  if (where) return;
  std::set<std::string> names;
  for (const auto& mapping : candidates) names.insert(mapping.path);
  for (const auto& name : names) warnings_[*id].push_back("registered before Holdfast looked; it may lie on " + name);
}

void Core::still_existing(const std::vector<rdma::ExistingRegion>& regions) {
  std::set<RegionKey> present;
  for (const auto& region : regions) present.insert({region.device, region.number});
  std::vector<LeaseId> gone;
  for (const auto& [id, key] : existing_)
    if (!present.contains(key)) gone.push_back(id);
  for (const auto id : gone) (void)end(id);
}

}  // namespace hf
