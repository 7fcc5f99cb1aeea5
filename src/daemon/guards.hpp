// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// The policy in force: what of the configuration each mounted filesystem gets, given to the gate, and kept up as filesystems come and go.
//
// Which way it fails: a filesystem is sealed from the moment that its mount is seen here, milliseconds after mount(2). One that only another mount
// namespace sees has the defaults.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "daemon/gate_like.hpp"
#include "kernel/paths.hpp"
#include "lease/policy.hpp"

namespace hf {

class Guards {
 public:
  explicit Guards(GateLike& gate, std::string mountinfo = "/proc/self/mountinfo") : gate_(gate), mounts_(std::move(mountinfo)) {}

  /// Puts the policy in force: all of it, or what was before stays.
  Status apply(Policy policy);
  /// After a mount or unmount.
  Status refresh();

  const Policy& policy() const { return policy_; }
  /// Of a filesystem by its device: the defaults for one that is not seen.
  const MountPolicy& of(std::uint32_t device) const;
  /// What is guarded or could be: by device.
  const std::map<std::uint32_t, Filesystem>& filesystems() const { return filesystems_; }
  bool limits_time() const { return limits_time_; }

  /// A maintenance window over a whole filesystem: everyone but that thread group finds it sealed.
  Status set_window(std::uint32_t device, std::uint32_t tgid);
  std::uint32_t window(std::uint32_t device) const;
  /// One that the gate has already, since before this daemon.
  void adopt_window(std::uint32_t device, std::uint32_t tgid) { windows_[device] = tgid; }

  /// What is odd, but no mistake: a program that isn't there, a mount that none of the rules' paths is.
  const std::vector<std::string>& remarks() const { return remarks_; }

 private:
  struct Wanted;
  Wanted wanted(const Policy& policy);
  Status enforce(const Wanted& wanted);

  GateLike& gate_;
  MountTable mounts_;
  Policy policy_;
  std::map<std::uint32_t, Filesystem> filesystems_;
  std::map<std::uint32_t, MountPolicy> policies_;
  std::map<std::uint32_t, std::uint32_t> windows_;
  std::vector<std::string> remarks_;
  bool limits_time_ = false;
};

}  // namespace hf
