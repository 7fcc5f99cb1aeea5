// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// Drives LeaseTable and decide() through random grants, changes, releases, restarts and breakers, and compares every answer with the naive model's.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>

#include "lease/table.hpp"
#include "naive_table.hpp"

namespace hf::sim {
namespace {

constexpr std::uint32_t kShift = 3;  // pages of 8 bytes: small enough to compare byte by byte
constexpr std::uint64_t kIds = 24;
constexpr std::uint32_t kProcesses = 5;  // 0 is the administrator's static hold

std::uint64_t from_environment(const char* name, std::uint64_t otherwise) {
  const char* value = std::getenv(name);
  return value && *value ? std::strtoull(value, nullptr, 0) : otherwise;
}

hf_file_key key_of(std::size_t file) { return {.inode = 100 + file, .device = 7, .generation = 1}; }

class Simulation {
 public:
  explicit Simulation(std::uint64_t seed) : seed_(seed), dice_(seed) {}

  void step() {
    step_++;
    switch (dice_() % 20) {
      case 0:
      case 1:
      case 2:
      case 3:
        return add();
      case 4:
      case 5:
        return update();
      case 6:
      case 7:
      case 8:
        return remove();
      case 9:
        return sync();
      case 10:
      case 11:
        return look_up();
      default:
        return breaker();
    }
  }

  void finish() const {
    std::printf("seed %llu: %llu steps agree (%llu refused, %llu of them EDEADLK, %llu let pass; %zu leases at the end)\n", as_long(seed_), as_long(step_),
                as_long(refused_), as_long(deadlocks_), as_long(passed_), table_.size());
    // A simulation that never refuses, or never lets anything pass, compares nothing.
    expect(step_ < 1000 || (refused_ > step_ / 20 && deadlocks_ > 0 && passed_ > step_ / 20), "it sees both refusals and passes");
  }

 private:
  static unsigned long long as_long(std::uint64_t value) { return value; }

  std::uint32_t below(std::uint32_t bound) { return static_cast<std::uint32_t>(dice_() % bound); }

  void expect(bool holds, const char* what) const {
    if (holds) return;
    std::fprintf(stderr, "FAILED at step %llu: %s\nRepeat it with: HOLDFAST_SIM_SEED=%llu\n", as_long(step_), what, as_long(seed_));
    std::exit(1);
  }

  void add_bytes(Bytes& bytes, ExtentSet& extents) {
    const std::size_t first = dice_() % kBytes;
    if (dice_() % 16 == 0) {
      extents.add({first, HF_RANGE_END});
      std::fill(bytes.begin() + first, bytes.end(), true);
      return;
    }
    const std::size_t end = std::min(kBytes, first + dice_() % 24);
    extents.add({first, end});
    std::fill(bytes.begin() + first, bytes.begin() + end, true);
  }

  /// The same random lease as both know it.
  std::pair<Lease, NaiveLease> any_lease(LeaseId id) {
    Lease lease;
    NaiveLease naive;
    lease.id = id;
    lease.state = HF_STATE_PROTECTED;
    lease.holder.tgid = naive.tgid = below(kProcesses);
    lease.holder.start_ns = naive.tgid;
    lease.holder.uid = naive.uid = below(3);
    for (std::size_t n = 1 + dice_() % 3; n > 0; n--) {
      const std::size_t file = dice_() % kFiles;
      LeasedFile& leased = lease.file(key_of(file));
      leased.page_shift = kShift;
      add_bytes(naive.files[file], leased.extents);
    }
    std::shuffle(lease.files.begin(), lease.files.end(), dice_);
    return {lease, naive};
  }

  /// The table changed as the model did from `before`.
  void expect_diff(const Diff& diff, const NaiveTable& before) const {
    std::set<LeaseId> added, removed, changed, want_added, want_removed, want_changed;
    for (const Lease& lease : diff.added) added.insert(lease.id);
    for (const Lease& lease : diff.removed) removed.insert(lease.id);
    for (const LeaseChange& change : diff.changed) changed.insert(change.after.id);
    for (const auto& [id, lease] : naive_) {
      auto was = before.find(id);
      if (was == before.end())
        want_added.insert(id);
      else if (!(was->second == lease))
        want_changed.insert(id);
    }
    for (const auto& [id, lease] : before)
      if (!naive_.contains(id)) want_removed.insert(id);
    expect(added == want_added && diff.added.size() == added.size(), "the diff has what was added");
    expect(removed == want_removed && diff.removed.size() == removed.size(), "the diff has what was removed");
    expect(changed == want_changed && diff.changed.size() == changed.size(), "the diff has what changed");

    const std::set<std::size_t> had = files(before), has = files(naive_);
    std::vector<hf_file_key> gained, lost;
    for (std::size_t file : has)
      if (!had.contains(file)) gained.push_back(key_of(file));
    for (std::size_t file : had)
      if (!has.contains(file)) lost.push_back(key_of(file));
    expect(diff.files_gained == gained, "the diff has the files gained");
    expect(diff.files_lost == lost, "the diff has the files lost");
    if (auto checked = table_.check(); !checked) expect(false, checked.error().message.c_str());
  }

  void add() {
    const LeaseId id = 1 + dice_() % kIds;
    auto [lease, naive] = any_lease(id);
    auto diff = table_.add(lease);
    expect(diff.has_value() == !naive_.contains(id), "an id is taken once");
    if (!diff) return;
    const NaiveTable before = naive_;
    naive_[id] = naive;
    expect_diff(*diff, before);
  }

  void update() {
    const LeaseId id = 1 + dice_() % kIds;
    auto [lease, naive] = any_lease(id);
    auto diff = table_.update(lease);
    expect(diff.has_value() == naive_.contains(id), "only what is there can change");
    if (!diff) return;
    const NaiveTable before = naive_;
    naive_[id] = naive;
    expect_diff(*diff, before);
  }

  void remove() {
    const LeaseId id = 1 + dice_() % kIds;
    auto diff = table_.remove(id);
    expect(diff.has_value() == naive_.contains(id), "only what is there can go");
    if (!diff) return;
    const NaiveTable before = naive_;
    naive_.erase(id);
    expect_diff(*diff, before);
  }

  /// The daemon comes back and finds that leases came, went and changed meanwhile.
  void sync() {
    const NaiveTable before = naive_;
    std::vector<Lease> snapshot;
    for (LeaseId id = 1; id <= kIds; id++) {
      const bool there = naive_.contains(id);
      const auto fate = dice_() % 8;
      if (there && fate > 1) {
        snapshot.push_back(*table_.find(id));
      } else if (fate == 0) {
        auto [lease, naive] = any_lease(id);
        snapshot.push_back(lease);
        naive_[id] = naive;
      } else {
        naive_.erase(id);
      }
    }
    std::shuffle(snapshot.begin(), snapshot.end(), dice_);
    expect_diff(table_.sync(snapshot), before);
  }

  void look_up() {
    const std::uint32_t tgid = below(kProcesses);
    const std::uint32_t uid = below(3);
    const std::size_t file = dice_() % kFiles;
    std::vector<LeaseId> of_process, on_file, has_process, has_file;
    std::size_t of_user = 0;
    for (const auto& [id, lease] : naive_) {
      if (lease.tgid == tgid) of_process.push_back(id);
      if (lease.files.contains(file)) on_file.push_back(id);
      of_user += lease.uid == uid;
    }
    for (const Lease* lease : table_.of_process({tgid, tgid})) has_process.push_back(lease->id);
    for (const Lease* lease : table_.on_file(key_of(file))) has_file.push_back(lease->id);
    expect(has_process == of_process, "leases are found by process");
    expect(has_file == on_file, "leases are found by file");
    expect(table_.count_of_user(uid) == of_user, "leases are counted by user");
    expect(table_.size() == naive_.size() && table_.files().size() == files(naive_).size(), "sizes agree");
  }

  /// A question as the gate would ask it, and its bytes.
  hf_question any_question(Bytes& bytes) {
    hf_question question{};
    question.task = below(kProcesses + 2);
    const std::size_t first = dice_() % (kBytes + 1);
    const std::size_t end = std::min(kBytes, first + dice_() % 24);
    const auto mark = [&](std::size_t from, std::size_t to) { std::fill(bytes.begin() + from, bytes.begin() + to, true); };
    switch (dice_() % 4) {
      case 0: {
        const std::size_t size = dice_() % (kBytes + 1);
        question.op = HF_OP_TRUNCATE;
        hf_range_truncate(first, size, &question);
        if (first < size) mark(first, kTail + 1);
        break;
      }
      case 1: {
        static constexpr __u32 kModes[] = {0, 1, 3, 0x10, 0x11, 0x40, 0x80, 0x08, 0x20, 0x100, 0x12};
        const std::size_t which = dice_() % std::size(kModes);
        const bool overflows = dice_() % 8 == 0;
        hf_question_fallocate(kModes[which], first, overflows ? ~0ull : end - first, &question);
        if (which == 7 || which == 8)
          mark(0, kTail + 1);  // a shift takes the page before along, and here the file is smaller than that
        else if (which > 8)
          mark(first, kTail + 1);  // what is not known
        else if (which >= 2)
          mark(first, overflows ? kTail + 1 : end);
        break;
      }
      default:
        question.op = HF_OP_REFLINK + below(4);
        question.first = first;
        question.end = end;
        mark(first, end);
    }
    return question;
  }

  void breaker() {
    Bytes bytes{};
    const hf_question question = any_question(bytes);
    const std::size_t file = dice_() % kFiles;
    const std::uint32_t seals = dice_() % 6 == 0 ? static_cast<std::uint32_t>(dice_()) : 0;
    const bool sealed = question.first < question.end && ((seals >> question.op) & 1);  // an empty range touches nothing
    const hf_answer answer = table_.decide(key_of(file), question, seals);
    const int wanted = decide(naive_, file, bytes, question.task, sealed, kShift);
    expect(static_cast<int>(answer.error) == wanted, "the decision is the model's");
    (wanted ? refused_ : passed_)++;
    deadlocks_ += wanted == EDEADLK;

    std::set<LeaseId> ids;
    std::vector<const Lease*> leases = table_.touched(key_of(file), question);
    for (const Lease* lease : leases) ids.insert(lease->id);
    expect(ids == touched(naive_, file, bytes, kShift), "the touched leases are the model's");
    if (leases.empty()) {
      expect(answer.lease_end == 0 && answer.holder == 0, "a seal names no lease");
      return;
    }
    expect(wanted != EDEADLK || leases.front()->holder.tgid == question.task, "the breaker's own lease comes first");
    const bool named = std::any_of(leases.begin(), leases.end(), [&](const Lease* lease) {
      const ExtentSet held = lease->on(key_of(file))->extents.round_out(kShift);
      return lease->holder.tgid == answer.holder && held.contains(Extent{answer.lease_first, answer.lease_end});
    });
    expect(named, "the answer names a lease that was touched");
    expect(answer.lease_first < question.end && question.first < answer.lease_end, "the answer names an extent that was touched");
  }

  std::uint64_t seed_;
  std::mt19937_64 dice_;
  LeaseTable table_;
  NaiveTable naive_;
  std::uint64_t step_ = 0;
  std::uint64_t refused_ = 0;
  std::uint64_t deadlocks_ = 0;
  std::uint64_t passed_ = 0;
};

}  // namespace
}  // namespace hf::sim

int main() {
  const std::uint64_t seed = hf::sim::from_environment("HOLDFAST_SIM_SEED", 1);
  const std::uint64_t steps = hf::sim::from_environment("HOLDFAST_SIM_STEPS", 150000);
  hf::sim::Simulation simulation(seed);
  for (std::uint64_t i = 0; i < steps; i++) simulation.step();
  simulation.finish();
}
