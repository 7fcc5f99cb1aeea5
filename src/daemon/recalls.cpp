// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "daemon/recalls.hpp"

#include <unistd.h>

#include <algorithm>
#include <csignal>

#include "base/crash_point.hpp"
#include "daemon/record.hpp"
#include "daemon/words.hpp"
#include "wire.h"

namespace hf {
namespace {

constexpr std::uint64_t kTickNs = 10'000'000;  // starts from a socket are cut to one
constexpr std::size_t kActiveMax = 256;

bool same(const ProcessKey& a, const ProcessKey& b) { return a.tgid == b.tgid && a.start_ns / kTickNs == b.start_ns / kTickNs; }

}  // namespace

RecallHolder Recalls::holder_of(const Lease& lease) const {
  return {.lease = lease.id, .process = lease.holder.process(), .kind = lease.holder.kind, .uid = lease.holder.uid, .comm = lease.holder.comm};
}

/// Static holds are the administrator's own: they give way by themselves. A registration that has no lease can be broken, and pins: it counts.
bool Recalls::is_holder(const Active& active, const Lease& lease) const {
  if (lease.holder.kind == HF_LEASE_STATIC) return false;
  return std::any_of(lease.files.begin(), lease.files.end(), [&](const LeasedFile& file) { return active.covers(file.key); });
}

bool Recalls::covers(const hf_file_key& key) const {
  return std::any_of(active_.begin(), active_.end(), [&](const auto& entry) { return entry.second->covers(key); });
}

bool Recalls::asked_by(const ProcessKey& process) const {
  const auto found = active_.find(process.tgid);
  return found != active_.end() && same(found->second->requester, process);
}

Recalls::ActivePtr Recalls::of(const Peer& peer) const {
  const auto found = active_.find(static_cast<std::uint32_t>(peer.pid));
  return found != active_.end() && same(found->second->requester, peer.process()) ? found->second : nullptr;
}

/// From the beginning on nobody changes the file but in the window, so that no break slips in between the last holder and the command.
Status Recalls::take_hold(Active& active) {
  LeaseRecord record{};
  record.since_ns = outside_.now_ns();
  record.holder_start = active.requester.start_ns;
  record.tgid = record.tid = active.requester.tgid;
  record.uid = active.uid;
  record.kind = HF_LEASE_STATIC;
  record.state = HF_STATE_PINNING;
  active.comm.copy(record.comm, sizeof(record.comm) - 1);
  HF_TRY_ASSIGN(active.hold, core_.gate().lease_begin(record));
  const hf_part part{.file = active.key, .first = 0, .end = HF_RANGE_END, .magic = 0, .reasons = 0, .slot = HF_NO_SLOT, .flags = HF_PART_WINDOW};
  const auto taken = core_.gate().lease_part(active.hold, part, active.requester.tgid, 12);
  const auto committed = taken && taken->slot != HF_NO_SLOT
                             ? core_.gate().lease_commit(active.hold, HF_STATE_PROTECTED, 0)
                             : Status(fail(ENOSPC, active.path + " could not be held for its recall: the gate has no slot for it"));
  if (!committed) {
    core_.withdraw(active.hold);
    return committed;
  }
  core_.learn(active.hold);
  crash_point("recall.held");
  return {};
}

Result<Json> Recalls::begin(const Peer& peer, const hf_file_key& key, bool whole_filesystem, const std::string& path, const RecallRules& rules) {
  const auto overlaps = [&](const auto& entry) {
    const auto& other = *entry.second;
    return other.is_target(key) || (whole_filesystem && other.key.device == key.device);
  };
  if (of(peer)) return fail(EBUSY, "this process has a recall under way", "One at a time.");
  if (const auto other = std::find_if(active_.begin(), active_.end(), overlaps); other != active_.end())
    return fail(EBUSY, fmt::format("{} is being recalled by process {} ({})", path, other->first, other->second->comm), "Wait for its end.");
  if (active_.size() >= kActiveMax) return fail(EUSERS, "as many recalls are under way as there may be");
  auto active = std::make_shared<Active>(Recall(rules));
  active->requester = peer.process();
  active->uid = peer.uid;
  active->comm = peer.comm;
  active->key = key;
  active->whole = whole_filesystem;
  active->path = path;
  if (!whole_filesystem) HF_TRY(take_hold(*active));
  std::vector<RecallHolder> holders;
  for (const auto& [id, lease] : core_.table().leases())
    if (is_holder(*active, lease)) holders.push_back(holder_of(lease));
  active_[active->requester.tgid] = active;
  last_.erase(active->requester.tgid);
  outside_.log(fmt::format("recall of {} by process {} ({}) of uid {}: {} to let go", path, active->requester.tgid, active->comm, peer.uid, holders.size()));
  announce(*active, "recall");
  core_.watch_process(active->requester);
  carry_out(active, active->machine.start(std::move(holders), outside_.now_ns()));
  return status(peer);
}

Result<Json> Recalls::status(const Peer& peer) const {
  if (const auto active = of(peer)) return json(*active);
  const auto last = last_.find(static_cast<std::uint32_t>(peer.pid));
  if (last != last_.end() && (*last).second["requester_start"] == peer.start_ns / kTickNs) return last->second;
  return fail(ENOENT, "this process has no recall under way", "It ended with the daemon, if that was restarted: ask again.");
}

Result<Json> Recalls::finish(const Peer& peer) {
  const auto active = of(peer);
  if (!active) return status(peer);
  carry_out(active, active->machine.finish());
  return status(peer);
}

Status Recalls::answer(const ProcessKey& process, LeaseId id, std::uint32_t answer) {
  if (answer != HF_WIRE_RECALL_FENCED && answer != HF_WIRE_RECALL_REFUSED)
    return fail(EINVAL, fmt::format("unknown answer {}", answer), "Use a holdfastd as new as the library.");
  const auto* lease = core_.table().find(id);
  if (!lease || lease->holder.kind == HF_LEASE_STATIC || !same(lease->holder.process(), process))
    return fail(ENOENT, fmt::format("this process has no lease {}", id));
  const auto kind = lease->holder.kind;
  ActivePtr active;
  for (const auto& [tgid, each] : active_)
    if (each->machine.holders().contains(id)) active = each;
  if (!active) return fail(ENOENT, fmt::format("lease {} is not being recalled", id), "The recall may be over.");
  if (answer == HF_WIRE_RECALL_REFUSED) {
    carry_out(active, active->machine.refused(id, outside_.now_ns()));
    return {};
  }
  active->machine.fenced(id);
  core_.record(note_entry(journal_kind::kFence, "fenced",
                          {{"path", active->path}, {"lease", id}, {"process", {{"pid", process.tgid}, {"comm", lease->holder.comm}}}},
                          {active->requester.tgid, active->uid, active->comm}));
  // A registration still pins, fenced or not: its lease ends with it.
  if (kind == HF_LEASE_PROCESS) core_.withdraw(id);
  return {};
}

void Recalls::lease_came(const Lease& lease) {
  for (const auto& [tgid, active] : std::map(active_))
    if (is_holder(*active, lease)) carry_out(active, active->machine.gained(holder_of(lease), outside_.now_ns()));
}

void Recalls::lease_went(const Lease& lease) {
  for (const auto& [tgid, active] : std::map(active_)) carry_out(active, active->machine.ended(lease.id, outside_.now_ns()));
}

void Recalls::process_went(const ProcessKey& process) {
  last_.erase(process.tgid);
  const auto found = active_.find(process.tgid);
  if (found == active_.end() || !same(found->second->requester, process)) return;
  const auto active = found->second;
  carry_out(active, active->machine.finish());
}

void Recalls::tick() {
  for (const auto& [tgid, active] : std::map(active_)) carry_out(active, active->machine.tick(outside_.now_ns()));
}

void Recalls::carry_out(const ActivePtr& active, const RecallEffects& effects) {
  for (const auto& effect : effects) effects_.emplace_back(active, effect);
  drain();
}

/// One after the other: what an effect brings about (a lease that ends) is an event of its own, whose effects come behind.
void Recalls::drain() {
  if (std::exchange(draining_, true)) return;
  while (!effects_.empty()) {
    const auto [active, effect] = effects_.front();
    effects_.pop_front();
    carry_out(active, effect);
  }
  draining_ = false;
}

void Recalls::carry_out(const ActivePtr& active, const RecallEffect& effect) {
  using Kind = RecallEffect::Kind;
  switch (effect.kind) {
    case Kind::ask:
      return outside_.tell(effect.process, effect.lease, HF_EVENT_RECALL, active->machine.deadline_ns().value_or(0));
    case Kind::fence:
      core_.record(note_entry(journal_kind::kFence, "asked", {{"path", active->path}, {"lease", effect.lease}, {"process", {{"pid", effect.process.tgid}}}},
                              {active->requester.tgid, active->uid, active->comm}));
      return outside_.tell(effect.process, effect.lease, HF_EVENT_FENCE, active->machine.deadline_ns().value_or(0));
    case Kind::tell_over:
      return outside_.tell(effect.process, effect.lease, HF_EVENT_RECALL_OVER, 0);
    case Kind::terminate:
      return end_process(*active, effect, SIGTERM);
    case Kind::kill:
      return end_process(*active, effect, SIGKILL);
    case Kind::open:
      return open(*active);
    case Kind::close:
      return close(active);
    case Kind::ended:
      return;  // closed() does the rest, when all is back
  }
}

void Recalls::open(Active& active) {
  std::vector<LeaseId> giving_way;
  for (const auto& [id, lease] : core_.table().leases())
    if (lease.holder.kind == HF_LEASE_STATIC && lease.holder.tgid == 0 &&
        std::any_of(lease.files.begin(), lease.files.end(), [&](const LeasedFile& file) { return active.covers(file.key); }))
      giving_way.push_back(id);
  Status opened;
  // Sealed for everybody else before it is open to the command.
  if (active.whole) opened = core_.guards().set_window(active.key.device, active.requester.tgid);
  if (opened) opened = core_.gate().open_window(active.requester.tgid, active.requester.start_ns);
  if (!opened) outside_.log(opened.error().text());
  for (const auto id : giving_way) core_.withdraw(id);
  announce(active, "window");
}

/// Static holds come back before the window's own hold goes: the file is never without one.
void Recalls::close(const ActivePtr& active) {
  if (const auto shut = core_.gate().close_window(active->requester.tgid); !shut) outside_.log(shut.error().text());
  active->closing = true;
  crash_point("recall.closing");
  outside_.hold_again([this, active] { closed(active); });
}

void Recalls::closed(const ActivePtr& active) {
  if (active->hold) core_.withdraw(active->hold);
  if (active->whole)
    if (const auto cleared = core_.guards().set_window(active->key.device, 0); !cleared) outside_.log(cleared.error().text());
  active->closing = false;
  auto ending = json(*active);
  ending["requester_start"] = active->requester.start_ns / kTickNs;
  // Only for one who may still ask.
  if (core_.processes().is(static_cast<pid_t>(active->requester.tgid), active->requester.start_ns)) last_[active->requester.tgid] = std::move(ending);
  active_.erase(active->requester.tgid);
  // Who has let go may take it again from here on.
  for (const auto& [id, holder] : active->machine.holders())
    if (holder.gone) outside_.tell(holder.process, id, HF_EVENT_RECALL_OVER, 0);
  crash_point("recall.closed");
  outside_.log(fmt::format("recall of {}: {}", active->path, name(active->machine.outcome())));
  announce(*active, "recall_ended");
}

void Recalls::end_process(const Active& active, const RecallEffect& effect, int signal) {
  const auto pid = static_cast<pid_t>(effect.process.tgid);
  if (pid == ::getpid() || pid == static_cast<pid_t>(active.requester.tgid)) return;
  const auto found = active.machine.holders().find(effect.lease);
  const auto comm = found == active.machine.holders().end() ? std::string() : found->second.comm;
  const auto uid = found == active.machine.holders().end() ? 0 : found->second.uid;
  outside_.log(fmt::format("recall of {}: sends {} to process {} ({}) of uid {}, which has not let go of lease {}", active.path,
                           signal == SIGKILL ? "SIGKILL" : "SIGTERM", pid, comm, uid, effect.lease));
  if (const auto sent = outside_.signal(effect.process, signal); !sent) outside_.log(sent.error().text());
}

Status Recalls::restore() {
  HF_TRY_ASSIGN(const auto windows, core_.gate().windows());
  HF_TRY_ASSIGN(const auto mounts, core_.gate().mounts());
  std::map<std::uint32_t, ActivePtr> found;
  const auto& processes = core_.processes();
  for (const auto& [tgid, start_ns] : windows) {
    if (!processes.is(static_cast<pid_t>(tgid), start_ns)) continue;
    auto active = std::make_shared<Active>(Recall::found_open({.command = true}));
    active->requester = {tgid, start_ns};
    auto comm = processes.text(static_cast<pid_t>(tgid), "comm").value_or("?\n");
    active->comm = comm.substr(0, comm.find('\n'));
    found[tgid] = std::move(active);
  }
  std::vector<LeaseId> over;
  for (const auto& [id, lease] : core_.table().leases()) {
    if (lease.holder.kind != HF_LEASE_STATIC || !lease.holder.tgid || lease.files.empty()) continue;
    const auto owner = found.find(lease.holder.tgid);
    if (owner == found.end()) {
      over.push_back(id);
      continue;
    }
    owner->second->hold = id;
    owner->second->uid = lease.holder.uid;
    owner->second->key = lease.files.front().key;
    owner->second->path = lease.files.front().path.empty() ? fmt::format("inode {}", owner->second->key.inode) : lease.files.front().path;
  }
  for (const auto& [device, mount] : mounts) {
    if (!mount.window) continue;
    const auto owner = found.find(mount.window);
    if (owner == found.end()) continue;  // the configuration's being put in force clears it
    owner->second->whole = true;
    owner->second->key = {.inode = 0, .device = device, .generation = 0};
    owner->second->path = "device " + device_text(device);
    core_.guards().adopt_window(device, mount.window);
  }
  for (const auto& [tgid, start_ns] : windows) {
    const auto owner = found.find(tgid);
    if (owner != found.end() && owner->second->key.device) {
      active_[tgid] = owner->second;
      core_.watch_process(owner->second->requester);
      outside_.log(fmt::format("the maintenance window of process {} ({}) over {} goes on", tgid, owner->second->comm, owner->second->path));
    } else if (const auto closed = core_.gate().close_window(tgid); !closed) {
      outside_.log(closed.error().text());
    }
  }
  for (const auto id : over) core_.withdraw(id);
  return {};
}

Json Recalls::json(const Active& active) const {
  Json object{{"schema", "holdfast.recall/1"},
              {"path", active.path},
              {"requester", {{"pid", active.requester.tgid}, {"uid", active.uid}, {"comm", active.comm}}},
              {"phase", active.closing ? "closing" : name(active.machine.phase())},
              {"outcome", name(active.machine.outcome())},
              {"on_timeout", name(active.machine.rules().on_timeout)},
              {"left", active.machine.left()},
              {"holders", Json::array()}};
  const auto deadline = active.machine.deadline_ns();
  const auto now = outside_.now_ns();
  object["deadline_s"] = deadline ? Json(static_cast<double>(*deadline > now ? *deadline - now : 0) / 1e9) : Json();
  for (const auto& [id, holder] : active.machine.holders())
    object["holders"].push_back({{"lease", id},
                                 {"kind", kind_word(holder.kind)},
                                 {"pid", holder.process.tgid},
                                 {"uid", holder.uid},
                                 {"comm", holder.comm},
                                 {"state", name(holder.state)},
                                 {"gone", holder.gone}});
  return object;
}

Json Recalls::list() const {
  auto all = Json::array();
  for (const auto& [tgid, active] : active_) all.push_back(json(*active));
  return all;
}

void Recalls::announce(const Active& active, std::string_view what) const {
  auto event = json(active);
  event["schema"] = "holdfast.event/1";
  event["event"] = what;
  event["time"] = wall_clock(outside_.now_ns());
  std::vector<std::uint32_t> uids{active.uid};
  for (const auto& [id, holder] : active.machine.holders()) uids.push_back(holder.uid);
  auto text = json_text(event);
  core_.record(recall_entry(what, active.path, active.key, active.requester.tgid, active.uid, active.comm, text));
  core_.announce({std::move(text), std::move(uids)});
}

}  // namespace hf
