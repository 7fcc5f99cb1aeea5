// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// The probes of the observer and of the tripwire in modules, as kprobe events of tracefs.
//
// Why not fentry: a tracing program holds a reference on the module of the function that it is attached to, so the modules could no longer be unloaded,
// and it can't be attached before the module is there. A kprobe event named MODULE:FUNCTION may be made before its module is loaded; the kernel arms it in
// the module notifier, before the module's own initialisation runs (trace_kprobe_module_callback()), and lets the module go.
#pragma once

#include <string>
#include <vector>

#include "base/fd.hpp"
#include "base/result.hpp"
#include "kernel/kallsyms.hpp"

namespace hf {

struct Probe {
  std::string event;    ///< in the group "holdfast"
  std::string program;  ///< the BPF program that it runs
  std::string target;   ///< FUNCTION or MODULE:FUNCTION
  bool on_return = false;
};

/// The probes that this kernel gets: of functions in the kernel or in loaded modules, exactly those; while their modules are not loaded, all that may come.
/// @errors ENOTSUP where the RDMA core is loaded but none of the known pinning functions is in it.
Result<std::vector<Probe>> probes_of_kernel(const Kallsyms& kallsyms);
/// Functions that the tripwire would watch and that are not there (inlined, or of another kernel).
std::vector<std::string> absent_chokes(const Kallsyms& kallsyms);
/// Targets whose module is not loaded yet.
std::vector<std::string> waiting_probes(const std::vector<Probe>& probes, const Kallsyms& kallsyms);

/// Makes the event if it is not there, and opens it. The descriptor is a perf event for bpf_program__attach_perf_event().
Result<Fd> open_probe(const Probe& probe);
/// How often the tripwire's probes were hit when they could not run.
Result<std::uint64_t> probes_missed();
/// Removes every event of the group. Those still in use stay and are named in the error.
Status remove_probes();

}  // namespace hf
