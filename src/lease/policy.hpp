// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// The administrator's policy as plain data: what each filesystem is guarded and sealed against, who may hold, how much, and how far a recall may go.
// Pure: src/daemon/configuration reads it from files, src/daemon/guards gives it to the gate.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "kern.h"
#include "lease/admission.hpp"

namespace hf {

/// What a registration of some kind gets.
enum class Registered : std::uint8_t { lease, observe, refuse };

/// What a holder gets that would break its own lease.
enum class OwnBreak : std::uint8_t { deadlock, busy, allow };

/// Whose leases are honoured. Always root's; never those of a mere reader, whatever is said here.
struct Holders {
  bool writers = true;  ///< everyone who could have written the file
  bool owner = false;
  std::vector<std::uint32_t> users;
  std::vector<std::uint32_t> groups;
  friend bool operator==(const Holders&, const Holders&) = default;
};

/// For each user but root, on each filesystem; 0: no limit.
struct Quota {
  std::uint64_t leases = 65536;
  std::uint64_t bytes = 0;
  std::uint64_t time_s = 0;  ///< how long a lease of a process may stand; registrations have no such end
  friend bool operator==(const Quota&, const Quota&) = default;
};

/// A user whom the seals don't bind; with a program, only while it is run.
struct SealException {
  std::uint32_t uid = 0;
  std::string program;  ///< absolute path; empty: whatever it is
  friend bool operator==(const SealException&, const SealException&) = default;
};

struct MountPolicy {
  bool guard = true;
  std::uint32_t seals = 0;  ///< as hf_mount::seals
  std::vector<SealException> exceptions;
  Holders holders;
  Quota quota;
  Registered read_only = Registered::observe;
  Registered odp = Registered::lease;
  OwnBreak own_break = OwnBreak::deadlock;
  friend bool operator==(const MountPolicy&, const MountPolicy&) = default;

  /// HF_MOUNT_* for the gate.
  std::uint32_t flags() const;
};

/// A mounted filesystem. Policy is by filesystem and not by mount: whatever path leads to a file, it meets the same seals.
struct Filesystem {
  std::uint32_t device = 0;  ///< super_block::s_dev
  std::string type;
  std::vector<std::string> points;
};

/// What a table of the configuration sets; the rest stays as it was.
struct PolicyChanges {
  std::optional<bool> guard;
  std::optional<std::uint32_t> seals;
  std::optional<std::vector<SealException>> exceptions;
  std::optional<Holders> holders;
  std::optional<std::uint64_t> quota_leases, quota_bytes, quota_time_s;
  std::optional<Registered> read_only, odp;
  std::optional<OwnBreak> own_break;

  void apply_to(MountPolicy& policy) const;
};

/// One [[mount]]: exactly one of path, device and type is set.
struct MountRule {
  std::string path;    ///< a mount point
  std::string device;  ///< "/dev/pmem0", or "259:0"
  std::string type;    ///< "xfs"
  PolicyChanges changes;
  std::string origin;  ///< "FILE:LINE"
};

/// Files that are held from boot on, by the administrator.
struct StaticHold {
  std::string pattern;  ///< absolute; * ? [] in its last components
  bool settle = false;
  std::string origin;
  friend bool operator==(const StaticHold&, const StaticHold&) = default;
};

/// How far a recall may go: each step includes those before it.
enum class Escalation : std::uint8_t { deny, fence, kill };

struct RecallPolicy {
  std::optional<std::uint32_t> group;   ///< may recall, beside root
  Escalation most = Escalation::fence;  ///< the last step that a recall may take
  std::uint64_t wait_s = 30;            ///< where the command line does not say
  std::uint64_t wait_most_s = 3600;
  std::uint64_t fence_s = 10;      ///< for the holder's library to make the memory unreachable
  std::uint64_t terminate_s = 10;  ///< between SIGTERM and SIGKILL
  friend bool operator==(const RecallPolicy&, const RecallPolicy&) = default;
};

struct Policy {
  MountPolicy defaults;
  std::vector<MountRule> mounts;
  std::vector<StaticHold> holds;
  RecallPolicy recall;
  std::uint64_t registrations_per_user = 262144;  ///< that are recorded; 0: no limit
  std::uint64_t journal_bytes = 1ull << 30;       ///< how much history is kept; 0: no limit
  std::uint64_t journal_age_s = 90 * 86400;
  std::string metrics_listen = "unix:/run/holdfast/metrics.sock";  ///< as MetricsServer has it

  /// The defaults, then all rules that fit: by type, then by device, then by path; of those alike in their order. Each changes what it sets.
  /// @param device_number of a device's path, where it exists
  using DeviceNumber = std::function<std::optional<std::uint32_t>(const std::string&)>;
  MountPolicy of(const Filesystem& filesystem, const DeviceNumber& device_number) const;
};

/// Who asks for a lease.
struct Caller {
  std::uint32_t uid = 0;
  std::vector<std::uint32_t> groups;  ///< its own and the supplementary ones
  bool owner = false;                 ///< of the file
};

/// What the caller holds on that filesystem already.
struct Usage {
  std::uint64_t leases = 0;
  std::uint64_t bytes = 0;
};

/// EACCES where the configuration lets somebody else hold; EOPNOTSUPP on a filesystem that is exempt. @param path for the message
Status may_hold(const MountPolicy& policy, const Caller& caller, const std::string& path);
/// EDQUOT with the limit that would be passed.
Status within_quota(const Quota& quota, std::uint32_t uid, const Usage& usage, std::uint64_t more_bytes);

/// "deny", "fence", "kill"
std::string_view name(Escalation value);
std::string_view name(Registered value);
std::string_view name(OwnBreak value);

}  // namespace hf
