// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "lease/recall.hpp"

#include <algorithm>

namespace hf {
namespace {

constexpr std::uint64_t kSecondNs = 1'000'000'000;
using Kind = RecallEffect::Kind;

}  // namespace

Result<RecallRules> RecallRules::within(const RecallPolicy& policy, std::optional<std::uint64_t> wait_s, std::optional<Escalation> on_timeout, bool command) {
  if (wait_s && *wait_s > policy.wait_most_s)
    return fail(EINVAL, fmt::format("a recall may wait for {} s at most", policy.wait_most_s), "Ask for less, or raise wait_most in holdfast.toml(5).");
  if (on_timeout && *on_timeout > policy.most)
    return fail(EPERM, fmt::format("the configuration lets a recall go as far as \"{}\", not \"{}\"", name(policy.most), name(*on_timeout)),
                "Set escalation in [recall], holdfast.toml(5), if that is wanted.");
  return RecallRules{.wait_ns = wait_s.value_or(policy.wait_s) * kSecondNs,
                     .fence_ns = policy.fence_s * kSecondNs,
                     .terminate_ns = policy.terminate_s * kSecondNs,
                     .on_timeout = on_timeout.value_or(Escalation::deny),
                     .command = command};
}

Recall Recall::found_open(const RecallRules& rules) {
  Recall recall(rules);
  recall.phase_ = RecallPhase::window;
  return recall;
}

void Recall::enter(RecallPhase phase, std::uint64_t deadline_ns) {
  phase_ = phase;
  deadline_ns_ = deadline_ns;
}

std::optional<std::uint64_t> Recall::deadline_ns() const {
  if (phase_ == RecallPhase::window || phase_ == RecallPhase::over) return {};
  return deadline_ns_;
}

RecallEffects Recall::start(std::vector<RecallHolder> holders, std::uint64_t now_ns) {
  RecallEffects effects;
  enter(RecallPhase::asking, now_ns + rules_.wait_ns);
  for (auto& holder : holders) {
    const auto lease = holder.lease;
    const auto process = holder.process;
    if (!holders_.emplace(lease, std::move(holder)).second) continue;
    left_++;
    effects.push_back({Kind::ask, lease, process});
  }
  look(effects, now_ns);
  return effects;
}

RecallEffects Recall::gained(RecallHolder holder, std::uint64_t now_ns) {
  RecallEffects effects;
  if (over() || holders_.contains(holder.lease)) return effects;
  effects.push_back({Kind::ask, holder.lease, holder.process});
  // Late, and treated as those that came first: it has what is left of the time.
  const auto lease = holder.lease;
  auto& entry = holders_.emplace(lease, std::move(holder)).first->second;
  left_++;
  if (phase_ == RecallPhase::fencing) {
    entry.state = HolderState::fence_asked;
    effects.push_back({Kind::fence, lease, entry.process});
  }
  if (phase_ == RecallPhase::window) return effects;
  look(effects, now_ns);
  return effects;
}

RecallEffects Recall::ended(LeaseId lease, std::uint64_t now_ns) {
  RecallEffects effects;
  const auto found = holders_.find(lease);
  if (over() || found == holders_.end() || found->second.gone) return effects;
  auto& holder = found->second;
  holder.gone = true;
  // How it went stays told: fenced, terminated, killed.
  if (holder.state < HolderState::terminated) holder.state = HolderState::let_go;
  left_--;
  look(effects, now_ns);
  return effects;
}

void Recall::fenced(LeaseId lease) {
  const auto found = holders_.find(lease);
  if (!over() && found != holders_.end() && !found->second.gone) found->second.state = HolderState::fenced;
}

RecallEffects Recall::refused(LeaseId lease, std::uint64_t now_ns) {
  RecallEffects effects;
  const auto found = holders_.find(lease);
  if (over() || found == holders_.end() || found->second.gone || found->second.state != HolderState::asked) return effects;
  found->second.state = HolderState::refused;
  look(effects, now_ns);
  return effects;
}

RecallEffects Recall::tick(std::uint64_t now_ns) {
  RecallEffects effects;
  look(effects, now_ns);
  return effects;
}

/// Where does it stand now?
void Recall::look(RecallEffects& effects, std::uint64_t now_ns) {
  if (phase_ == RecallPhase::window || phase_ == RecallPhase::over) return;
  if (left_ == 0) {
    if (!rules_.command) return end(effects, RecallOutcome::let_go);
    enter(RecallPhase::window, 0);
    effects.push_back({Kind::open, 0, {}});
    return;
  }
  // Nothing to wait for where everybody has said no.
  const bool all_refused = phase_ == RecallPhase::asking && std::all_of(holders_.begin(), holders_.end(), [](const auto& entry) {
                             return entry.second.gone || entry.second.state == HolderState::refused;
                           });
  if (now_ns >= deadline_ns_ || all_refused) escalate(effects, now_ns);
}

/// One step up the ladder, as far as it goes.
void Recall::escalate(RecallEffects& effects, std::uint64_t now_ns) {
  if (phase_ == RecallPhase::asking && rules_.on_timeout >= Escalation::fence) {
    enter(RecallPhase::fencing, now_ns + rules_.fence_ns);
    for (auto& [lease, holder] : holders_) {
      if (holder.gone) continue;
      holder.state = HolderState::fence_asked;
      effects.push_back({Kind::fence, lease, holder.process});
    }
  } else if (phase_ == RecallPhase::fencing && rules_.on_timeout >= Escalation::kill) {
    enter(RecallPhase::terminating, now_ns + rules_.terminate_ns);
    signal_left(effects, Kind::terminate, HolderState::terminated);
  } else if (phase_ == RecallPhase::terminating) {
    enter(RecallPhase::killing, now_ns + rules_.terminate_ns);
    signal_left(effects, Kind::kill, HolderState::killed);
  } else {
    end(effects, RecallOutcome::timed_out);
  }
}

/// Each process once, however many leases it has.
void Recall::signal_left(RecallEffects& effects, Kind kind, HolderState state) {
  std::set<ProcessKey> done;
  for (auto& [lease, holder] : holders_) {
    if (holder.gone) continue;
    holder.state = state;
    if (holder.process.tgid > 1 && done.insert(holder.process).second) effects.push_back({kind, lease, holder.process});
  }
}

RecallEffects Recall::finish() {
  RecallEffects effects;
  if (phase_ == RecallPhase::window)
    end(effects, RecallOutcome::done);
  else if (!over())
    end(effects, RecallOutcome::cancelled);
  return effects;
}

RecallEffects Recall::cancel() {
  RecallEffects effects;
  if (!over()) end(effects, RecallOutcome::cancelled);
  return effects;
}

void Recall::end(RecallEffects& effects, RecallOutcome outcome) {
  // From the start on nobody but the requester could change the layout: that ends in every case, not only after a window.
  effects.push_back({Kind::close, 0, {}});
  for (const auto& [lease, holder] : holders_)
    if (!holder.gone) effects.push_back({Kind::tell_over, lease, holder.process});
  enter(RecallPhase::over, 0);
  outcome_ = outcome;
  effects.push_back({Kind::ended, 0, {}});
}

std::string_view name(RecallPhase value) {
  switch (value) {
    case RecallPhase::asking:
      return "asking";
    case RecallPhase::fencing:
      return "fencing";
    case RecallPhase::terminating:
      return "terminating";
    case RecallPhase::killing:
      return "killing";
    case RecallPhase::window:
      return "window";
    case RecallPhase::over:
      return "over";
  }
  return "";
}

std::string_view name(RecallOutcome value) {
  switch (value) {
    case RecallOutcome::none:
      return "none";
    case RecallOutcome::let_go:
      return "let-go";
    case RecallOutcome::done:
      return "done";
    case RecallOutcome::timed_out:
      return "timed-out";
    case RecallOutcome::cancelled:
      return "cancelled";
  }
  return "";
}

std::string_view name(HolderState value) {
  switch (value) {
    case HolderState::asked:
      return "asked";
    case HolderState::refused:
      return "refused";
    case HolderState::fence_asked:
      return "fence-asked";
    case HolderState::terminated:
      return "terminated";
    case HolderState::killed:
      return "killed";
    case HolderState::let_go:
      return "let-go";
    case HolderState::fenced:
      return "fenced";
  }
  return "";
}

}  // namespace hf
