// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// Gate: armed with every hook by this version, the mount guarded and sealed, and nothing that has passed it.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "lease/seals.hpp"
#include "qualify/checks.hpp"

namespace hf::qualify {

namespace {

std::string point(const Facts& facts) { return quoted(facts.filesystem.point); }

Finding daemon(const Facts& facts) {
  const auto& gate = facts.gate;
  Finding finding{.id = "gate.daemon", .what = "holdfastd is running", .evidence = {"holdfastd " + gate.daemon_version}, .mends = {}};
  if (!gate.daemon) {
    finding.mark = Mark::fail;
    finding.evidence = {gate.daemon_error, "the gate goes on refusing, but breakers go unnamed, and applications get no lease through libholdfast"};
    finding.mends = {"systemctl start holdfastd"};
  } else if (gate.daemon_version != gate.version) {
    finding.mark = Mark::risk;
    finding.evidence.push_back("this is holdfast " + gate.version);
    finding.mends = {"systemctl restart holdfastd"};
  }
  return finding;
}

Finding version(const Facts& facts) {
  const auto& gate = facts.gate;
  Finding finding{.id = "gate.version", .what = "the gate is this version's", .evidence = {}, .mends = {}};
  if (!gate.state_error.empty()) {
    finding.mark = Mark::fail;
    finding.evidence = {gate.state_error};
    finding.mends = {"run holdfast qualify as root"};
  } else if (gate.state.other_version) {
    finding.mark = Mark::fail;
    finding.evidence = {
        fmt::format("its maps in {} are another version's{}", kPinDirectory, gate.state.version.empty() ? "" : " (" + gate.state.version + ")")};
    finding.mends = {"systemctl stop holdfastd; holdfast gate detach --yes && systemctl start holdfastd (protection pauses in between)"};
  } else if (!gate.state.version.empty() && gate.state.version != gate.version) {
    finding.mark = Mark::risk;
    finding.evidence = {fmt::format("armed by Holdfast {}; this is {}", gate.state.version, gate.version)};
    finding.mends = {"systemctl restart holdfastd"};
  } else if (gate.state.version.empty()) {
    finding.mark = Mark::not_applicable;
    finding.evidence = {"there is no gate"};
  } else {
    finding.evidence = {"Holdfast " + gate.state.version};
  }
  return finding;
}

Finding armed(const Facts& facts) {
  const auto& state = facts.gate.state;
  Finding finding{.id = "gate.armed", .what = "the gate is armed with all its hooks, and pinned", .evidence = {}, .mends = {}};
  if (state.armed && facts.gate.state_error.empty()) {
    finding.evidence = {fmt::format("{} hooks pinned in {}", state.hooks.size(), kPinDirectory)};
    if (!state.waiting.empty()) finding.evidence.push_back(fmt::format("attached when their module is loaded: {}", fmt::join(state.waiting, ", ")));
    return finding;
  }
  finding.mark = Mark::fail;
  if (!facts.gate.state_error.empty())
    finding.evidence = {facts.gate.state_error};
  else if (state.hooks.empty())
    finding.evidence = {"nothing is pinned in " + std::string(kPinDirectory)};
  else
    finding.evidence = {fmt::format("missing: {}", fmt::join(state.missing, ", "))};
  finding.mends = {state.hooks.empty() ? "systemctl start holdfastd" : "systemctl restart holdfastd (it attaches what is missing, or arms anew)"};
  return finding;
}

Finding tripwire(const Facts& facts) {
  const auto& gate = facts.gate;
  Finding finding{.id = "gate.tripwire", .what = "a break that passes the gate is seen", .evidence = {}, .mends = {}};
  if (gate.state.hooks.empty()) {
    finding.mark = Mark::not_applicable;
    finding.evidence = {"there is no gate"};
    return finding;
  }
  if (!gate.state.unwatched.empty()) {
    finding.mark = Mark::risk;
    finding.evidence.push_back(fmt::format("not watched, since this kernel has no such function: {}", fmt::join(gate.state.unwatched, ", ")));
    finding.mends.emplace_back("none on this kernel: holdfast gate status lists what is watched");
  }
  if (gate.tripwire_missed + gate.tripwire_blind + gate.denials_lost) {
    finding.mark = Mark::risk;
    finding.evidence.push_back(fmt::format("{} possible breaks not looked at, {} refusals without a name since the gate was armed",
                                           gate.tripwire_missed + gate.tripwire_blind, gate.denials_lost));
    finding.mends.emplace_back("holdfast status names the counters; they begin anew when the gate is armed anew");
  }
  if (finding.evidence.empty()) finding.evidence = {"every choke point is watched, and none was missed"};
  return finding;
}

Finding guarded(const Facts& facts) {
  Finding finding{.id = "gate.guarded", .what = "the mount is guarded", .evidence = {"by its policy"}, .mends = {}};
  const auto& gate = facts.gate;
  const bool is = gate.guarded ? *gate.guarded : gate.policy && gate.policy->guard;
  if (is) {
    if (!gate.guarded) finding.evidence = {"by the configuration; holdfastd can't be asked"};
    return finding;
  }
  finding.mark = Mark::fail;
  finding.evidence = {"registrations on it get no lease"};
  finding.mends = {"holdfast guard " + point(facts)};
  if (facts.filesystem.supported && gate.daemon) finding.fixes = {{Fix::Kind::seal, facts.filesystem.point, ""}};
  return finding;
}

Finding sealed(const Facts& facts) {
  const auto& gate = facts.gate;
  Finding finding{.id = "gate.seals", .what = "the seals are in place that its kind of filesystem wants", .evidence = {}, .mends = {}};
  const auto has = gate.seals ? *gate.seals : gate.policy ? gate.policy->seals : 0;
  finding.evidence = {"sealed against: " + names_of_seals(has)};
  std::vector<std::string> missing;
  for (const auto& name : wanted_seals(facts.filesystem)) {
    const auto mask = seals_from_names(std::vector{name});
    // Only the operations themselves: the calls whose details the gate might not see come with them.
    for (const auto& seal : seals())
      if (seal.name == name && mask && (has & seal.operations) != seal.operations) missing.push_back(name);
  }
  if (!facts.filesystem.supported) finding.mark = Mark::not_applicable;
  if (missing.empty() || !facts.filesystem.supported) return finding;
  finding.mark = Mark::fail;
  finding.evidence.push_back(fmt::format("missing: {}", fmt::join(missing, ", ")));
  std::vector<std::string> all;
  const auto now = names_of_seals(has);
  for (const auto& seal : seals())
    if ((now != "none" && (has & seal.operations) == seal.operations && seal.name != "unknown") ||
        std::find(missing.begin(), missing.end(), seal.name) != missing.end())
      all.emplace_back(seal.name);
  finding.mends = {fmt::format("holdfast guard {} --seal {}", point(facts), fmt::join(all, ","))};
  // Exceptions would be lost: with some it is left to the administrator.
  if (gate.daemon && gate.policy && gate.policy->exceptions.empty())
    finding.fixes = {{Fix::Kind::seal, facts.filesystem.point, fmt::format("{}", fmt::join(all, ","))}};
  return finding;
}

Finding holders(const Facts& facts) {
  Finding finding{.id = "gate.holders", .what = "it is known who may hold, and whom the seals don't bind", .evidence = {}, .mends = {}};
  const auto& policy = facts.gate.policy;
  if (!policy) {
    finding.mark = Mark::not_applicable;
    finding.evidence = {"there is no usable configuration"};
    return finding;
  }
  const auto& who = policy->holders;
  std::vector<std::string> list;
  if (who.writers) list.emplace_back("everyone who can write the file");
  if (who.owner) list.emplace_back("its owner");
  for (const auto uid : who.users) list.push_back(fmt::format("user {}", uid));
  for (const auto gid : who.groups) list.push_back(fmt::format("group {}", gid));
  list.emplace_back("root");
  finding.evidence = {fmt::format("may hold: {}", fmt::join(list, ", "))};
  for (const auto& exception : policy->exceptions)
    finding.evidence.push_back(exception.program.empty() ? fmt::format("the seals don't bind user {}", exception.uid)
                                                         : fmt::format("the seals don't bind {} run by user {}", exception.program, exception.uid));
  if (policy->exceptions.empty()) return finding;
  finding.mark = Mark::risk;
  finding.mends = {fmt::format("holdfast guard {} --seal {}, without --except-user and --except-program", point(facts),
                               policy->seals ? names_of_seals(policy->seals) : "none")};
  std::replace(finding.mends[0].begin() + static_cast<std::ptrdiff_t>(finding.mends[0].find("--seal ") + 7),
               finding.mends[0].begin() + static_cast<std::ptrdiff_t>(finding.mends[0].find(", without")), ' ', ',');
  return finding;
}

Finding configuration(const Facts& facts) {
  Finding finding{.id = "gate.configuration", .what = "the configuration can be used", .evidence = {}, .mends = {}};
  for (const auto& [file, digest] : facts.configuration) finding.evidence.push_back(fmt::format("{} (sha256 {:.16}...)", file, digest));
  if (finding.evidence.empty()) finding.evidence = {"there is none: the defaults hold"};
  if (facts.gate.configuration_errors.empty()) return finding;
  finding.mark = Mark::fail;
  finding.evidence = facts.gate.configuration_errors;
  finding.mends = {"holdfast config check, mend what it names, then holdfast reload"};
  return finding;
}

Finding registrations(const Facts& facts) {
  Finding finding{.id = "gate.registrations", .what = "every registration on it is protected", .evidence = facts.gate.unprotected, .mends = {}};
  if (facts.gate.unprotected.empty()) {
    finding.evidence = {"none is without a lease"};
    return finding;
  }
  finding.mark = Mark::fail;
  finding.mends = {"holdfast registrations says why each is not, and what mends it"};
  return finding;
}

Finding escapes(const Facts& facts) {
  Finding finding{.id = "gate.escapes", .what = "no leased layout was broken on it", .evidence = facts.gate.escapes, .mends = {}};
  if (facts.gate.escapes.empty()) {
    finding.evidence = {"no escape is on record"};
    return finding;
  }
  finding.mark = Mark::risk;
  finding.mends = {"holdfast escapes names each breaker: find what it was, and keep it from happening again"};
  return finding;
}

constexpr std::array kChecks{Check{daemon}, Check{version}, Check{armed},         Check{tripwire},      Check{guarded},
                             Check{sealed}, Check{holders}, Check{configuration}, Check{registrations}, Check{escapes}};

}  // namespace

std::span<const Check> gate_checks() { return kChecks; }

}  // namespace hf::qualify
