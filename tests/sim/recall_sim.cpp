// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// The real recall machine and the real decide(), over a kernel and holders of a few lines, through random schedules: holders come, let go, fence, refuse and
// die, breaks are tried, time passes, the daemon and the one who asked are killed at any step. HOLDFAST_SIM_SEED, HOLDFAST_SIM_SCHEDULES.
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <random>
#include <set>

#include "decide.h"
#include "lease/recall.hpp"

namespace hf {
namespace {

constexpr std::uint32_t kRequester = 1000;
constexpr std::uint64_t kMs = 1'000'000;

/// What outlives the daemon.
struct Kernel {
  std::map<LeaseId, std::uint32_t> leases;  ///< its process
  bool hold = false;
  bool open = false;

  bool allows(std::uint32_t task, bool requester_alive) const {
    const hf_question question{.op = HF_OP_TRUNCATE,
                               .task = task,
                               .first = 0,
                               .end = HF_RANGE_END,
                               .window = open && requester_alive && task == kRequester ? kRequester : 0,
                               .flags = 0};
    hf_answer answer{};
    const hf_slot window{.state = hold ? 1u : 0u, .first = 0, .end = HF_RANGE_END, .holder = kRequester, .flags = HF_SLOT_WINDOW};
    hf_decide_slot(&question, &window, &answer);
    for (const auto& [id, tgid] : leases) {
      const hf_slot slot{.state = 1, .first = 0, .end = 4096, .holder = tgid, .flags = 0};
      hf_decide_slot(&question, &slot, &answer);
    }
    return answer.error == 0;
  }
};

class Schedule {
 public:
  explicit Schedule(std::uint64_t seed) : random_(seed) {}

  void run() {
    for (int i = below(4); i > 0; i--) lease();
    begin();
    for (int steps = 10 + below(50); steps > 0; steps--) {
      step();
      check();
    }
    come_to_rest();
  }
  std::uint64_t steps() const { return steps_; }
  const std::string& trace() const { return trace_; }
  bool failed() const { return failed_; }

 private:
  int below(int n) { return static_cast<int>(random_() % static_cast<unsigned>(n)); }
  void note(const char* what, std::uint64_t which = 0) {
    steps_++;
    trace_ += fmt::format("{} {}\n", what, which);
  }
  void expect(bool good, const char* what) {
    if (good || failed_) return;
    failed_ = true;
    trace_ += fmt::format("WRONG: {}\n", what);
  }

  void lease() {
    const auto id = next_++;
    const auto tgid = 1 + static_cast<std::uint32_t>(2 + below(3));
    note("lease", id);
    kernel_.leases[id] = tgid;
    if (daemon_) carry_out(recall_->gained(holder(id), now_));
  }
  RecallHolder holder(LeaseId id) const { return {.lease = id, .process = {kernel_.leases.at(id), 7}, .kind = HF_LEASE_REGISTRATION, .uid = 0, .comm = {}}; }
  void let_go(LeaseId id) {
    note("let go", id);
    kernel_.leases.erase(id);
    if (daemon_) carry_out(recall_->ended(id, now_));
  }
  LeaseId some_lease() {
    if (kernel_.leases.empty()) return 0;
    auto at = kernel_.leases.begin();
    std::advance(at, below(static_cast<int>(kernel_.leases.size())));
    return at->first;
  }
  void die(std::uint32_t tgid) {
    note("dies", tgid);
    for (auto at = kernel_.leases.begin(); at != kernel_.leases.end();) {
      const auto [id, owner] = *at++;
      if (owner == tgid) let_go(id);
    }
  }

  void begin() {
    RecallPolicy policy;
    policy.most = Escalation::kill;
    const auto on_timeout = static_cast<Escalation>(below(3));
    rules_ = *RecallRules::within(policy, 1 + below(5), on_timeout, below(4) != 0);
    requester_ = true;
    ask();
  }
  void ask() {
    note("recall");
    recall_ = std::make_unique<Recall>(rules_);
    daemon_ = true;
    kernel_.hold = true;
    began_ = now_;
    terminated_.clear();
    std::vector<RecallHolder> holders;
    for (const auto& [id, tgid] : kernel_.leases) holders.push_back(holder(id));
    carry_out(recall_->start(std::move(holders), now_));
  }

  void carry_out(const RecallEffects& effects) {
    for (const auto& effect : effects) carry_out(effect);
  }
  void carry_out(const RecallEffect& effect) {
    using Kind = RecallEffect::Kind;
    switch (effect.kind) {
      case Kind::open:
        expect(kernel_.leases.empty(), "the window opens over a lease");
        expect(kernel_.hold && rules_.command, "the window opens without its hold");
        kernel_.open = true;
        return;
      case Kind::close:
        kernel_.open = false;
        kernel_.hold = false;
        return;
      case Kind::terminate:
      case Kind::kill: {
        expect(rules_.on_timeout == Escalation::kill, "a holder is ended without consent");
        expect(recall_->holders().contains(effect.lease), "a process is ended that is no holder");
        const bool first = effect.kind == Kind::terminate;
        expect(first || terminated_.contains(effect.process.tgid) || late_, "SIGKILL without SIGTERM");
        terminated_.insert(effect.process.tgid);
        if (effect.kind == Kind::kill || below(2)) doomed_.insert(effect.process.tgid);
        return;
      }
      case Kind::ended:
        expect(recall_->over() && recall_->outcome() != RecallOutcome::none, "the end without an outcome");
        return;
      default:
        return;
    }
  }

  void step() {
    if (!doomed_.empty() && below(2)) {
      const auto tgid = *doomed_.begin();
      doomed_.erase(doomed_.begin());
      return die(tgid);
    }
    switch (below(14)) {
      case 0:
        late_ = late_ || (daemon_ && recall_->phase() >= RecallPhase::terminating);
        return lease();
      case 1:
      case 2:
        if (const auto id = some_lease()) let_go(id);
        return;
      case 3:
        if (const auto id = some_lease(); id && daemon_) {
          note("fenced", id);
          recall_->fenced(id);
          if (below(2)) let_go(id);
        }
        return;
      case 4:
        if (const auto id = some_lease(); id && daemon_) {
          note("refuses", id);
          carry_out(recall_->refused(id, now_));
        }
        return;
      case 5:
        if (const auto id = some_lease()) die(kernel_.leases.at(id));
        return;
      case 6:
      case 7:
        now_ += static_cast<std::uint64_t>(below(3000)) * kMs;
        note("time", now_);
        if (daemon_) carry_out(recall_->tick(now_));
        return;
      case 8:
        return attempt(kRequester);
      case 9:
        return attempt(1 + static_cast<std::uint32_t>(2 + below(4)));
      case 10:
        if (!below(4)) crash();
        return;
      case 11:
      case 12:
        if (!daemon_) restart();
        return;
      default:
        if (!below(4)) requester_goes();
    }
  }

  void attempt(std::uint32_t task) {
    note("tries", task);
    const bool own_child = task == kRequester;
    if (!kernel_.allows(task, requester_)) return;
    expect(kernel_.leases.empty(), "a break completes under a lease");
    expect(!kernel_.hold || (own_child && kernel_.open && requester_), "a break completes under the recall");
  }

  void crash() {
    if (!daemon_) return;
    note("the daemon is killed");
    daemon_ = false;
    recall_.reset();
  }
  /// As Recalls::restore().
  void restart() {
    note("the daemon starts");
    daemon_ = true;
    if (kernel_.open && requester_) {
      recall_ = std::make_unique<Recall>(Recall::found_open(rules_));
      return;
    }
    kernel_.open = kernel_.hold = false;
    recall_ = std::make_unique<Recall>(rules_);
    if (requester_) return ask();  // holdfast recall asks anew
    (void)recall_->cancel();
  }
  void requester_goes() {
    if (!requester_) return;
    note("the requester goes");
    requester_ = false;
    if (daemon_) carry_out(recall_->finish());
  }

  void check() {
    if (!daemon_) return;
    expect(!recall_->over() || (!kernel_.open && !kernel_.hold), "something stays open after the end");
    const auto deadline = recall_->deadline_ns();
    const auto longest = rules_.wait_ns + rules_.fence_ns + 2 * rules_.terminate_ns + 4 * 3000 * kMs;
    expect(!deadline || *deadline <= began_ + longest, "a recall that goes on beyond its steps");
    std::size_t left = 0;
    for (const auto& [id, known] : recall_->holders()) left += kernel_.leases.contains(id);
    if (!recall_->over()) expect(left == recall_->left(), "it counts others than those who hold");
  }

  /// Everybody ends, time passes: nothing may be left.
  void come_to_rest() {
    if (!daemon_) restart();
    for (int i = 0; i < 6 && recall_->deadline_ns(); i++) {
      now_ = *recall_->deadline_ns();
      carry_out(recall_->tick(now_));
      check();
    }
    expect(recall_->over() || recall_->phase() == RecallPhase::window, "a recall that never ends");
    requester_goes();
    expect(recall_->over(), "a window that outlives its command");
    while (!kernel_.leases.empty()) die(kernel_.leases.begin()->second);
    expect(!kernel_.hold && !kernel_.open, "something is left");
    attempt(2);
    expect(kernel_.allows(2, false), "the file stays closed");
  }

  std::mt19937_64 random_;
  Kernel kernel_;
  RecallRules rules_;
  std::unique_ptr<Recall> recall_;
  std::set<std::uint32_t> terminated_, doomed_;
  bool daemon_ = false, requester_ = false, late_ = false, failed_ = false;
  std::uint64_t now_ = 1'000 * kMs, began_ = 0, steps_ = 0;
  LeaseId next_ = 1;
  std::string trace_;
};

std::uint64_t number(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text ? std::strtoull(text, nullptr, 10) : otherwise;
}

}  // namespace
}  // namespace hf

int main() {
  const auto seed = hf::number("HOLDFAST_SIM_SEED", 1), schedules = hf::number("HOLDFAST_SIM_SCHEDULES", 1'000'000);
  std::uint64_t steps = 0;
  for (std::uint64_t i = 0; i < schedules; i++) {
    hf::Schedule schedule(seed + i);
    schedule.run();
    steps += schedule.steps();
    if (!schedule.failed()) continue;
    std::printf("%s\nHOLDFAST_SIM_SEED=%" PRIu64 " HOLDFAST_SIM_SCHEDULES=1 repeats it\n", schedule.trace().c_str(), seed + i);
    return 1;
  }
  const auto summary = fmt::format("simulation: {} schedules of recalls, {} steps, from seed {}\n", schedules, steps, seed);
  std::fputs(summary.c_str(), stdout);
  if (const char* folder = std::getenv("HOLDFAST_COUNTS")) {
    std::filesystem::create_directories(folder);
    std::ofstream(std::string(folder) + "/simulation") << summary;
  }
  return 0;
}
