// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// Adapters: can files of this mount be registered, in their whole size, and can a region be fenced?
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "qualify/checks.hpp"

namespace hf::qualify {

namespace {

constexpr std::uint64_t kSmallMemlock = 64ull << 20;

Finding none(std::string id, std::string what, const Facts& facts) {
  return {.id = std::move(id),
          .what = std::move(what),
          .mark = Mark::not_applicable,
          .evidence = {facts.adapters_error.empty() ? "this machine has no RDMA adapter" : facts.adapters_error},
          .mends = {}};
}

std::uint64_t largest(const Facts& facts) {
  std::uint64_t most = 0;
  for (const auto& file : facts.filesystem.files) most = std::max(most, file.size_bytes);
  return most;
}

Finding plans(const Facts& facts) {
  Finding finding{.id = "adapters.plans", .what = "files of this mount can be registered on each adapter", .evidence = {}, .mends = {}};
  if (facts.adapters.empty()) return none(finding.id, finding.what, facts);
  for (const auto& adapter : facts.adapters) {
    const auto word = [](const PlanFacts& plan) { return plan.tried ? plan.plan : "not tried"; };
    finding.evidence.push_back(fmt::format("{}: {} to write, {} to read", adapter.name, word(adapter.writer), word(adapter.reader)));
    const auto& bad = adapter.writer.plan == "refused" || !adapter.writer.tried ? adapter.writer : adapter.reader;
    if (bad.tried && bad.plan != "refused") continue;
    if (!bad.reason.empty()) finding.evidence.push_back(fmt::format("{}: {}", adapter.name, bad.reason));
    if (!bad.tried) {
      if (finding.mark == Mark::pass) finding.mark = Mark::risk;
    } else {
      finding.mark = Mark::fail;
    }
    finding.mends.push_back(!bad.mend.empty() ? bad.mend : fmt::format("holdfast devices {} says what was tried", adapter.name));
  }
  return finding;
}

Finding odp(const Facts& facts) {
  Finding finding{.id = "adapters.odp", .what = "an adapter for FS-DAX has On-Demand Paging", .evidence = {}, .mends = {}};
  if (facts.adapters.empty()) return none(finding.id, finding.what, facts);
  const bool needed = facts.filesystem.kind & (kDax | kPageCache);
  if (!needed) finding.mark = Mark::not_applicable;
  for (const auto& adapter : facts.adapters) {
    finding.evidence.push_back(fmt::format("{}: {}", adapter.name, adapter.odp ? "ODP" : "no ODP"));
    if (needed && !adapter.odp && adapter.writer.plan == "refused") {
      finding.mark = Mark::fail;
      finding.mends.push_back(fmt::format("use an adapter with ODP in place of {}, or tmpfs or hugetlbfs for what it registers", adapter.name));
    }
  }
  return finding;
}

Finding fence(const Facts& facts) {
  Finding finding{.id = "adapters.fence", .what = "a region can be made unreachable without ending its process", .evidence = {}, .mends = {}};
  if (facts.adapters.empty()) return none(finding.id, finding.what, facts);
  for (const auto& adapter : facts.adapters) {
    finding.evidence.push_back(fmt::format("{}: {}", adapter.name,
                                           !adapter.fence   ? "not tried: " + adapter.fence_detail
                                           : *adapter.fence ? "by " + adapter.fence_detail
                                                            : "no way found"));
    if (adapter.fence.value_or(false)) continue;
    finding.mark = Mark::risk;
    finding.mends.push_back(fmt::format("on {} a recall ends in ending the holder: set escalation in [recall] of holdfast.toml(5) accordingly", adapter.name));
  }
  return finding;
}

Finding region_size(const Facts& facts) {
  Finding finding{.id = "adapters.region-size", .what = "the largest file fits into one region", .evidence = {}, .mends = {}};
  if (facts.adapters.empty()) return none(finding.id, finding.what, facts);
  const auto most = largest(facts);
  for (const auto& adapter : facts.adapters) {
    finding.evidence.push_back(fmt::format(
        "{}: {}", adapter.name, adapter.region_bytes == UINT64_MAX ? "regions of any size" : "regions of at most " + bytes_text(adapter.region_bytes)));
    if (!adapter.region_bytes || adapter.region_bytes >= most) continue;
    finding.mark = Mark::fail;
    finding.mends.push_back(fmt::format("register files in pieces of {} on {}", bytes_text(adapter.region_bytes), adapter.name));
  }
  finding.evidence.push_back("largest file named or leased: " + bytes_text(most));
  return finding;
}

Finding memlock(const Facts& facts) {
  Finding finding{.id = "adapters.memlock", .what = "the limit of locked memory is enough for what is registered", .evidence = {}, .mends = {}};
  if (facts.adapters.empty()) return none(finding.id, finding.what, facts);
  finding.evidence = {fmt::format("RLIMIT_MEMLOCK here: {}; files named and leased: {}", bytes_text(facts.memlock_bytes), bytes_text(facts.needed_bytes))};
  const bool short_of = facts.memlock_bytes < facts.needed_bytes;
  if (!short_of && facts.memlock_bytes >= kSmallMemlock) return finding;
  finding.mark = short_of ? Mark::fail : Mark::risk;
  finding.evidence.emplace_back("a process with CAP_IPC_LOCK is not bound by it; others get ENOMEM from ibv_reg_mr");
  finding.mends = {"ulimit -l unlimited; for users: echo '* - memlock unlimited' > /etc/security/limits.d/90-rdma.conf; for a service: LimitMEMLOCK=infinity"};
  return finding;
}

Finding other_pins(const Facts& facts) {
  Finding finding{.id = "adapters.other-pins", .what = "memory is pinned in no way that is not observed", .evidence = facts.unobserved, .mends = {}};
  if (facts.unobserved.empty()) {
    finding.evidence = {"none of them is in use, as far as can be seen"};
    return finding;
  }
  finding.mark = Mark::risk;
  finding.mends = {"holdfast devices says more; hold such files: holdfast hold FILE --persist"};
  return finding;
}

constexpr std::array kChecks{Check{plans}, Check{odp}, Check{fence}, Check{region_size}, Check{memlock}, Check{other_pins}};

}  // namespace

std::span<const Check> adapter_checks() { return kChecks; }

}  // namespace hf::qualify
