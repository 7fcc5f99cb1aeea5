// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// Recall: an administrator asks the holders of a file, or of a filesystem, to let go, and may then change it alone. A state machine without a clock or a
// system call: events in, effects out. model/recall.pml is the same machine for Spin; tests/sim/recall_sim.cpp drives this one through crashes.
//
// What it keeps, whatever happens: the window opens only when no lease is left; no holder is ended unless on_timeout says so and it is named in an effect
// before; every recall ends; what was opened is closed.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "lease/policy.hpp"
#include "lease/table.hpp"

namespace hf {

enum class RecallPhase : std::uint8_t {
  asking,       ///< holders have been asked to let go
  fencing,      ///< those that are left have been asked to make their memory unreachable, now
  terminating,  ///< those that are left got SIGTERM
  killing,      ///< ... and SIGKILL
  window,       ///< nobody holds it: the command runs, and nobody else may change the layout
  over,
};

enum class RecallOutcome : std::uint8_t {
  none,
  let_go,     ///< all let go; there was no command
  done,       ///< the command ran, in its window
  timed_out,  ///< some have not let go, and the last step that was allowed has been taken
  cancelled,  ///< the one who asked has gone, or changed their mind
};

struct RecallRules {
  std::uint64_t wait_ns = 0;
  std::uint64_t fence_ns = 0;
  std::uint64_t terminate_ns = 0;
  Escalation on_timeout = Escalation::deny;
  bool command = false;  ///< something is to be run when all have let go

  /// What the command line asks for, within what the configuration lets it. EPERM where it is more.
  static Result<RecallRules> within(const RecallPolicy& policy, std::optional<std::uint64_t> wait_s, std::optional<Escalation> on_timeout, bool command);
};

/// What became of a holder that was asked.
enum class HolderState : std::uint8_t { asked, refused, fence_asked, terminated, killed, let_go, fenced };

struct RecallHolder {
  LeaseId lease = 0;
  ProcessKey process;
  hf_lease_kind kind = HF_LEASE_PROCESS;
  std::uint32_t uid = 0;
  std::string comm;
  HolderState state = HolderState::asked;
  bool gone = false;  ///< its lease has ended, which alone counts
};

struct RecallEffect {
  enum class Kind : std::uint8_t {
    ask,        ///< tell the holder of `lease`, with the deadline
    fence,      ///< tell it that its memory must become unreachable now
    terminate,  ///< SIGTERM to `process`
    kill,       ///< SIGKILL
    open,       ///< the window: from now on the requester's command may change the layout
    close,      ///< nobody may any more; static holds come back
    tell_over,  ///< tell the holder of `lease`, who still has it
    ended,      ///< the last effect
  };
  Kind kind = Kind::ended;
  LeaseId lease = 0;
  ProcessKey process;
};
using RecallEffects = std::vector<RecallEffect>;

class Recall {
 public:
  explicit Recall(const RecallRules& rules) : rules_(rules) {}
  /// A window that stands in the kernel, found by a daemon that has just started.
  static Recall found_open(const RecallRules& rules);

  RecallEffects start(std::vector<RecallHolder> holders, std::uint64_t now_ns);
  /// A registration that came meanwhile: it pins, so it is leased, and asked.
  RecallEffects gained(RecallHolder holder, std::uint64_t now_ns);
  RecallEffects ended(LeaseId lease, std::uint64_t now_ns);
  /// The holder says that its memory is unreachable. Only what ends the lease counts: the caller ends it, and says so by ended().
  void fenced(LeaseId lease);
  RecallEffects refused(LeaseId lease, std::uint64_t now_ns);
  /// Time has passed. Call it at deadline_ns() at the latest.
  RecallEffects tick(std::uint64_t now_ns);
  /// The command has ended, or there will be none.
  RecallEffects finish();
  RecallEffects cancel();

  RecallPhase phase() const { return phase_; }
  RecallOutcome outcome() const { return outcome_; }
  std::optional<std::uint64_t> deadline_ns() const;
  /// All that were asked, those that have let go included.
  const std::map<LeaseId, RecallHolder>& holders() const { return holders_; }
  std::size_t left() const { return left_; }
  bool over() const { return phase_ == RecallPhase::over; }
  const RecallRules& rules() const { return rules_; }

 private:
  void look(RecallEffects& effects, std::uint64_t now_ns);
  void escalate(RecallEffects& effects, std::uint64_t now_ns);
  void signal_left(RecallEffects& effects, RecallEffect::Kind kind, HolderState state);
  void enter(RecallPhase phase, std::uint64_t deadline_ns);
  void end(RecallEffects& effects, RecallOutcome outcome);

  RecallRules rules_;
  RecallPhase phase_ = RecallPhase::asking;
  RecallOutcome outcome_ = RecallOutcome::none;
  std::uint64_t deadline_ns_ = 0;
  std::map<LeaseId, RecallHolder> holders_;
  std::size_t left_ = 0;
};

std::string_view name(RecallPhase value);
std::string_view name(RecallOutcome value);
std::string_view name(HolderState value);

}  // namespace hf
