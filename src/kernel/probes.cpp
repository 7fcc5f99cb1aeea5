// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "kernel/probes.hpp"

#include <fcntl.h>
#include <linux/perf_event.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <fstream>
#include <thread>

namespace hf {
namespace {

constexpr const char* kEvents = "/sys/kernel/tracing/kprobe_events";
// Calls that sleep between entry and return, on all processors together, before returns would be missed (KRETPROBE_MAXACTIVE_MAX is 4096).
constexpr int kReturnsInFlight = 1024;
constexpr int kFreeTries = 200;
constexpr std::chrono::milliseconds kFreeWait{10};

struct Candidate {
  const char* function;
  const char* entry;      // program at entry, or null
  const char* on_return;  // program at return, or null
  bool pins;              // one of those that must exist where the RDMA core is loaded
};
// All of them take (struct ib_device *, address, size, access) where they have an entry program.
constexpr std::array kCandidates = {
    Candidate{"ib_umem_get", "hf_pin_entry", "hf_pin_return", true},
    Candidate{"__ib_umem_get_va", "hf_pin_entry", "hf_pin_return", true},  // where ib_umem_get_desc() replaced it (7.3)
    Candidate{"ib_umem_odp_get", "hf_odp_entry", "hf_odp_return", false},
    Candidate{"ib_umem_odp_alloc_implicit", nullptr, "hf_odp_implicit_return", false},
    Candidate{"ib_umem_release", "hf_release", nullptr, false},
    Candidate{"ib_umem_odp_release", "hf_release", nullptr, false},
};
// Where the functions live: in ib_uverbs (6.1, 6.12) or in ib_core (7.3).
constexpr std::array kModules = {"ib_uverbs", "ib_core"};

/// A choke point of the tripwire.
struct Choke {
  const char* module;  ///< "" for the kernel itself
  const char* function;
  const char* program;
  bool everywhere = true;  ///< false: only some kernels have it, under that name
};
constexpr std::array kChokes = {
    Choke{"", "truncate_inode_pages_range", "hf_trip_truncate_pages"},
    Choke{"", "invalidate_inode_pages2_range", "hf_trip_invalidate_pages"},
    Choke{"", "folio_unmap_invalidate", "hf_trip_invalidate_folio", false},
    Choke{"", "shmem_undo_range", "hf_trip_shmem"},
    Choke{"", "remove_inode_hugepages", "hf_trip_hugetlb"},
    Choke{"", "mf_dax_kill_procs", "hf_trip_poison_dax", false},
    Choke{"", "generic_error_remove_folio", "hf_trip_poison_folio", false},
    Choke{"", "shmem_error_remove_folio", "hf_trip_poison_folio", false},
    Choke{"", "hugetlbfs_error_remove_folio", "hf_trip_poison_folio", false},
    Choke{"", "generic_error_remove_page", "hf_trip_poison_page", false},
    Choke{"", "shmem_error_remove_page", "hf_trip_poison_page", false},
    Choke{"", "hugetlbfs_error_remove_page", "hf_trip_poison_huge_page", false},
    Choke{"xfs", "__xfs_bunmapi", "hf_trip_xfs_unmap"},
    Choke{"xfs", "xfs_reflink_remap_blocks", "hf_trip_xfs_share"},
    Choke{"xfs", "xfs_swap_extents", "hf_trip_xfs_swap"},
    Choke{"ext4", "ext4_ext_remove_space", "hf_trip_ext4_remove"},
    Choke{"ext4", "ext4_swap_extents", "hf_trip_ext4_swap"},
    Choke{"ext4", "ext4_ext_shift_extents", "hf_trip_ext4_shift"},
    Choke{"ext4", "ext4_ind_remove_space", "hf_trip_ext4_indirect"},
};

void add(std::vector<Probe>& probes, const Candidate& candidate, const std::string& module) {
  auto target = module.empty() ? std::string(candidate.function) : module + ":" + candidate.function;
  auto name = (module.empty() ? std::string("kernel") : module) + "_" + candidate.function;
  if (candidate.entry) probes.push_back({"entry_" + name, candidate.entry, target, false});
  if (candidate.on_return) probes.push_back({"return_" + name, candidate.on_return, target, true});
}

bool loaded(const char* module) { return ::access((std::string("/sys/module/") + module).c_str(), F_OK) == 0; }

/// false: its module may come yet
bool should_be_there(const Choke& choke) { return !*choke.module || loaded(choke.module); }

Status write_events(const std::string& line) {
  Fd fd(::open(kEvents, O_WRONLY | O_APPEND | O_CLOEXEC));
  if (!fd) return sys_error(errno, "open", kEvents, "observing registrations needs kprobe events (CONFIG_KPROBE_EVENTS)");
  if (::write(fd.get(), line.data(), line.size()) != static_cast<ssize_t>(line.size()))
    return sys_error(errno, "write", fmt::format("'{}' to {}", line, kEvents));
  return {};
}

std::string event_id_path(const Probe& probe) { return fmt::format("/sys/kernel/tracing/events/holdfast/{}/id", probe.event); }

}  // namespace

Result<std::vector<Probe>> probes_of_kernel(const Kallsyms& kallsyms) {
  std::vector<Probe> probes;
  bool pins = false;
  for (const auto& candidate : kCandidates) {
    if (const auto* symbol = kallsyms.find(candidate.function)) {
      add(probes, candidate, symbol->module);
      pins |= candidate.pins;
      continue;
    }
    for (const char* module : kModules)
      if (!loaded(module)) {
        add(probes, candidate, module);
        pins |= candidate.pins;
      }
  }
  if (!pins)
    return fail(
        ENOTSUP,
        "this kernel's RDMA core has none of the pinning functions that Holdfast knows (ib_umem_get, __ib_umem_get_va), so registrations could not be observed",
        "report the kernel's version; leases through libholdfast and 'holdfast hold' would need no observer");
  for (const auto& choke : kChokes) {
    const auto* symbol = kallsyms.find(choke.function);
    if (!symbol && should_be_there(choke)) continue;
    const std::string module = symbol ? symbol->module : choke.module;
    probes.push_back({std::string("trip_") + choke.function, choke.program, module.empty() ? choke.function : module + ":" + choke.function});
  }
  return probes;
}

std::vector<std::string> absent_chokes(const Kallsyms& kallsyms) {
  std::vector<std::string> absent;
  for (const auto& choke : kChokes)
    if (choke.everywhere && !kallsyms.find(choke.function) && should_be_there(choke)) absent.emplace_back(choke.function);
  return absent;
}

std::vector<std::string> waiting_probes(const std::vector<Probe>& probes, const Kallsyms& kallsyms) {
  std::vector<std::string> waiting;
  for (const auto& probe : probes) {
    auto colon = probe.target.find(':');
    auto function = colon == std::string::npos ? probe.target : probe.target.substr(colon + 1);
    if (!kallsyms.find(function) && std::find(waiting.begin(), waiting.end(), probe.target) == waiting.end()) waiting.push_back(probe.target);
  }
  return waiting;
}

Result<Fd> open_probe(const Probe& probe) {
  if (::access(event_id_path(probe).c_str(), F_OK) != 0) {
    auto kind = probe.on_return ? fmt::format("r{}", kReturnsInFlight) : std::string("p");
    HF_TRY(write_events(fmt::format("{}:holdfast/{} {}\n", kind, probe.event, probe.target)));
  }
  std::uint64_t id = 0;
  if (!(std::ifstream(event_id_path(probe)) >> id)) return sys_error(errno ? errno : EIO, "read", event_id_path(probe));
  struct perf_event_attr attributes {};
  attributes.type = PERF_TYPE_TRACEPOINT;
  attributes.size = sizeof attributes;
  attributes.config = id;
  // One processor's event is enough: a BPF program on a trace event runs wherever the probe is hit.
  Fd fd(static_cast<int>(::syscall(SYS_perf_event_open, &attributes, -1, 0, -1, PERF_FLAG_FD_CLOEXEC)));
  if (!fd) return sys_error(errno, "perf_event_open", probe.event);
  return fd;
}

Result<std::uint64_t> probes_missed() {
  constexpr const char* kProfile = "/sys/kernel/tracing/kprobe_profile";
  std::ifstream file(kProfile);
  if (!file) return sys_error(errno, "read", kProfile);
  std::uint64_t missed = 0;
  // "  EVENT  HITS  MISSES", of everyone's events: ours of the tripwire are told by their names.
  std::string event;
  for (std::uint64_t hits = 0, misses = 0; file >> event >> hits >> misses;)
    if (event.starts_with("trip_")) missed += misses;
  return missed;
}

Status remove_probes() {
  std::ifstream file(kEvents);
  std::vector<std::string> names;
  for (std::string line; std::getline(file, line);) {
    // "p:holdfast/NAME TARGET" or "r1024:holdfast/NAME TARGET"
    auto at = line.find(":holdfast/");
    if (at == std::string::npos) continue;
    names.push_back(line.substr(at + 1, line.find(' ') - at - 1));
  }
  for (const auto& name : names) {
    Status removed = write_events(fmt::format("-:{}\n", name));
    // A link that was just unpinned frees its event from a work queue of the kernel's (bpf_link_put()), and there is nothing to wait on.
    for (int tries = 0; !removed && removed.error().code == EBUSY && tries < kFreeTries; tries++) {
      std::this_thread::sleep_for(kFreeWait);
      removed = write_events(fmt::format("-:{}\n", name));
    }
    HF_TRY(std::move(removed));
  }
  return {};
}

}  // namespace hf
