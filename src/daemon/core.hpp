// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// The daemon's one state: the lease table as an image of the kernel's maps, whose each lease is, what was denied. Runs on the event loop's thread
// only, knows no sockets; what takes time or needs the loop it asks for through Hooks.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "daemon/denial_log.hpp"
#include "daemon/escape_log.hpp"
#include "daemon/gate_like.hpp"
#include "daemon/grants.hpp"
#include "daemon/guards.hpp"
#include "daemon/owners.hpp"
#include "daemon/survey.hpp"
#include "kernel/identity.hpp"
#include "kernel/paths.hpp"
#include "kernel/process.hpp"
#include "journal/entry.hpp"
#include "kernel/user_stack.hpp"
#include "lease/table.hpp"
#include "rdma/resources.hpp"

namespace hf {

/// Something for every watcher, as JSON text. Watchers that are not root hear only of what concerns their own user.
struct Announcement {
  std::string json;
  std::vector<std::uint32_t> uids;  ///< of those whom it concerns
};

/// A connection that holds leases.
class LeaseOwner {
 public:
  virtual ~LeaseOwner() = default;
  virtual void lease_denied(LeaseId lease, const Denial& denial) = 0;
  /// The layout of leased bytes has changed.
  virtual void lease_escaped(LeaseId lease, const Escape& escape) = 0;
  /// The lease is no more, and its owner did not ask for that.
  virtual void lease_ended(LeaseId lease) = 0;
};

struct Hooks {
  std::function<void(const ProcessKey&)> watch_process;  ///< call process_gone() when it ends
  std::function<void(SurveyRequest)> survey;             ///< run survey() beside the loop, then call surveyed()
  std::function<bool()> watched;                         ///< is there anyone to announce to?
  std::function<void(const Announcement&)> announce;
  std::function<void(const Denial&)> tell_denial;             ///< to the operator
  std::function<void(const Escape&)> tell_escape;             ///< to the operator, so that it can't be overlooked
  std::function<void(const Lease&)> tell_unprotected;         ///< a registration that is not protected
  std::function<void(const hf_lifecycle_event&)> tell_quota;  ///< a registration beyond its user's quota: nothing of it is kept
  std::function<void(const Error&)> report;                   ///< an operator should know
  std::function<void(JournalEntry)> record{};                 ///< into the journal
  /// Recalls: what comes and goes, who ends, and whether a file is one that nobody may begin to hold now.
  std::function<void(const Lease&)> lease_came{};
  std::function<void(const Lease&)> lease_went{};
  std::function<void(const ProcessKey&)> process_went{};
  std::function<bool(const hf_file_key&)> recalled{};
};

class Core {
 public:
  /// Takes over what the kernel has. Leases of processes that are gone end here.
  static Result<std::unique_ptr<Core>> start(GateLike& gate, const std::string& state_file, Hooks hooks, ProcessTable processes = ProcessTable());

  GateLike& gate() const { return gate_; }
  const LeaseTable& table() const { return table_; }
  const DenialLog& denials() const { return denials_; }
  const EscapeLog& escapes() const { return escapes_; }
  /// Breaks that were under way when the leases that they touch began: those registrations count as raced, and it is no escape.
  std::uint64_t raced_breaks() const { return raced_breaks_; }
  const ProcessTable& processes() const { return processes_; }
  IdentityReader& identity() { return identity_; }
  const std::vector<std::string>& warnings(LeaseId lease) const;
  Guards& guards() { return guards_; }
  const Guards& guards() const { return guards_; }
  bool recalled(const hf_file_key& file) const { return hooks_.recalled && hooks_.recalled(file); }
  Usage usage(std::uint32_t uid, std::uint32_t device) const;

  /// Events of the gate.
  void denied(const hf_denial& event);
  void escaped(const hf_escape& event);
  void lifecycle(const hf_lifecycle_event& event);
  /// Reads the kernel's maps anew: after lost events. Idempotent.
  Status resync();
  /// Once a second: lost events, registrations whose end was missed, empty entries.
  void maintain(std::uint64_t now_ns);
  void surveyed(SurveyRequest request, Survey result);

  /// Registrations from before the gate was armed: what can be found of them is leased from now on.
  void take_existing(std::vector<rdma::ExistingRegion> regions);
  /// Their end can't be observed: call still_existing() with what the kernel lists while there are any.
  bool has_existing() const { return !existing_.empty(); }
  /// Is there something that maintain() has to look at again, although nothing happens?
  bool housework_waits() const {
    return sweep_due_ || room_wanted_ || !empty_files_.empty() || !unsettled_.empty() || !ending_.empty() || !to_end_.empty() || has_existing() ||
           guards_.limits_time();
  }
  void still_existing(const std::vector<rdma::ExistingRegion>& regions);

  /// Leases of processes.
  /// Takes a lease that stands in the kernel into the table, remembers its token. @return the token
  Result<std::uint64_t> adopt(const LeaseRecord& record, const std::vector<hf_part>& parts, const std::string& label, const std::string& path,
                              std::uint32_t page_shift, LeaseOwner* owner);
  Status reclaim(LeaseId lease, std::uint64_t token, const ProcessKey& process, LeaseOwner* owner);
  Status release(LeaseId lease, const LeaseOwner* owner);
  /// Tells of every break of the file from now on, until the owner is gone.
  Status trace(const hf_file_key& file, const std::string& path, const LeaseOwner* owner);
  /// Ends a lease that is being made and was never handed out, or one of the daemon's own.
  void withdraw(LeaseId lease) { (void)end(lease); }
  /// The connection is gone: so are its leases.
  void owner_gone(const LeaseOwner* owner);
  void process_gone(const ProcessKey& process);
  /// Ends a few of the leases whose holder is gone: there may be a million, and everybody else waits meanwhile. @return whether there are more
  bool end_some();
  /// Asks for process_gone() when it ends.
  void watch_process(const ProcessKey& process) { hooks_.watch_process(process); }
  void announce(const Announcement& announcement) const {
    if (hooks_.watched()) hooks_.announce(announcement);
  }
  void record(JournalEntry entry) const {
    if (hooks_.record) hooks_.record(std::move(entry));
  }
  /// A lease that the daemon made itself, and has committed.
  void learn(LeaseId lease) { refresh(lease); }

 private:
  Core(GateLike& gate, Grants grants, Hooks hooks, ProcessTable processes);

  Status end(LeaseId lease);
  void refresh(LeaseId lease);
  void apply(Diff diff);
  // Each owns the lease as it was then, for the journal writes it later.
  void gained(std::shared_ptr<Lease> told);
  void lost(std::shared_ptr<Lease> told);
  void registration_now(std::shared_ptr<Lease> told);
  void announce_lease(std::string_view event, std::shared_ptr<Lease> told);
  void take_over(const std::vector<KernelLease>& standing);
  void request_survey(const Lease& lease, bool complete);
  void complete(const SurveyRequest& request, Survey& result);
  Status complete_part(const Lease& lease, SurveyedPart& part, std::uint32_t& reasons);
  /// Of a view of holdfast-pin a survey finds no file, but the lease that it was bound under has its path.
  void add_known_paths(Lease& lease) const;
  void note_survey(LeaseId lease, const Survey& result);
  void settle_pinning(LeaseId lease, std::uint64_t now_ns);
  void count(const Lease& lease, bool more);
  void end_overdue(std::uint64_t now_ns);
  void sweep(std::uint64_t now_ns);
  Denial describe(const hf_denial& event);
  void recall_existing(const std::vector<KernelLease>& standing);
  void take_region(const rdma::ExistingRegion& region, const Mapping* where, const std::vector<Mapping>& candidates);

  using RegionKey = std::pair<std::string, std::uint32_t>;  ///< a device's name and the region's number there
  bool was_raced(const hf_escape& event, const Denial& what) const;
  void end_traces(const LeaseOwner* owner);

  GateLike& gate_;
  Guards guards_;
  Grants grants_;
  Hooks hooks_;
  ProcessTable processes_;
  IdentityReader identity_;
  UserStacks user_stacks_;
  MountTable mounts_;
  LeaseTable table_;
  DenialLog denials_;
  EscapeLog escapes_;
  std::uint64_t raced_breaks_ = 0;
  struct Trace {
    hf_file_key file;
    std::string path;
    const LeaseOwner* owner;
  };
  std::vector<Trace> traces_;
  Owners owners_;
  std::unordered_map<LeaseId, std::vector<std::string>> warnings_;
  std::unordered_map<LeaseId, RegionKey> existing_;                 ///< of registrations from before the gate
  std::map<std::pair<std::uint32_t, std::uint32_t>, Usage> usage_;  ///< by user and device
  std::set<LeaseId> unsettled_;                                     ///< still pinning, or their release can't be seen
  std::set<LeaseId> ending_;                                        ///< their holder is gone: end_some() ends them
  std::set<LeaseId> to_end_;                                        ///< could not be ended yet: tried again
  std::set<hf_file_key> empty_files_;                               ///< their last lease is gone: so may the gate's entry be
  bool sweep_due_ = false;                                          ///< of the whole map
  bool walk_wanted_ = false;                                        ///< the same, but not at once
  bool room_wanted_ = false;                                        ///< a registration found none
  std::uint64_t walked_ns_ = 0;
  bool starting_ = true;  ///< what is found now stood before this daemon
  std::uint64_t lifecycle_lost_ = 0;
  std::uint64_t denials_lost_ = 0;
  std::uint64_t escapes_lost_ = 0;
};

}  // namespace hf
