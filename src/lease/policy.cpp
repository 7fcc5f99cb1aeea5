// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "lease/policy.hpp"

#include <algorithm>

namespace hf {
namespace {

constexpr std::uint32_t flags_of(Registered readers, Registered odp) {
  std::uint32_t flags = 0;
  if (readers == Registered::lease) flags |= HF_MOUNT_READERS_LEASED;
  if (readers == Registered::refuse) flags |= HF_MOUNT_READERS_REFUSED;
  if (odp == Registered::observe) flags |= HF_MOUNT_ODP_OBSERVED;
  if (odp == Registered::refuse) flags |= HF_MOUNT_ODP_REFUSED;
  return flags;
}

constexpr int kByType = 1, kByDevice = 2, kByPath = 3;

/// How a rule fits; 0: not at all.
int fit(const MountRule& rule, const Filesystem& filesystem, const Policy::DeviceNumber& device_number) {
  if (!rule.path.empty()) return std::find(filesystem.points.begin(), filesystem.points.end(), rule.path) != filesystem.points.end() ? kByPath : 0;
  if (!rule.device.empty()) return device_number(rule.device) == filesystem.device ? kByDevice : 0;
  return rule.type == filesystem.type ? kByType : 0;
}

bool contains(const std::vector<std::uint32_t>& list, std::uint32_t id) { return std::find(list.begin(), list.end(), id) != list.end(); }

}  // namespace

std::uint32_t MountPolicy::flags() const {
  std::uint32_t flags = flags_of(read_only, odp);
  if (!guard) flags |= HF_MOUNT_EXEMPT;
  if (own_break == OwnBreak::busy) flags |= HF_MOUNT_OWN_BUSY;
  if (own_break == OwnBreak::allow) flags |= HF_MOUNT_OWN_ALLOWED;
  if (!holders.writers) flags |= HF_MOUNT_HOLDERS_LISTED;
  if (!holders.writers && holders.owner) flags |= HF_MOUNT_HOLDERS_OWNER;
  return flags;
}

void PolicyChanges::apply_to(MountPolicy& policy) const {
  const auto set = [](auto& value, const auto& changed) {
    if (changed) value = *changed;
  };
  set(policy.guard, guard);
  set(policy.seals, seals);
  set(policy.exceptions, exceptions);
  set(policy.holders, holders);
  set(policy.quota.leases, quota_leases);
  set(policy.quota.bytes, quota_bytes);
  set(policy.quota.time_s, quota_time_s);
  set(policy.read_only, read_only);
  set(policy.odp, odp);
  set(policy.own_break, own_break);
}

MountPolicy Policy::of(const Filesystem& filesystem, const DeviceNumber& device_number) const {
  auto policy = defaults;
  for (const int wanted : {kByType, kByDevice, kByPath})
    for (const auto& rule : mounts)
      if (fit(rule, filesystem, device_number) == wanted) rule.changes.apply_to(policy);
  return policy;
}

Status may_hold(const MountPolicy& policy, const Caller& caller, const std::string& path) {
  if (!policy.guard) return fail(EOPNOTSUPP, fmt::format("{} is on a filesystem that the configuration exempts", path), "Guard it first: holdfast guard MOUNT");
  const auto& holders = policy.holders;
  if (caller.uid == 0 || holders.writers) return {};
  if (holders.owner && caller.owner) return {};
  if (contains(holders.users, caller.uid)) return {};
  if (std::any_of(caller.groups.begin(), caller.groups.end(), [&](std::uint32_t group) { return contains(holders.groups, group); })) return {};
  return fail(EACCES, fmt::format("the configuration lets user {} hold no file there ({})", caller.uid, path),
              "Ask the administrator: holders in holdfast.toml(5).");
}

Status within_quota(const Quota& quota, std::uint32_t uid, const Usage& usage, std::uint64_t more_bytes) {
  if (uid == 0) return {};
  if (quota.leases && usage.leases >= quota.leases)
    return fail(EDQUOT, fmt::format("user {} has {} leases on this filesystem, as many as a user may have", uid, usage.leases),
                "Release leases that are not needed, or ask for several ranges in one lease.");
  if (quota.bytes && (usage.bytes > quota.bytes || more_bytes > quota.bytes - usage.bytes))
    return fail(EDQUOT,
                fmt::format("user {} holds {} bytes on this filesystem, and {} more would be beyond the {} that a user may hold", uid, usage.bytes, more_bytes,
                            quota.bytes),
                "Release leases that are not needed, or ask for less.");
  return {};
}

std::string_view name(Escalation value) { return value == Escalation::deny ? "deny" : value == Escalation::fence ? "fence" : "kill"; }
std::string_view name(Registered value) { return value == Registered::lease ? "lease" : value == Registered::observe ? "observe" : "refuse"; }
std::string_view name(OwnBreak value) { return value == OwnBreak::deadlock ? "deadlock" : value == OwnBreak::busy ? "busy" : "allow"; }

}  // namespace hf
