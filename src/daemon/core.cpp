// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "daemon/core.hpp"

#include <algorithm>

#include "base/crash_point.hpp"
#include "daemon/json.hpp"
#include "daemon/record.hpp"
#include "daemon/words.hpp"

namespace hf {
namespace {

Lease as_lease(const KernelLease& kernel) { return lease_from_kernel(kernel.record, kernel.parts); }

bool is_registration(const Lease& lease) { return lease.holder.kind == HF_LEASE_REGISTRATION; }

/// Its end has to be found out: the kernel side will not see it, or has not yet seen its beginning whole.
bool needs_settling(const Lease& lease) { return is_registration(lease) && (lease.state == HF_STATE_PINNING || (lease.reasons & HF_REASON_MISSED_RETURN)); }

}  // namespace

Core::Core(GateLike& gate, Grants grants, Hooks hooks, ProcessTable processes)
    : gate_(gate),
      guards_(gate),
      grants_(std::move(grants)),
      hooks_(std::move(hooks)),
      processes_(std::move(processes)),
      identity_(processes_),
      user_stacks_(processes_) {}

Result<std::unique_ptr<Core>> Core::start(GateLike& gate, const std::string& state_file, Hooks hooks, ProcessTable processes) {
  HF_TRY_ASSIGN(const auto standing, gate.leases());
  std::set<LeaseId> ids;
  for (const auto& lease : standing) ids.insert(lease.record.id);
  HF_TRY_ASSIGN(auto grants, Grants::open(state_file, [&](LeaseId id) { return ids.contains(id); }));
  std::unique_ptr<Core> core(new Core(gate, std::move(grants), std::move(hooks), std::move(processes)));
  if (const auto meta = gate.meta()) {
    core->lifecycle_lost_ = meta->lifecycle_lost;
    core->denials_lost_ = meta->denials_lost;
    core->escapes_lost_ = meta->escapes_lost;
  }
  core->take_over(standing);
  core->recall_existing(standing);
  core->sweep_due_ = true;
  core->starting_ = false;
  return core;
}

/// What stands comes into the table, with what the file remembers of it; leases of processes that are gone, or that were never told of theirs, end.
void Core::take_over(const std::vector<KernelLease>& standing) {
  std::map<ProcessKey, bool> looked_at;
  const auto alive = [&](const Holder& holder) {
    if (holder.kind == HF_LEASE_STATIC) return true;
    const auto [process, first] = looked_at.try_emplace(holder.process());
    if (first) process->second = processes_.is(static_cast<pid_t>(holder.tgid), holder.start_ns);
    return process->second;
  };
  std::vector<Lease> leases;
  leases.reserve(standing.size());
  for (const auto& each : standing) {
    auto& lease = leases.emplace_back(as_lease(each));
    if (lease.holder.kind == HF_LEASE_REGISTRATION) continue;
    // Committed comes after remembered: a lease that still counts as being made was never answered.
    if (!alive(lease.holder) || lease.state == HF_STATE_PINNING)
      ending_.insert(lease.id);
    else if (const auto* grant = grants_.find(lease.id)) {
      lease.holder.label = grant->label;
      for (auto& file : lease.files) file.path = grant->path;
    }
  }
  apply(table_.sync(std::move(leases)));
  end_some();
}

const std::vector<std::string>& Core::warnings(LeaseId lease) const {
  static const std::vector<std::string> kNone;
  const auto found = warnings_.find(lease);
  return found == warnings_.end() ? kNone : found->second;
}

Status Core::resync() {
  HF_TRY_ASSIGN(const auto standing, gate_.leases());
  std::vector<Lease> snapshot;
  snapshot.reserve(standing.size());
  for (const auto& lease : standing) snapshot.push_back(as_lease(lease));
  apply(table_.sync(std::move(snapshot)));
  sweep_due_ = true;
  return {};
}

/// Brings one lease of the table up to the kernel's record of it.
void Core::refresh(LeaseId id) {
  const auto kernel = gate_.lease(id);
  if (!kernel) return hooks_.report(kernel.error());
  if (!*kernel) {
    if (auto diff = table_.remove(id)) apply(std::move(*diff));
    return;
  }
  auto lease = as_lease(**kernel);
  if (const auto* before = table_.find(id)) {
    lease.holder.label = before->holder.label;
    for (auto& file : lease.files) {
      if (const auto* known = before->on(file.key)) {
        file.path = known->path;
        file.page_shift = known->page_shift;
      }
    }
    if (auto diff = table_.update(std::move(lease))) apply(std::move(*diff));
  } else if (auto diff = table_.add(std::move(lease))) {
    apply(std::move(*diff));
  }
}

Usage Core::usage(std::uint32_t uid, std::uint32_t device) const {
  const auto found = usage_.find({uid, device});
  return found == usage_.end() ? Usage{} : found->second;
}

void Core::count(const Lease& lease, bool more) {
  for (const auto& file : lease.files) {
    const auto entry = usage_.try_emplace({lease.holder.uid, file.key.device}).first;
    auto& usage = entry->second;
    usage.leases += more ? 1 : -1;
    usage.bytes += more ? file.extents.total_bytes() : -file.extents.total_bytes();
    if (!usage.leases) usage_.erase(entry);
  }
}

/// Leases of processes that have stood as long as their user's may.
void Core::end_overdue(std::uint64_t now_ns) {
  constexpr std::uint64_t kSecondNs = 1'000'000'000;
  std::vector<LeaseId> over;
  for (const auto& [id, lease] : table_.leases()) {
    if (lease.holder.kind != HF_LEASE_PROCESS || lease.holder.uid == 0 || lease.files.empty() || lease.state == HF_STATE_BOUND) continue;
    const auto limit_s = guards_.of(lease.files.front().key.device).quota.time_s;
    if (limit_s && now_ns / kSecondNs > lease.since_ns / kSecondNs + limit_s) over.push_back(id);
  }
  for (const auto id : over) {
    hooks_.report({ETIME, fmt::format("lease {} of user {} ended: it stood as long as a lease may there", id, table_.find(id)->holder.uid), {}});
    (void)end(id);
  }
}

void Core::apply(Diff diff) {
  for (const auto& lease : diff.removed) count(lease, false);
  for (const auto& lease : diff.added) count(lease, true);
  for (const auto& [before, after] : diff.changed) {
    count(before, false);
    count(after, true);
  }
  for (auto& lease : diff.removed) lost(std::make_shared<Lease>(std::move(lease)));
  for (auto& lease : diff.added) gained(std::make_shared<Lease>(std::move(lease)));
  for (auto& [before, after] : diff.changed) {
    if (needs_settling(after))
      unsettled_.insert(after.id);
    else
      unsettled_.erase(after.id);
    if (is_registration(after) && before.state != after.state) registration_now(std::make_shared<Lease>(after));
    if (is_registration(after) && (before.files.size() != after.files.size() || (after.reasons & ~before.reasons & HF_REASON_VMA_BUSY)))
      request_survey(after, after.reasons & HF_REASON_VMA_BUSY);
  }
  for (const auto& key : diff.files_lost) empty_files_.insert(key);
  walk_wanted_ = walk_wanted_ || !diff.files_lost.empty();
}

void Core::gained(std::shared_ptr<Lease> told) {
  const auto& lease = *told;
  if (needs_settling(lease)) unsettled_.insert(lease.id);
  if (lease.holder.kind == HF_LEASE_PROCESS) hooks_.watch_process(lease.holder.process());
  if (is_registration(lease)) request_survey(lease, lease.reasons & HF_REASON_VMA_BUSY);
  if (is_registration(lease))
    registration_now(told);
  else
    announce_lease(journal_kind::kLease, told);
  if (hooks_.lease_came) hooks_.lease_came(lease);
}

/// It is new, or has another state than before.
void Core::registration_now(std::shared_ptr<Lease> told) {
  if (told->state == HF_STATE_UNPROTECTED) hooks_.tell_unprotected(*told);
  // Entries of files that nobody leases any more may be what fills the map.
  if (told->reasons & HF_REASON_NO_ROOM) room_wanted_ = true;
  announce_lease(journal_kind::kRegistration, std::move(told));
}

void Core::lost(std::shared_ptr<Lease> told) {
  const auto& lease = *told;
  unsettled_.erase(lease.id);
  to_end_.erase(lease.id);
  ending_.erase(lease.id);
  warnings_.erase(lease.id);
  existing_.erase(lease.id);
  grants_.remove(lease.id);
  if (auto* const owner = owners_.forget(lease.id)) owner->lease_ended(lease.id);
  announce_lease(is_registration(lease) ? journal_kind::kRegistrationEnded : journal_kind::kLeaseEnded, told);
  if (hooks_.lease_went) hooks_.lease_went(lease);
}

void Core::announce_lease(std::string_view event, std::shared_ptr<Lease> told) {
  // A registration that is still pinning will be told of once more, with what came of it.
  const bool kept = told->state != HF_STATE_PINNING || event != journal_kind::kRegistration;
  add_known_paths(*told);
  if (hooks_.watched()) hooks_.announce({lease_event_json(event, *told, boot_time_ns()), {told->holder.uid}});
  if (kept) record(lease_entry(event, std::move(told), starting_));
}

void Core::lifecycle(const hf_lifecycle_event& event) {
  if (event.kind == HF_EVENT_QUOTA) return hooks_.tell_quota(event);
  if (event.kind == HF_EVENT_RELEASED) {
    // By the map and not by the event: it may be older than what has happened since.
    if (auto diff = table_.remove(event.lease)) apply(std::move(*diff));
    return;
  }
  refresh(event.lease);
}

Denial Core::describe(const hf_denial& event) {
  Denial denial{.time_ns = event.time_ns, .op = event.op, .error = event.error, .file = event.file, .magic = event.magic};
  denial.touched = {event.first, event.end};
  denial.leased = {event.lease_first, event.lease_end};
  denial.detail = event.detail;
  denial.breaker = identity_.complete(event);
  const hf_question question{.op = event.op, .task = event.tgid, .first = event.first, .end = event.end};
  for (const auto* lease : table_.touched(event.file, question)) {
    denial.whole = denial.whole || lease->on(event.file)->whole;
    denial.leases.push_back({lease->id, lease->holder.tgid, lease->holder.uid, lease->holder.comm, lease->holder.label});
    if (denial.path.empty()) denial.path = lease->on(event.file)->path;
  }
  const std::string_view captured(event.file_path, ::strnlen(event.file_path, sizeof(event.file_path)));
  // hf_range_whole(): it touches no byte.
  if (denial.whole && event.first == HF_RANGE_END - 1) denial.touched = {0, HF_RANGE_END};
  // The path that the breaker's own call went by, as it is now, before the one that the lease was taken by.
  if (!captured.empty()) denial.path = mounts_.absolute(event.file.device, forward_path(captured, event.cut & HF_CUT_FILE));
  return denial;
}

void Core::denied(const hf_denial& event) {
  const auto denial = denials_.add(describe(event));
  hooks_.tell_denial(*denial);
  record(denial_entry(denial));
  std::vector<std::uint32_t> uids{denial->breaker.uid};
  for (const auto& lease : denial->leases) {
    uids.push_back(lease.uid);
    if (auto* const owner = owners_.of(lease.id)) owner->lease_denied(lease.id, *denial);
  }
  if (hooks_.watched()) hooks_.announce({denial_event_json(*denial), std::move(uids)});
}

bool Core::was_raced(const hf_escape& event, const Denial& what) const {
  if (!event.passed_ns || what.leases.empty()) return false;
  return std::all_of(what.leases.begin(), what.leases.end(), [&](const Denial::Broken& broken) {
    const auto* lease = table_.find(broken.id);
    return lease && lease->since_ns >= event.passed_ns;
  });
}

void Core::escaped(const hf_escape& event) {
  Escape escape{.traced = event.breaker.kind == HF_EVENT_TRACED, .what = describe(event.breaker), .choke = event.choke};
  if (!escape.traced && was_raced(event, escape.what)) {
    raced_breaks_++;
    return;
  }
  auto& what = escape.what;
  const auto frames = std::min<std::size_t>(event.user_stack_bytes / sizeof(event.user_stack[0]), HF_STACK_DEPTH);
  const bool alive = processes_.is(static_cast<pid_t>(event.breaker.tgid), event.breaker.start_ns);
  escape.user_stack =
      user_stacks_.describe({event.user_stack, frames}, static_cast<pid_t>(event.breaker.tgid), alive, what.breaker.executable.value.value_or(""));
  std::vector<std::uint32_t> uids{what.breaker.uid};
  for (const auto& lease : what.leases) uids.push_back(lease.uid);
  if (escape.traced) {
    for (const auto& trace : traces_)
      if (what.path.empty() && trace.file == what.file) what.path = trace.path;
    if (hooks_.watched()) hooks_.announce({escape_event_json(escape), {}});
    return;
  }
  escape.number = escapes_.number(event);
  what.number = escape.number;
  const auto json = escape_event_json(escape);
  escapes_.add(json);
  record(escape_entry(escape, json));
  hooks_.tell_escape(escape);
  for (const auto& lease : what.leases)
    if (auto* const owner = owners_.of(lease.id)) owner->lease_escaped(lease.id, escape);
  hooks_.announce({json, std::move(uids)});
}

Status Core::trace(const hf_file_key& file, const std::string& path, const LeaseOwner* owner) {
  HF_TRY(gate_.trace_begin(file));
  traces_.push_back({file, path, owner});
  return {};
}

void Core::end_traces(const LeaseOwner* owner) {
  std::erase_if(traces_, [&](const Trace& trace) {
    if (trace.owner != owner) return false;
    if (const auto ended = gate_.trace_end(trace.file); !ended) hooks_.report(ended.error());
    return true;
  });
}

void Core::maintain(std::uint64_t now_ns) {
  if (const auto meta = gate_.meta()) {
    if (std::exchange(lifecycle_lost_, meta->lifecycle_lost) != meta->lifecycle_lost)
      if (const auto synced = resync(); !synced) hooks_.report(synced.error());
    if (const auto before = std::exchange(denials_lost_, meta->denials_lost); before != meta->denials_lost) {
      record(lost_entry("denials", meta->denials_lost - before));
      hooks_.announce({lost_event_json("denials_lost", meta->denials_lost - before), {}});
    }
    if (const auto before = std::exchange(escapes_lost_, meta->escapes_lost); before != meta->escapes_lost) {
      const auto count = meta->escapes_lost - before;
      record(lost_entry("escapes", count));
      hooks_.report(
          {ENOBUFS, fmt::format("ESCAPE: {} of them found the kernel's buffer full and have no name", count), "See `holdfast escapes` for the others."});
      hooks_.announce({lost_event_json("escapes_lost", count), {}});
    }
  }
  const auto unsettled = unsettled_;
  for (const auto id : unsettled) settle_pinning(id, now_ns);
  const auto to_end = std::exchange(to_end_, {});
  for (const auto id : to_end) (void)end(id);
  if (guards_.limits_time()) end_overdue(now_ns);
  sweep(now_ns);
}

/// Entries of files without leases go. Which they are the table knows; but of a registration whose pinning failed it never heard, and its file is found only
/// by a walk over the whole map, a million buckets: at start, where a registration found no room, and else now and then.
void Core::sweep(std::uint64_t now_ns) {
  constexpr std::uint64_t kWalkEveryNs = 600'000'000'000, kWalkForRoomEveryNs = 10'000'000'000;  // it keeps everybody else waiting
  std::erase_if(empty_files_, [this](const hf_file_key& key) {
    if (table_.leases_on(key)) return true;
    const auto settled = gate_.sweep(key);
    return settled && *settled;
  });
  const auto since_ns = now_ns - walked_ns_;
  if (!sweep_due_ && !(room_wanted_ && since_ns >= kWalkForRoomEveryNs) && !(walk_wanted_ && since_ns >= kWalkEveryNs)) return;
  // An error: another try is due.
  sweep_due_ = !gate_.sweep([this](const hf_file_key& key) { return table_.leases_on(key) != 0; });
  walk_wanted_ = room_wanted_ = false;
  walked_ns_ = now_ns;
}

/// A registration whose pinning call ended unseen (its probe missed, its thread killed) is given a state and a reason; one whose release can't be
/// seen either ends with its process.
void Core::settle_pinning(LeaseId id, std::uint64_t now_ns) {
  constexpr std::uint64_t kGraceNs = 2'000'000'000;
  const auto* lease = table_.find(id);
  if (!lease || now_ns < lease->since_ns + kGraceNs) return;
  const bool alive = processes_.is(static_cast<pid_t>(lease->holder.tgid), lease->holder.start_ns);
  const auto kernel = gate_.lease(id);
  if (!kernel) return hooks_.report(kernel.error());
  if (!*kernel) return refresh(id);
  const auto& record = (*kernel)->record;
  // A umem that the kernel side knows is let go of there, however late: its uverbs context may be with another process.
  if (!alive && !record.umem) return void(end(id));
  if (record.state != HF_STATE_PINNING) return refresh(id);
  if (still_pinning(processes_, lease->holder.process(), record.tid)) return;
  const auto& parts = (*kernel)->parts;
  const bool leased = !parts.empty() && std::all_of(parts.begin(), parts.end(), [](const hf_part& part) { return part.slot != HF_NO_SLOT; });
  const auto committed = gate_.lease_commit(id, leased ? HF_STATE_PROTECTED : HF_STATE_UNPROTECTED, record.reasons | HF_REASON_MISSED_RETURN);
  if (!committed) return hooks_.report(committed.error());
  refresh(id);
}

Result<std::uint64_t> Core::adopt(const LeaseRecord& record, const std::vector<hf_part>& parts, const std::string& label, const std::string& path,
                                  std::uint32_t page_shift, LeaseOwner* owner) {
  HF_TRY_ASSIGN(const auto token, grants_.add(record.id, label, path));
  crash_point("grant.remembered");
  auto lease = lease_from_kernel(record, parts);
  lease.holder.label = label;
  for (auto& file : lease.files) {
    file.path = path;
    file.page_shift = page_shift;
  }
  if (owner) owners_.set(record.id, owner);
  // An event of the kernel side may have brought the lease into the table already.
  auto diff = table_.find(record.id) ? table_.update(std::move(lease)) : table_.add(std::move(lease));
  if (!diff) return tl::unexpected(diff.error());
  apply(std::move(*diff));
  return token;
}

Status Core::reclaim(LeaseId id, std::uint64_t token, const ProcessKey& process, LeaseOwner* owner) {
  const auto* lease = table_.find(id);
  const auto* grant = grants_.find(id);
  if (!lease || !grant || ending_.contains(id)) return fail(ENOENT, fmt::format("lease {} does not stand any more", id), "Acquire it anew.");
  // The socket tells the start to a clock tick, the record to the nanosecond.
  const auto& holder = lease->holder;
  const bool same = holder.tgid == process.tgid && processes_.is(static_cast<pid_t>(holder.tgid), holder.start_ns);
  if (!same || grant->token != token) return fail(EPERM, fmt::format("lease {} is another holder's", id), "Acquire a lease of your own.");
  const auto* const before = owners_.of(id);
  if (before && before != owner) return fail(EBUSY, fmt::format("lease {} belongs to another connection of this process", id), "Use that connection.");
  owners_.set(id, owner);
  return {};
}

Status Core::release(LeaseId id, const LeaseOwner* owner) {
  if (owners_.of(id) != owner) return fail(ENOENT, fmt::format("this connection has no lease {}", id), "It may have ended already.");
  owners_.forget(id);
  return end(id);
}

void Core::owner_gone(const LeaseOwner* owner) {
  end_traces(owner);
  ending_.merge(owners_.forget_all(owner));
  end_some();
}

void Core::process_gone(const ProcessKey& process) {
  for (const auto* lease : table_.of_process(process))
    if (lease->holder.kind == HF_LEASE_PROCESS) ending_.insert(lease->id);
  end_some();
  if (hooks_.process_went) hooks_.process_went(process);
}

bool Core::end_some() {
  constexpr int kAtOnce = 256;
  for (int i = 0; i < kAtOnce && !ending_.empty(); i++) (void)end(ending_.extract(ending_.begin()).value());
  return !ending_.empty();
}

/// Ends a lease in the kernel, then here. One that the kernel can't end now stands, is still listed, and is tried again.
Status Core::end(LeaseId id) {
  const auto ended = gate_.lease_end(id);
  // holdfast-pin relies on it: the kernel ends it with the binding, and tells.
  if (!ended && ended.error().code == EINPROGRESS) return {};
  if (!ended && ended.error().code != ENOENT) {
    to_end_.insert(id);
    hooks_.report(ended.error());
    return ended;
  }
  if (auto diff = table_.remove(id)) apply(std::move(*diff));
  return {};
}

}  // namespace hf
