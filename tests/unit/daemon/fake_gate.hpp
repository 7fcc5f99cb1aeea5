// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// A gate in memory: leases in a map, decided by the same decide(). Tests reach in to play the kernel.
#pragma once

#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#include <algorithm>
#include <functional>
#include <map>
#include <vector>

#include "daemon/core.hpp"
#include "daemon/gate_like.hpp"
#include "decide.h"
#include "kernel/paths.hpp"
#include "lease/file_key.hpp"

namespace hf::test {

class FakeGate final : public GateLike {
 public:
  std::map<std::uint64_t, KernelLease> standing;
  hf_meta counters{};
  bool raced_now = false;            ///< every new part finds a break under way
  int raced_answers = 0;             ///< how often raced() still says so
  int fail_end = 0;                  ///< the next lease_end() calls that fail
  std::function<void()> after_part;  ///< plays what happens once a part stands
  std::uint32_t magic = 0x01021994;  ///< tmpfs
  std::uint64_t next_id = 1;
  std::map<std::uint32_t, hf_mount> policies;
  std::uint32_t fail_mount = ~0u;  ///< the device whose policy can't be set
  std::vector<hf_listed> listed;
  std::uint32_t default_flags = 0;
  std::uint64_t user_registrations = 0;
  std::map<std::uint32_t, std::uint64_t> open_windows;

  bool took_over() const override { return !standing.empty(); }
  Result<hf_meta> meta() const override { return counters; }
  void learn_offsets() override {}

  Result<hf_facts> facts(int fd) const override {
    struct stat status {};
    if (::fstat(fd, &status)) return sys_error(errno, "fstat", "fd");
    hf_facts seen{};
    seen.file = {.inode = status.st_ino, .device = kernel_device(major(status.st_dev), minor(status.st_dev)), .generation = 1};
    seen.size_bytes = static_cast<std::uint64_t>(status.st_size);
    seen.mode = status.st_mode;
    seen.magic = magic;
    seen.block_shift = 12;
    seen.valid = 1;
    return seen;
  }

  Result<std::uint64_t> lease_begin(const LeaseRecord& record) override {
    const auto id = next_id++;
    standing[id].record = record;
    standing[id].record.id = id;
    return id;
  }

  Result<OpenOutcome> lease_open(const LeaseRecord& record, const hf_part& first, std::uint32_t page_shift) override {
    HF_TRY_ASSIGN(const auto id, lease_begin(record));
    return OpenOutcome{id, lease_part(id, first, record.tgid, page_shift)};
  }

  Result<PartOutcome> lease_part(std::uint64_t id, const hf_part& part, std::uint32_t, std::uint32_t) override {
    if (!standing.contains(id)) return fail(ENOENT, "no lease");
    auto taken = part;
    taken.slot = static_cast<std::uint8_t>(standing[id].parts.size());
    standing[id].parts.push_back(taken);
    standing[id].record.parts++;
    if (after_part) after_part();
    return PartOutcome{.slot = taken.slot, .reasons = 0, .flags = 0, .raced = raced_now};
  }

  Result<bool> raced(const hf_part&) const override {
    auto& left = const_cast<FakeGate*>(this)->raced_answers;
    return left > 0 && left-- > 0;
  }

  Status lease_commit(std::uint64_t id, hf_lease_state state, std::uint32_t reasons) override {
    if (!standing.contains(id)) return fail(ENOENT, "no lease");
    standing[id].record.state = static_cast<std::uint8_t>(state);
    standing[id].record.reasons = reasons;
    return {};
  }

  Status lease_end(std::uint64_t id) override {
    if (fail_end > 0) {
      fail_end--;
      return fail(EBUSY, "busy");
    }
    if (const auto found = standing.find(id); found != standing.end() && found->second.record.state == HF_STATE_BOUND) return fail(EINPROGRESS, "bound");
    return standing.erase(id) ? Status{} : Status(fail(ENOENT, "no lease"));
  }

  int swept_all = 0;
  bool walked_leased = true;  ///< every leased file was known as such
  bool sweep_busy = false;
  std::vector<hf_file_key> swept;
  Result<int> sweep(const std::function<bool(const hf_file_key&)>& leased) override {
    for (const auto& [id, lease] : standing)
      for (const auto& part : lease.parts) walked_leased = walked_leased && leased(part.file);
    swept_all++;
    return 1;
  }
  Result<bool> sweep(const hf_file_key& file) override {
    swept.push_back(file);
    return !sweep_busy;
  }
  std::vector<hf_file_key> traced;
  Status trace_begin(const hf_file_key& file) override {
    traced.push_back(file);
    return {};
  }
  Status trace_end(const hf_file_key& file) override {
    const auto found = std::find(traced.begin(), traced.end(), file);
    if (found == traced.end()) return fail(ENOENT, "not traced");
    traced.erase(found);
    return {};
  }
  Result<std::uint64_t> tripwire_missed() const override { return 0; }

  Result<std::vector<KernelLease>> leases() const override {
    std::vector<KernelLease> all;
    for (const auto& [id, lease] : standing) all.push_back(lease);
    return all;
  }

  Result<std::optional<KernelLease>> lease(std::uint64_t id) const override {
    const auto found = standing.find(id);
    return found == standing.end() ? std::nullopt : std::optional(found->second);
  }

  Result<std::optional<KernelFile>> file(const hf_file_key& key) const override {
    KernelFile file{.key = key, .merged = 0, .slots = {}};
    for (const auto& [id, lease] : standing)
      for (const auto& part : lease.parts) {
        if (!(part.file == key)) continue;
        hf_slot slot{.state = 1, .first = part.first, .end = part.end, .holder = lease.record.tgid, .flags = part.flags & HF_PART_WINDOW ? HF_SLOT_WINDOW : 0u};
        hf_round_out(&slot.first, &slot.end, 12);
        file.slots.push_back(slot);
      }
    return file.slots.empty() ? std::nullopt : std::optional(file);
  }

  Result<int> would_refuse(const hf_file_key& key, hf_op op, std::uint64_t first, std::uint64_t end, std::uint32_t task) const override {
    const auto policy = *mount(key.device);
    const hf_question question{.op = op, .task = task, .first = first, .end = end, .window = 0, .flags = policy.flags};
    hf_answer answer{};
    const auto known = file(key);
    if (*known)
      for (const auto& slot : (**known).slots) hf_decide_slot(&question, &slot, &answer);
    hf_decide_seals(&question, policy.window ? ~0u : policy.seals, &answer);
    return static_cast<int>(answer.error);
  }

  Status set_mount(std::uint32_t device, const hf_mount& policy) override {
    if (fail_mount == device) return fail(EIO, "no mount");
    policies[device] = policy;
    return {};
  }
  Result<hf_mount> mount(std::uint32_t device) const override {
    const auto found = policies.find(device);
    return found == policies.end() ? hf_mount{.leases = 0, .seals = 0, .flags = default_flags, .window = 0} : found->second;
  }
  Result<std::vector<std::pair<std::uint32_t, hf_mount>>> mounts() const override {
    return std::vector<std::pair<std::uint32_t, hf_mount>>(policies.begin(), policies.end());
  }
  Status set_listed(const std::vector<hf_listed>& wanted) override {
    listed = wanted;
    return {};
  }
  void set_defaults(std::uint32_t flags, std::uint64_t registrations) override {
    default_flags = flags;
    user_registrations = registrations;
  }
  Status open_window(std::uint32_t tgid, std::uint64_t start_ns) override {
    open_windows[tgid] = start_ns;
    return {};
  }
  Status close_window(std::uint32_t tgid) override {
    open_windows.erase(tgid);
    return {};
  }
  Result<std::vector<std::pair<std::uint32_t, std::uint64_t>>> windows() const override {
    return std::vector<std::pair<std::uint32_t, std::uint64_t>>(open_windows.begin(), open_windows.end());
  }

  int event_fd() const override { return -1; }
  Result<bool> consume(const Gate::Handlers&) override { return false; }
};

/// Hooks that remember what was asked for.
struct Heard {
  std::vector<ProcessKey> watched;
  std::vector<SurveyRequest> surveys;
  std::vector<Announcement> announcements;
  std::vector<Error> errors;
  std::vector<std::uint32_t> told_quota;
  int told_denials = 0;
  std::vector<Escape> told_escapes;
  std::vector<LeaseId> told_unprotected;
  std::vector<JournalEntry> journal;

  Hooks hooks() {
    return {.watch_process = [this](const ProcessKey& process) { watched.push_back(process); },
            .survey = [this](SurveyRequest request) { surveys.push_back(request); },
            .watched = [] { return true; },
            .announce = [this](const Announcement& announcement) { announcements.push_back(announcement); },
            .tell_denial = [this](const Denial&) { told_denials++; },
            .tell_escape = [this](const Escape& escape) { told_escapes.push_back(escape); },
            .tell_unprotected = [this](const Lease& lease) { told_unprotected.push_back(lease.id); },
            .tell_quota = [this](const hf_lifecycle_event& event) { told_quota.push_back(event.uid); },
            .report = [this](const Error& error) { errors.push_back(error); },
            .record = [this](JournalEntry entry) { journal.push_back(std::move(entry)); }};
  }
  std::vector<JournalEntry> recorded(std::string_view kind) const {
    std::vector<JournalEntry> found;
    for (const auto& entry : journal)
      if (entry.kind == kind) found.push_back(entry);
    return found;
  }
};

}  // namespace hf::test
