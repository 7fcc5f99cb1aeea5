// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "daemon/guards.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

namespace hf {
namespace {

constexpr std::array<std::string_view, 4> kTypes{"xfs", "ext4", "tmpfs", "hugetlbfs"};

/// "MAJOR:MINOR", or a path: the block device there.
std::optional<std::uint32_t> device_number(const std::string& device) {
  if (const auto colon = device.find(':'); colon != std::string::npos && device[0] != '/') {
    std::uint32_t major = 0, minor = 0;
    const char* end = device.data() + device.size();
    if (std::from_chars(device.data(), end, major).ptr != device.data() + colon || std::from_chars(device.data() + colon + 1, end, minor).ptr != end) return {};
    return kernel_device(major, minor);
  }
  struct stat status {};
  if (::stat(device.c_str(), &status) || !S_ISBLK(status.st_mode)) return {};
  return kernel_device(major(status.st_rdev), minor(status.st_rdev));
}

std::map<std::uint32_t, Filesystem> by_device(const std::vector<Mount>& mounts) {
  std::map<std::uint32_t, Filesystem> filesystems;
  for (const auto& mount : mounts) {
    if (std::find(kTypes.begin(), kTypes.end(), mount.type) == kTypes.end()) continue;
    auto& filesystem = filesystems[mount.device];
    filesystem.device = mount.device;
    filesystem.type = mount.type;
    // A bind mount of a folder is no place to seal a whole filesystem by.
    if (mount.root == "/") filesystem.points.push_back(mount.point);
  }
  return filesystems;
}

}  // namespace

struct Guards::Wanted {
  std::map<std::uint32_t, Filesystem> filesystems;
  std::map<std::uint32_t, MountPolicy> policies;
  std::vector<hf_listed> listed;
  std::vector<std::string> remarks;
  std::uint32_t default_flags = 0;
  std::uint64_t registrations_per_user = 0;
  bool limits_time = false;
};

Guards::Wanted Guards::wanted(const Policy& policy) {
  Wanted wanted;
  wanted.filesystems = by_device(mounts_.mounts());
  // Lists of the defaults can't be kept for filesystems that are not seen: there they name nobody.
  wanted.default_flags = policy.defaults.flags();
  wanted.registrations_per_user = policy.registrations_per_user;
  std::map<std::string, std::optional<hf_file_key>> programs;
  const auto program_key = [&](const std::string& path) {
    const auto [entry, fresh] = programs.try_emplace(path);
    if (!fresh) return entry->second;
    const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
    if (const auto seen = fd ? gate_.facts(fd.get()) : Result<hf_facts>(sys_error(errno, "open", path)); seen)
      entry->second = seen->file;
    else
      wanted.remarks.push_back("an exception for a program that can't be looked at has no effect: " + seen.error().message);
    return entry->second;
  };
  for (const auto& [device, filesystem] : wanted.filesystems) {
    const auto& its = wanted.policies[device] = policy.of(filesystem, device_number);
    wanted.limits_time = wanted.limits_time || its.quota.time_s;
    const auto list = [&wanted, device = device](hf_list what, std::uint32_t id, const hf_file_key& program = {}) {
      wanted.listed.push_back({.device = device, .list = static_cast<__u32>(what), .id = id, .pad = 0, .program = program});
    };
    if (!its.holders.writers) {
      for (const auto uid : its.holders.users) list(HF_LIST_HOLDER_USER, uid);
      for (const auto gid : its.holders.groups) list(HF_LIST_HOLDER_GROUP, gid);
    }
    if (!its.seals) continue;
    for (const auto& exception : its.exceptions) {
      if (exception.program.empty())
        list(HF_LIST_UNSEALED, exception.uid);
      else if (const auto key = program_key(exception.program))
        list(HF_LIST_UNSEALED, exception.uid, *key);
    }
  }
  for (const auto& rule : policy.mounts) {
    if (rule.path.empty()) continue;
    const bool mounted = std::any_of(wanted.filesystems.begin(), wanted.filesystems.end(), [&](const auto& entry) {
      const auto& points = entry.second.points;
      return std::find(points.begin(), points.end(), rule.path) != points.end();
    });
    if (!mounted) wanted.remarks.push_back(fmt::format("{}: no filesystem that Holdfast guards is mounted on {} now", rule.origin, rule.path));
  }
  return wanted;
}

/// Exceptions and holders first: who is listed is never refused for a moment. A policy that is being tightened so passes through no weaker one.
Status Guards::enforce(const Wanted& wanted) {
  HF_TRY(gate_.set_listed(wanted.listed));
  gate_.set_defaults(wanted.default_flags, wanted.registrations_per_user);
  for (const auto& [device, policy] : wanted.policies)
    HF_TRY(gate_.set_mount(device, {.leases = 0, .seals = policy.seals, .flags = policy.flags(), .window = window(device)}));
  HF_TRY_ASSIGN(const auto known, gate_.mounts());
  for (const auto& [device, mount] : known) {
    if (wanted.policies.contains(device)) continue;
    // Not mounted where we see it: another filesystem may get its number.
    if (mount.seals || mount.window || mount.flags != wanted.default_flags)
      HF_TRY(gate_.set_mount(device, {.leases = 0, .seals = 0, .flags = wanted.default_flags, .window = 0}));
  }
  return {};
}

Status Guards::apply(Policy policy) {
  auto fresh = wanted(policy);
  if (auto enforced = enforce(fresh); !enforced) {
    (void)enforce(wanted(policy_));
    return enforced;
  }
  policy_ = std::move(policy);
  filesystems_ = std::move(fresh.filesystems);
  policies_ = std::move(fresh.policies);
  remarks_ = std::move(fresh.remarks);
  limits_time_ = fresh.limits_time;
  return {};
}

Status Guards::refresh() { return apply(policy_); }

const MountPolicy& Guards::of(std::uint32_t device) const {
  const auto found = policies_.find(device);
  return found == policies_.end() ? policy_.defaults : found->second;
}

Status Guards::set_window(std::uint32_t device, std::uint32_t tgid) {
  const auto& policy = of(device);
  const bool seen = policies_.contains(device);
  HF_TRY(gate_.set_mount(device, {.leases = 0, .seals = seen ? policy.seals : 0, .flags = policy.flags(), .window = tgid}));
  if (tgid)
    windows_[device] = tgid;
  else
    windows_.erase(device);
  return {};
}

std::uint32_t Guards::window(std::uint32_t device) const {
  const auto found = windows_.find(device);
  return found == windows_.end() ? 0 : found->second;
}

}  // namespace hf
