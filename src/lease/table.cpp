// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "lease/table.hpp"

#include <algorithm>
#include <utility>

namespace hf {

namespace {

constexpr std::uint32_t kDefaultPageShift = 12;

/// One entry a file, by key: so that the order in which a kernel map hands parts out makes no difference between two leases.
void normalise(Lease& lease) {
  std::vector<LeasedFile> files = std::exchange(lease.files, {});
  std::stable_sort(files.begin(), files.end(), [](const LeasedFile& a, const LeasedFile& b) { return a.key < b.key; });
  for (LeasedFile& file : files) {
    if (lease.files.empty() || !(lease.files.back().key == file.key)) {
      lease.files.push_back(std::move(file));
      continue;
    }
    LeasedFile& into = lease.files.back();
    into.extents.add(file.extents);
    into.unprotected.add(file.unprotected);
    into.reasons |= file.reasons;
    into.dax = into.dax || file.dax;
    into.whole = into.whole || file.whole;
    into.merged = into.merged || file.merged;
    if (!into.magic) into.magic = file.magic;
    if (!into.page_shift) into.page_shift = file.page_shift;
    if (into.path.empty()) into.path = std::move(file.path);
  }
}

/// What the kernel's maps have no room for is taken over from the lease as it was.
void keep_user_space_knowledge(const Lease& before, Lease& after) {
  if (after.holder.label.empty()) after.holder.label = before.holder.label;
  for (LeasedFile& file : after.files) {
    const LeasedFile* known = before.on(file.key);
    if (!known) continue;
    if (file.path.empty()) file.path = known->path;
    if (!file.page_shift) file.page_shift = known->page_shift;
  }
}

std::string lease_word(LeaseId id) { return fmt::format("lease {}", id); }

/// A leased extent as the gate has it.
hf_slot slot_of(const Extent& extent, std::uint32_t holder, std::uint32_t page_shift) {
  hf_slot slot{.state = 1, .first = extent.first, .end = extent.end, .holder = holder, .flags = 0};
  hf_round_out(&slot.first, &slot.end, page_shift ? page_shift : kDefaultPageShift);
  return slot;
}

/// Takes every extent of the lease on that file into the answer.
void decide_lease(const Lease& lease, const hf_file_key& key, const hf_question& question, hf_answer& answer) {
  const LeasedFile* file = lease.on(key);
  if (!file) return;
  if (file->whole) {
    const hf_slot slot{.state = 1, .first = 0, .end = HF_RANGE_END, .holder = lease.holder.tgid, .flags = HF_SLOT_WHOLE};
    hf_decide_slot(&question, &slot, &answer);
    return;
  }
  for (const Extent& extent : file->extents) {
    const hf_slot slot = slot_of(extent, lease.holder.tgid, file->page_shift);
    hf_decide_slot(&question, &slot, &answer);
  }
}

}  // namespace

LeasedFile& Lease::file(const hf_file_key& key) {
  auto place = std::lower_bound(files.begin(), files.end(), key, [](const LeasedFile& have, const hf_file_key& value) { return have.key < value; });
  if (place == files.end() || !(place->key == key)) {
    LeasedFile made;
    made.key = key;
    place = files.insert(place, std::move(made));
  }
  return *place;
}

const LeasedFile* Lease::on(const hf_file_key& key) const {
  for (const LeasedFile& file : files)
    if (file.key == key) return &file;
  return nullptr;
}

std::uint64_t Lease::leased_bytes() const {
  std::uint64_t total = 0;
  for (const LeasedFile& file : files) {
    const std::uint64_t bytes = file.extents.total_bytes();
    if (bytes > HF_RANGE_END - total) return HF_RANGE_END;
    total += bytes;
  }
  return total;
}

Result<Diff> LeaseTable::add(Lease lease) {
  if (lease.id == 0) return fail(EINVAL, "a lease without an id");
  if (leases_.contains(lease.id)) return fail(EEXIST, lease_word(lease.id) + " is in the table already");
  std::vector<Lease> wanted;
  wanted.push_back(std::move(lease));
  return apply({}, std::move(wanted));
}

Result<Diff> LeaseTable::update(Lease lease) {
  if (!leases_.contains(lease.id)) return fail(ENOENT, lease_word(lease.id) + " is not in the table");
  std::vector<Lease> wanted;
  wanted.push_back(std::move(lease));
  return apply({}, std::move(wanted));
}

Result<Diff> LeaseTable::remove(LeaseId id) {
  if (!leases_.contains(id)) return fail(ENOENT, lease_word(id) + " is not in the table");
  return apply({id}, {});
}

Diff LeaseTable::sync(std::vector<Lease> snapshot) {
  std::map<LeaseId, Lease> latest;
  for (Lease& lease : snapshot) {
    const LeaseId id = lease.id;
    if (id != 0) latest.insert_or_assign(id, std::move(lease));
  }
  std::vector<LeaseId> gone;
  for (const auto& [id, lease] : leases_)
    if (!latest.contains(id)) gone.push_back(id);
  std::vector<Lease> wanted;
  wanted.reserve(latest.size());
  for (auto& [id, lease] : latest) {
    normalise(lease);
    if (const Lease* before = find(id)) keep_user_space_knowledge(*before, lease);
    wanted.push_back(std::move(lease));
  }
  return apply(gone, std::move(wanted));
}

/// The one place that changes anything: takes leases out, then puts each wanted one in, or in the place of what it was.
Diff LeaseTable::apply(const std::vector<LeaseId>& gone, std::vector<Lease> wanted) {
  Diff diff;
  std::map<hf_file_key, bool> had_leases;  // of each file that is touched, before anything changes
  const auto remember = [&](const Lease& lease) {
    for (const LeasedFile& file : lease.files) had_leases.try_emplace(file.key, by_file_.contains(file.key));
  };
  for (Lease& lease : wanted) normalise(lease);
  for (LeaseId id : gone) remember(leases_.at(id));
  for (const Lease& lease : wanted) {
    remember(lease);
    if (const Lease* before = find(lease.id)) remember(*before);
  }

  for (LeaseId id : gone) {
    auto at = leases_.find(id);
    unindex(at->second);
    diff.removed.push_back(std::move(at->second));
    leases_.erase(at);
  }
  for (Lease& lease : wanted) {
    auto at = leases_.find(lease.id);
    if (at == leases_.end()) {
      at = leases_.emplace(lease.id, std::move(lease)).first;
      index(at->second);
      diff.added.push_back(at->second);
    } else if (!(at->second == lease)) {
      unindex(at->second);
      Lease before = std::exchange(at->second, std::move(lease));
      index(at->second);
      diff.changed.push_back({std::move(before), at->second});
    }
  }

  for (const auto& [key, had] : had_leases) {
    const bool has = by_file_.contains(key);
    if (has && !had) diff.files_gained.push_back(key);
    if (had && !has) diff.files_lost.push_back(key);
  }
  return diff;
}

void LeaseTable::index(const Lease& lease) {
  for (const LeasedFile& file : lease.files) by_file_[file.key].insert(lease.id);
  by_process_[lease.holder.process()].insert(lease.id);
  ++by_user_[lease.holder.uid];
}

void LeaseTable::unindex(const Lease& lease) {
  // Empty entries go: files come and go for the daemon's whole life.
  for (const LeasedFile& file : lease.files) {
    auto at = by_file_.find(file.key);
    at->second.erase(lease.id);
    if (at->second.empty()) by_file_.erase(at);
  }
  auto process = by_process_.find(lease.holder.process());
  process->second.erase(lease.id);
  if (process->second.empty()) by_process_.erase(process);
  auto user = by_user_.find(lease.holder.uid);
  if (--user->second == 0) by_user_.erase(user);
}

std::vector<const Lease*> LeaseTable::resolve(const Ids& ids) const {
  std::vector<const Lease*> found;
  found.reserve(ids.size());
  for (LeaseId id : ids) found.push_back(&leases_.at(id));
  return found;
}

const Lease* LeaseTable::find(LeaseId id) const {
  auto at = leases_.find(id);
  return at == leases_.end() ? nullptr : &at->second;
}

std::vector<const Lease*> LeaseTable::on_file(const hf_file_key& key) const {
  auto at = by_file_.find(key);
  return at == by_file_.end() ? std::vector<const Lease*>{} : resolve(at->second);
}

std::size_t LeaseTable::leases_on(const hf_file_key& key) const {
  auto at = by_file_.find(key);
  return at == by_file_.end() ? 0 : at->second.size();
}

std::vector<const Lease*> LeaseTable::of_process(const ProcessKey& process) const {
  auto at = by_process_.find(process);
  return at == by_process_.end() ? std::vector<const Lease*>{} : resolve(at->second);
}

bool LeaseTable::holds(const ProcessKey& process, hf_lease_kind kind) const {
  auto at = by_process_.find(process);
  return at != by_process_.end() && std::any_of(at->second.begin(), at->second.end(), [&](LeaseId id) { return leases_.at(id).holder.kind == kind; });
}

std::size_t LeaseTable::count_of_user(std::uint32_t uid) const {
  auto at = by_user_.find(uid);
  return at == by_user_.end() ? 0 : at->second;
}

std::vector<hf_file_key> LeaseTable::files() const {
  std::vector<hf_file_key> keys;
  keys.reserve(by_file_.size());
  for (const auto& [key, ids] : by_file_) keys.push_back(key);
  std::sort(keys.begin(), keys.end());
  return keys;
}

std::vector<const Lease*> LeaseTable::touched(const hf_file_key& key, const hf_question& question) const {
  std::vector<const Lease*> found;
  for (const Lease* lease : on_file(key)) {
    hf_answer answer{};
    decide_lease(*lease, key, question, answer);
    if (answer.error) found.push_back(lease);
  }
  std::stable_partition(found.begin(), found.end(), [&](const Lease* lease) { return lease->holder.tgid != 0 && lease->holder.tgid == question.task; });
  return found;
}

hf_answer LeaseTable::decide(const hf_file_key& key, const hf_question& question, std::uint32_t seals) const {
  hf_answer answer{};
  for (const Lease* lease : on_file(key)) decide_lease(*lease, key, question, answer);
  hf_decide_seals(&question, seals, &answer);
  return answer;
}

}  // namespace hf
