// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// LeaseTable: the one table of registrations, leases, holders and files. The kernel's maps are the truth; this is their image with what only
// user space knows (paths, labels), indexed for questions. Pure: no system calls, no clock.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/result.hpp"
#include "decide.h"
#include "lease/extents.hpp"
#include "lease/file_key.hpp"

namespace hf {

using LeaseId = std::uint64_t;  ///< key of hf_leases; 0 is no lease

/// A process that cannot be mistaken for a later one with the same pid. All zeroes: the administrator's static holds.
struct ProcessKey {
  std::uint32_t tgid = 0;
  std::uint64_t start_ns = 0;  ///< CLOCK_BOOTTIME
  friend auto operator<=>(const ProcessKey&, const ProcessKey&) = default;
};

struct Holder {
  hf_lease_kind kind = HF_LEASE_PROCESS;
  std::uint32_t tgid = 0;
  std::uint64_t start_ns = 0;
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::string comm;
  std::string label;  ///< the holder's own words, for people; only user space knows it

  ProcessKey process() const { return {tgid, start_ns}; }
  friend bool operator==(const Holder&, const Holder&) = default;
};

/// What one lease covers of one file.
struct LeasedFile {
  hf_file_key key{};
  ExtentSet extents;             ///< leased, as asked for; the gate protects the pages that they touch
  ExtentSet unprotected;         ///< registered too, but without a lease: `reasons` say why
  std::uint32_t reasons = 0;     ///< enum hf_reason
  std::uint32_t magic = 0;       ///< super_block::s_magic; 0: not known
  std::uint32_t page_shift = 0;  ///< of the pages that back it; 0: not known yet, taken for 12
  bool dax = false;
  bool whole = false;   ///< the gate holds all of the file, whatever its size
  bool merged = false;  ///< the gate ran out of slots: it protects more than `extents`
  std::string path;     ///< as known; only user space knows it

  friend bool operator==(const LeasedFile&, const LeasedFile&) = default;
};

struct Lease {
  LeaseId id = 0;
  Holder holder;
  std::vector<LeasedFile> files;  ///< one for each file, by key; a registration can span several
  hf_lease_state state = HF_STATE_PINNING;
  std::uint32_t reasons = 0;   ///< enum hf_reason, of all parts together
  std::uint64_t since_ns = 0;  ///< CLOCK_BOOTTIME
  std::uint64_t address = 0;   ///< of a registration, in its holder's address space
  std::uint64_t length_bytes = 0;
  std::uint32_t access = 0;  ///< IB_ACCESS_*
  bool odp = false;
  std::string device;  ///< the adapter's

  /// The entry of a file, made where there is none.
  LeasedFile& file(const hf_file_key& key);
  const LeasedFile* on(const hf_file_key& key) const;
  /// Saturates at HF_RANGE_END.
  std::uint64_t leased_bytes() const;
  friend bool operator==(const Lease&, const Lease&) = default;
};

/// A record of the kernel's with what it refers to.
struct LeaseRecord : hf_lease {
  LeaseId id = 0;
  std::string device_name;  ///< the adapter's
};

/// A lease as the kernel keeps it. A part is leased where it has a slot, whatever its reasons.
/// @param parts all of them, the record's first one too
Lease lease_from_kernel(const LeaseRecord& record, std::span<const hf_part> parts);

struct LeaseChange {
  Lease before;
  Lease after;
};

/// What a call changed, each list by id or key: the daemon turns it into events.
struct Diff {
  std::vector<Lease> added;
  std::vector<Lease> removed;
  std::vector<LeaseChange> changed;
  std::vector<hf_file_key> files_gained;  ///< had no entry in any lease before
  std::vector<hf_file_key> files_lost;    ///< have none any more
  bool empty() const { return added.empty() && removed.empty() && changed.empty(); }
};

class LeaseTable {
 public:
  /// Fails with EEXIST where the id is taken, EINVAL without an id.
  Result<Diff> add(Lease lease);
  /// Replaces the lease of that id; ENOENT where there is none. An empty Diff: nothing was different.
  Result<Diff> update(Lease lease);
  Result<Diff> remove(LeaseId id);
  /// Makes the table the snapshot, exactly. What only user space knows (label, path, page_shift) is kept where the snapshot has none.
  /// Of entries with the same id the last counts: a walk over a kernel hash that restarts hands some out twice. Entries without an id are dropped.
  Diff sync(std::vector<Lease> snapshot);

  /// Pointers are good until the next change of that lease.
  const Lease* find(LeaseId id) const;
  std::vector<const Lease*> on_file(const hf_file_key& key) const;
  std::size_t leases_on(const hf_file_key& key) const;
  std::vector<const Lease*> of_process(const ProcessKey& process) const;
  /// Has it a lease of that kind? Without looking at all of a million.
  bool holds(const ProcessKey& process, hf_lease_kind kind) const;
  /// Those that the operation would break: the breaker's own first, then by id.
  std::vector<const Lease*> touched(const hf_file_key& key, const hf_question& question) const;
  std::size_t count_of_user(std::uint32_t uid) const;  ///< for quotas

  /// The gate's decision over all leases of the file. The kernel may refuse more, where it has merged extents for want of slots.
  /// @param seals hf_mount::seals of the file's filesystem
  hf_answer decide(const hf_file_key& key, const hf_question& question, std::uint32_t seals = 0) const;

  const std::map<LeaseId, Lease>& leases() const { return leases_; }
  std::vector<hf_file_key> files() const;  ///< by key
  std::size_t size() const { return leases_.size(); }
  bool empty() const { return leases_.empty(); }

  /// For tests: do the indexes agree with the leases? The error names the first disagreement.
  Status check() const;

 private:
  using Ids = std::set<LeaseId>;
  Diff apply(const std::vector<LeaseId>& gone, std::vector<Lease> wanted);
  void index(const Lease& lease);
  void unindex(const Lease& lease);
  std::vector<const Lease*> resolve(const Ids& ids) const;

  std::map<LeaseId, Lease> leases_;
  std::unordered_map<hf_file_key, Ids> by_file_;
  std::map<ProcessKey, Ids> by_process_;
  std::unordered_map<std::uint32_t, std::size_t> by_user_;
};

}  // namespace hf
