// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "daemon/metrics_sources.hpp"

#include "catalog/break_sources.hpp"
#include "daemon/words.hpp"

namespace hf {
namespace {

void write_node(MetricsText& out, const ServerFacts& server, const NodeIdentity& node) {
  out.gauge("holdfast_build_info", "Version of holdfastd and of the layout of what is pinned.");
  out.sample(1.0, {{"version", server.version}, {"abi", std::to_string(HF_ABI_VERSION)}});
  out.gauge("holdfast_node_info", "Which machine this is.");
  out.sample(1.0, {{"node", node.name}, {"machine", node.machine}, {"boot", node.boot}});
  out.gauge("holdfast_uptime_seconds", "How long this holdfastd has run.");
  out.sample(static_cast<double>(boot_time_ns() - server.started_ns) / 1e9);
}

void write_gate(MetricsText& out, const Core& core) {
  const auto meta = core.gate().meta();
  out.gauge("holdfast_gate_up", "Can the gate's state be read?");
  out.sample(meta ? 1.0 : 0.0);
  out.gauge("holdfast_gate_complete", "0: programs that were taken over decide, and are not yet known to be complete and of this holdfastd.");
  out.sample(core.gate().incomplete() ? 0.0 : 1.0);
  if (!meta) return;
  out.counter("holdfast_gate_decisions", "Operations that the gate looked at, since it was armed.");
  out.sample(meta->denials, {{"decision", "refused"}});
  out.sample(meta->passed, {{"decision", "passed"}});
  out.counter("holdfast_escapes", "Breaks of leased bytes that nothing refused, since the gate was armed.");
  out.sample(meta->escapes);
  out.counter("holdfast_events_lost", "Events that found a buffer of the kernel full; what they tell of happened all the same.");
  out.sample(meta->denials_lost, {{"buffer", "denials"}});
  out.sample(meta->escapes_lost, {{"buffer", "escapes"}});
  out.sample(meta->lifecycle_lost, {{"buffer", "lifecycle"}});
  out.counter("holdfast_registrations_seen", "Registrations of RDMA memory since the gate was armed.");
  out.sample(meta->registrations);
  out.counter("holdfast_registrations_seen_unprotected", "Those of them that got no lease, though their file should have had one.");
  out.sample(meta->unprotected);
  out.counter("holdfast_hints_missed", "Decisions made from the call stack, on the whole file.");
  out.sample(meta->hints_missed);
  out.counter("holdfast_tripwire_blind", "Breaks whose file the tripwire could not tell.");
  out.sample(meta->tripwire_blind);
  if (const auto missed = core.gate().tripwire_missed()) {
    out.counter("holdfast_tripwire_missed", "Times that the kernel skipped a probe of the tripwire.");
    out.sample(*missed);
  }
}

void write_rings(MetricsText& out, const Core& core) {
  const auto fills = core.gate().ring_fill();
  out.gauge("holdfast_ring_buffer_waiting_bytes", "What waits in a buffer of the kernel to be read.");
  for (const auto& fill : fills) out.sample(fill.waiting_bytes, {{"buffer", fill.name + 3}});
  out.gauge("holdfast_ring_buffer_size_bytes", "What it holds.");
  for (const auto& fill : fills) out.sample(fill.size_bytes, {{"buffer", fill.name + 3}});
}

/// Without kernel.bpf_stats_enabled=1 there is nothing to tell.
void write_programs(MetricsText& out, const Core& core) {
  auto times = core.gate().program_times();
  std::erase_if(times, [](const Gate::ProgramTime& time) { return !time.runs; });
  if (times.empty()) return;
  out.counter("holdfast_program_runs", "How often a program of the gate ran while the kernel counted.");
  for (const auto& time : times) out.sample(time.runs, {{"program", time.name}});
  out.counter("holdfast_program_run_seconds", "How long it ran.");
  for (const auto& time : times) out.sample(static_cast<double>(time.run_ns) / 1e9, {{"program", time.name}});
}

void write_table(MetricsText& out, const Core& core) {
  std::map<std::string_view, std::uint64_t> kinds{{"registration", 0}, {"process", 0}, {"static", 0}};
  std::map<std::string_view, std::uint64_t> states{{"protected", 0}, {"observed", 0}, {"unprotected", 0}, {"pinning", 0}};
  for (const auto& [id, lease] : core.table().leases()) {
    kinds[kind_word(lease.holder.kind)]++;
    if (lease.holder.kind == HF_LEASE_REGISTRATION) states[state_word(lease.state)]++;
  }
  out.gauge("holdfast_leases", "Leases that stand.");
  for (const auto& [kind, count] : kinds) out.sample(count, {{"kind", std::string(kind)}});
  out.gauge("holdfast_registrations", "Registrations over files, by what protects them.");
  for (const auto& [state, count] : states) out.sample(count, {{"state", std::string(state)}});
  out.gauge("holdfast_leased_files", "Files with leases.");
  out.sample(static_cast<std::uint64_t>(core.table().files().size()));
  std::uint64_t guarded = 0, sealed = 0;
  for (const auto& [device, filesystem] : core.guards().filesystems()) {
    guarded += core.guards().of(device).guard;
    sealed += core.guards().of(device).seals != 0;
  }
  out.gauge("holdfast_guarded_filesystems", "Mounted filesystems that are guarded.");
  out.sample(guarded);
  out.gauge("holdfast_sealed_filesystems", "Those with seals.");
  out.sample(sealed);
}

void write_journal(MetricsText& out, const Journal& journal) {
  const auto figures = journal.figures();
  out.gauge("holdfast_journal_up", "Can the journal be written?");
  out.sample(figures.trouble.empty() ? 1.0 : 0.0);
  out.gauge("holdfast_journal_lag_seconds", "How long the oldest entry has waited to be written.");
  out.sample(static_cast<double>(figures.lag_ms) / 1000);
  out.gauge("holdfast_journal_waiting_entries", "How many wait.");
  out.sample(figures.waiting);
  out.gauge("holdfast_journal_size_bytes", "Of the database.");
  out.sample(figures.bytes);
  out.counter("holdfast_journal_entries", "Entries written.");
  out.sample(figures.written);
  out.counter("holdfast_journal_lost_entries", "Entries that found no room and are only counted.");
  out.sample(figures.lost);
}

}  // namespace

std::string metrics_text(MetricsText::Form form, const Core& core, const ServerFacts& server, const Passing& passing, const Journal* journal,
                         const NodeIdentity& node) {
  MetricsText out(form);
  write_node(out, server, node);
  write_gate(out, core);
  write_rings(out, core);
  write_programs(out, core);
  write_table(out, core);
  out.counter("holdfast_denials", "Refusals that this holdfastd heard of, by what was tried.");
  for (const auto& [op, count] : passing.denials) out.sample(count, {{"source", std::string(op_name(op))}});
  out.histogram("holdfast_denial_delay_seconds", "From a refusal in the kernel until holdfastd has named its breaker.");
  passing.denial_delay.write(out);
  out.gauge("holdfast_connections", "Clients of holdfastd.");
  out.sample(static_cast<std::uint64_t>(server.connections));
  out.gauge("holdfast_watchers", "Those of them that watch.");
  out.sample(static_cast<std::uint64_t>(server.watchers));
  if (journal) write_journal(out, *journal);
  return std::move(out).text();
}

}  // namespace hf
