// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// Proof: what came of trying every break source on this very mount.
#include <fmt/format.h>

#include <array>

#include "qualify/checks.hpp"

namespace hf::qualify {

namespace {

Finding probe(const Facts& facts) {
  const auto& proof = facts.proof;
  Finding finding{.id = "proof.probe", .what = "every break source was tried on scratch files, and refused as the catalogue says", .evidence = {}, .mends = {}};
  const auto again = "holdfast probe " + quoted(facts.filesystem.point);
  if (!proof.asked) {
    finding.mark = Mark::risk;
    finding.evidence = {"not tried (--no-probe): nothing is proved"};
    finding.mends = {"holdfast qualify " + quoted(facts.filesystem.point)};
    return finding;
  }
  if (!proof.error.empty()) {
    finding.mark = Mark::fail;
    finding.evidence = {"it could not be done: " + proof.error};
    finding.mends = {again};
    return finding;
  }
  finding.evidence = {fmt::format("{} trials in {:.0f} s: {} open sources, {} unnamed refusals, {} differences from the catalogue", proof.trials, proof.seconds,
                                  proof.open, proof.unnamed, proof.differences)};
  if (proof.known_open)
    finding.evidence.push_back(fmt::format("{} broke a leased layout by sources that nothing can refuse, as the catalogue says", proof.known_open));
  if (!proof.open && !proof.unnamed && !proof.differences && proof.trials) return finding;
  finding.mark = Mark::fail;
  finding.evidence.insert(finding.evidence.end(), proof.examples.begin(), proof.examples.end());
  finding.mends = {again + " shows all of them; do not rely on this mount until they are understood"};
  return finding;
}

Finding soak(const Facts& facts) {
  const auto& proof = facts.proof;
  Finding finding{.id = "proof.soak", .what = "no remote write was lost while everything was tried for long", .evidence = {}, .mends = {}};
  if (!proof.soak_s) {
    finding.mark = Mark::not_applicable;
    finding.evidence = {"not asked for: --soak 10m"};
    return finding;
  }
  finding.evidence = {fmt::format("{} s; {} RDMA writes into a leased file, {} lost", *proof.soak_s, proof.rdma_writes, proof.rdma_lost)};
  if (!proof.rdma_error.empty()) finding.evidence.push_back(proof.rdma_error);
  if (proof.rdma_lost) {
    finding.mark = Mark::fail;
    finding.mends = {"do not rely on this mount; holdfast escapes and the kernel's log say what happened"};
  } else if (!proof.rdma_writes) {
    finding.mark = Mark::risk;
    finding.mends = {"holdfast devices says whether files of this mount can be registered"};
  }
  return finding;
}

constexpr std::array kChecks{Check{probe}, Check{soak}};

}  // namespace

std::span<const Check> proof_checks() { return kChecks; }

}  // namespace hf::qualify
