// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// What the catalogue expects of a trial, and the report as JSON.
#include <cstring>

#include "catalog/break_sources.hpp"
#include "lease/seals.hpp"
#include "qualify/probe.hpp"

namespace hf::qualify {

namespace {

using actions::Action;
using actions::Place;
using actions::Route;
using actions::Verdict;

std::string errno_word(int error) {
  const char* word = strerrorname_np(error);
  return word ? word : std::to_string(error);
}

std::string outcome_text(const Trial& trial) {
  if (trial.attempt.outcome.error == 0) return "allowed";
  return fmt::format("{} ({}: {})", name(trial.verdict), errno_word(trial.attempt.outcome.error), trial.attempt.outcome.detail);
}

/// Can the action be tried here at all: surely, perhaps, or not?
enum class Runs { yes, perhaps, no };
Runs runs(const Trial& trial, const Place& place) {
  const Action& action = *trial.action;
  if (!has(needs(trial.route, action), place)) return Runs::no;
  if (action.runs & place.where) return Runs::yes;
  return action.may_run & place.where ? Runs::perhaps : Runs::no;
}

bool same_seal(std::string_view one, std::string_view other) {
  const auto *a = find_break_source(one), *b = find_break_source(other);
  return a && b && !seal_of(a->op).empty() && seal_of(a->op) == seal_of(b->op);
}

void check_refused(const Trial& trial, std::vector<std::string>& wrong) {
  const int error = trial.attempt.outcome.error;
  // Calls that name their second file by a number are refused to the holder as to anyone: the gate does not know whose file it is.
  const bool fine = error == ETXTBSY || (trial.route == Route::holder && error == EDEADLK);
  if (!fine) wrong.push_back(fmt::format("should be refused with ETXTBSY: {}", outcome_text(trial)));
  if (!fine) return;
  if (trial.denials.empty()) {
    wrong.emplace_back("nobody was named for the refusal");
    return;
  }
  if (!trial.named) wrong.emplace_back("the breaker is not wholly named");
  // A source without an operation of the gate's own is refused as the one by which it came; a seal refuses on whichever of the files comes first.
  const BreakSource* source = find_break_source(trial.action->source);
  const bool own = !source || source->op == HF_OP_NONE || trial.denials.front() == trial.action->source;
  if (!own && !(trial.sealed && same_seal(trial.denials.front(), trial.action->source)))
    wrong.push_back(fmt::format("was reported as {}, not as {}", trial.denials.front(), trial.action->source));
}

}  // namespace

std::vector<std::string> differences(const Trial& trial, const Place& place, bool tripwire) {
  std::vector<std::string> wrong;
  const Action& action = *trial.action;
  if (!trial.attempt.reached) return wrong;  // the route, not the action
  const Runs can = runs(trial, place);
  const bool refusable = (trial.leased || trial.sealed) && (action.refused & place.where);
  const bool ran = trial.verdict == Verdict::allowed;
  const bool by_seal = trial.verdict == Verdict::refused && trial.by_seal;
  if (trial.verdict == Verdict::cannot_run) {
    if (can == Runs::yes) wrong.push_back(fmt::format("should be able to run here: {}", outcome_text(trial)));
  } else if (by_seal && !trial.leased) {
    // What the administrator has asked for, controls among it: a punch beside the range is one on the mount all the same.
    if (!trial.named) wrong.emplace_back("the breaker is not wholly named");
  } else if (refusable) {
    check_refused(trial, wrong);
  } else if (can == Runs::no && ran) {
    wrong.push_back(fmt::format("ran, though the catalogue says that it cannot: {}", text(needs(trial.route, action))));
  } else if (!ran && !by_seal && can != Runs::no) {
    wrong.push_back(fmt::format("should be allowed: {}", outcome_text(trial)));
  }

  if (action.is(actions::kPerhaps)) return wrong;
  const bool moves = ran && actions::moves(action, place);
  if (moves && trial.changed.empty()) wrong.emplace_back("should have changed the layout, and did not");
  if (!moves && !trial.changed.empty()) wrong.push_back(fmt::format("changed the layout: {}", trial.changed));
  if (tripwire && !trial.changed.empty() && trial.choke_points.empty()) wrong.emplace_back("unseen: no choke point saw the layout change");
  if (trial.escaped && trial.changed.empty()) wrong.emplace_back("a false escape: the layout is as it was");
  if (trial.leased && tripwire && !trial.changed.empty() && !trial.escaped) wrong.emplace_back("no escape was reported of a break of leased bytes");
  return wrong;
}

Json to_json(const ProbeReport& report) {
  Json trials = Json::array();
  for (const Trial& trial : report.trials) {
    Json entry{{"source", trial.action->source},
               {"action", trial.action->name},
               {"call", trial.action->call},
               {"route", name(trial.route)},
               {"leased", trial.leased},
               {"result", trial.attempt.reached ? name(trial.verdict) : "no such route"},
               {"error", trial.attempt.outcome.error ? Json(errno_word(trial.attempt.outcome.error)) : Json()},
               {"detail", trial.attempt.outcome.detail},
               {"changed", trial.changed.empty() ? Json() : Json(trial.changed)},
               {"denials", trial.denials},
               {"named", trial.named},
               {"escape", trial.escaped},
               {"choke_points", trial.choke_points},
               {"differences", trial.differences}};
    trials.push_back(std::move(entry));
  }
  return {{"schema", "holdfast.probe/1"},
          {"kernel", report.kernel},
          {"directory", report.directory},
          {"filesystem", name(report.place.where)},
          {"reflink", report.place.reflink},
          {"exchange_range", report.place.exchange},
          {"tripwire", report.tripwire},
          {"seed", report.seed ? Json(*report.seed) : Json()},
          {"seconds", report.seconds},
          {"tried", report.trials.size()},
          {"differences", report.differences()},
          {"unnamed", report.unnamed()},
          {"open", report.open()},
          {"known_open", report.known_open()},
          {"trials", std::move(trials)}};
}

}  // namespace hf::qualify
