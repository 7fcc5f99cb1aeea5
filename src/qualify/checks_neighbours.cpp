// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// Neighbours: what would break a layout by itself, some night. What a seal refuses is a risk only: it will be refused, and will complain.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "lease/seals.hpp"
#include "qualify/checks.hpp"

namespace hf::qualify {

namespace {

bool has_seal(const Facts& facts, std::string_view name) {
  const auto has = facts.gate.seals ? *facts.gate.seals : facts.gate.policy ? facts.gate.policy->seals : 0;
  for (const auto& seal : seals())
    if (seal.name == name) return (has & seal.operations) == seal.operations;
  return false;
}

/// Programs of one kind. @param worst what they mean where nothing refuses them
Finding programs(const Facts& facts, std::string id, std::string what, Hazard hazard, Mark worst, std::string_view seal) {
  Finding finding{.id = std::move(id), .what = std::move(what), .evidence = {}, .mends = {}};
  for (const auto& one : facts.neighbours.programs) {
    if (one.hazard != hazard) continue;
    const auto* known = find_hazard(one.program);
    finding.evidence.push_back(fmt::format("{} runs {}, which {}: {}", one.where, one.program, known ? known->does : "is not known", one.command));
    const bool refused = !seal.empty() && has_seal(facts, seal);
    if (finding.mark == Mark::pass) finding.mark = Mark::risk;
    if (!refused && worst == Mark::fail) finding.mark = Mark::fail;
    if (one.unit.empty()) {
      const auto colon = one.where.rfind(':');
      finding.mends.push_back(fmt::format("sed -i '{}s/^/#/' {}", one.where.substr(colon + 1), quoted(one.where.substr(0, colon))));
    } else {
      finding.mends.push_back("systemctl mask --now " + quoted(one.unit));
      const Fix fix{Fix::Kind::unit, one.unit, ""};
      if (std::find(finding.fixes.begin(), finding.fixes.end(), fix) == finding.fixes.end()) finding.fixes.push_back(fix);
    }
    if (refused) finding.evidence.push_back(fmt::format("the seal {} refuses it", seal));
  }
  if (finding.evidence.empty()) finding.evidence = {"no unit, timer or cron job"};
  return finding;
}

Finding defragmentation(const Facts& facts) {
  return programs(facts, "neighbours.defragmentation", "nothing defragments it", Hazard::defragment, Mark::fail, "exchange");
}
Finding scrub(const Facts& facts) {
  return programs(facts, "neighbours.scrub", "nothing scrubs or repairs it", Hazard::scrub, (facts.filesystem.kind & kPageCache) ? Mark::fail : Mark::risk, "");
}
Finding trim(const Facts& facts) {
  return programs(facts, "neighbours.fstrim", "nothing trims it", Hazard::trim, facts.filesystem.loops.empty() ? Mark::risk : Mark::fail, "");
}
Finding dedupe(const Facts& facts) {
  return programs(facts, "neighbours.dedupe", "nothing deduplicates it", Hazard::dedupe, facts.filesystem.reflink.value_or(false) ? Mark::fail : Mark::risk,
                  "dedupe");
}
Finding backup(const Facts& facts) { return programs(facts, "neighbours.backup", "no snapshot or backup tool works on it", Hazard::backup, Mark::risk, ""); }

Finding copytruncate(const Facts& facts) {
  Finding finding{.id = "neighbours.copytruncate", .what = "logrotate truncates nothing on it", .evidence = {}, .mends = {}};
  for (const auto& one : facts.neighbours.copytruncates) {
    finding.mark = has_seal(facts, "truncate") ? Mark::risk : Mark::fail;
    finding.evidence.push_back(fmt::format("{}: copytruncate of {}", one.where, one.pattern));
    finding.mends.push_back(
        fmt::format("take copytruncate out of {} (create, or a postrotate that has the program open it anew)", one.where.substr(0, one.where.rfind(':'))));
  }
  if (finding.evidence.empty()) finding.evidence = {"no copytruncate for files of it"};
  return finding;
}

Finding tmpfiles(const Facts& facts) {
  Finding finding{.id = "neighbours.tmpfiles", .what = "systemd-tmpfiles removes and truncates nothing on it", .evidence = {}, .mends = {}};
  for (const auto& one : facts.neighbours.rules) {
    const bool truncates = one.type.starts_with('F') || one.type.starts_with("f+") || one.type.starts_with('w');
    if (truncates && !has_seal(facts, "truncate")) finding.mark = Mark::fail;
    if (finding.mark == Mark::pass) finding.mark = Mark::risk;
    finding.evidence.push_back(fmt::format("{}: {} {} ({})", one.where, one.type, one.path,
                                           truncates ? "truncates" : "removes: the blocks stay while a region is open, the name goes"));
    finding.mends.push_back(fmt::format("take the line out of {}, or put an empty file of that name into /etc/tmpfiles.d", one.where));
  }
  if (finding.evidence.empty()) finding.evidence = {"no rule touches it"};
  return finding;
}

Finding writers(const Facts& facts) {
  Finding finding{.id = "neighbours.writers", .what = "no other program has leased or named files open for writing", .evidence = {}, .mends = {}};
  if (facts.filesystem.files.empty()) {
    finding.mark = Mark::not_applicable;
    finding.evidence = {"no file was named, and none is leased"};
    return finding;
  }
  for (const auto& writer : facts.writers) {
    finding.mark = Mark::risk;
    finding.evidence.push_back(fmt::format("{} (process {}) has {} open for writing", writer.comm, writer.pid, writer.path));
    finding.mends.push_back(fmt::format("ps -fp {}; stop it, or have it open the file for reading", writer.pid));
  }
  if (finding.evidence.empty()) finding.evidence = {"none but their holders"};
  return finding;
}

constexpr std::array kChecks{Check{defragmentation}, Check{scrub},        Check{trim},     Check{dedupe},
                             Check{backup},          Check{copytruncate}, Check{tmpfiles}, Check{writers}};

}  // namespace

std::span<const Check> neighbour_checks() { return kChecks; }

}  // namespace hf::qualify
