// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// The kernel side, as the daemon uses it: arms or takes over the gate and the observer, reads their maps, runs their lease calls, and hands out events.
//
// Fails closed: the programs, maps and links are pinned, so that destroying a Gate object leaves the gate deciding. Only detach() ends it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/fd.hpp"
#include "base/result.hpp"
#include "kern.h"
#include "kernel/kallsyms.hpp"
#include "lease/table.hpp"

namespace hf {

class KernelFunctions;

inline constexpr const char* kPinDirectory = "/sys/fs/bpf/holdfast";

/// What this kernel lets Holdfast do, each with the reason where it doesn't.
struct KernelSupport {
  bool root = false;
  bool btf = false;      ///< /sys/kernel/btf/vmlinux
  bool bpf_lsm = false;  ///< "bpf" is in /sys/kernel/security/lsm
  bool bpffs = false;    ///< /sys/fs/bpf is a bpf filesystem
  bool tracefs = false;  ///< kprobe events can be made
  std::string release;   ///< uname -r
  std::string lsm_list;  ///< as read
  std::string lockdown;  ///< "none", "integrity", "confidentiality", or empty
  /// @return ok, or one error that says which part is missing and the command or boot parameter that mends it.
  Status usable() const;
};
KernelSupport probe_kernel_support();

/// How the gate stands; works without a daemon.
struct GateState {
  bool armed = false;                  ///< every required link is pinned
  bool unfinished = false;             ///< an attempt to arm that was cut off: maps without a version, and no links
  bool other_version = false;          ///< pins of another HF_ABI_VERSION
  std::string version;                 ///< of the Holdfast that armed it
  std::vector<std::string> hooks;      ///< pinned links, by name
  std::vector<std::string> missing;    ///< required links that are not there
  std::vector<std::string> waiting;    ///< probes whose module is not loaded yet
  std::vector<std::string> unwatched;  ///< choke points that this kernel should have and has not: breaks may pass them unseen
  std::optional<hf_meta> meta;
};
Result<GateState> gate_state();
/// Ends the gate, the observer and all that they remember: unpins links first, then programs and maps, then removes the kprobe events. @return how many pins
/// went.
Result<int> gate_detach();

/// One lease as the kernel has it.
struct KernelLease {
  LeaseRecord record;
  std::vector<hf_part> parts;
};

/// A leased file as the gate sees it: occupied slots only.
struct KernelFile {
  hf_file_key key;
  std::uint32_t merged;
  std::vector<hf_slot> slots;
};

struct PartOutcome {
  std::uint8_t slot;      ///< HF_NO_SLOT where none was taken
  std::uint16_t reasons;  ///< enum hf_reason; 0 = leased
  std::uint8_t flags;     ///< HF_PART_*
  bool raced;             ///< a break let through earlier is still under way on these bytes
};

struct OpenOutcome {
  std::uint64_t id;
  Result<PartOutcome> part;
};

class Gate {
 public:
  /// Takes over what is pinned, or loads and attaches everything: all hooks or none. Fails where the pins are another version's.
  static Result<std::unique_ptr<Gate>> arm(const std::string& version);
  ~Gate();

  bool took_over() const;  ///< a gate that decides was found, by maps of this layout

  /// The programs that were taken over are another build's, or have not been seen to be complete. They decide; complete(), then adopt().
  bool incomplete() const;
  struct Completion {
    std::string replaced;  ///< the version whose programs were replaced; empty: they were complete, and this build's
    std::optional<Kallsyms> symbols;
  };
  /// Loads this build's programs, and puts them in place before those of the other go. Takes seconds, so it is for a thread of its own: it touches nothing that
  /// the other calls do.
  /// @errors as arm(); then the earlier programs go on deciding
  Result<Completion> complete() const;
  /// From now on the calls are answered by what complete() has put in place.
  Status adopt();
  Result<hf_meta> meta() const;
  /// Tells the kernel side where struct ib_device has its name and struct xfs_inode its inode, once their modules are loaded; cheap to call again.
  void learn_offsets();
  /// The kernel's functions as they were read to arm it, so that nobody has to read them again; once.
  std::optional<Kallsyms> take_symbols();
  Result<hf_facts> facts(int fd) const;  ///< the gate's own view of an open file (not O_PATH)

  /// Lease calls; each runs the same BPF code as the observer.
  Result<std::uint64_t> lease_begin(const LeaseRecord& record);
  /// lease_begin() and its first lease_part() in one call. Where the part was not taken, the lease stands without, and is for the caller to end.
  Result<OpenOutcome> lease_open(const LeaseRecord& record, const hf_part& first, std::uint32_t page_shift);
  Result<PartOutcome> lease_part(std::uint64_t lease, const hf_part& part, std::uint32_t holder, std::uint32_t page_shift);
  /// Is a break that was let through earlier still under way on these bytes? Ask until it is not, where lease_part() said so.
  Result<bool> raced(const hf_part& part) const;
  Status lease_commit(std::uint64_t lease, hf_lease_state state, std::uint32_t reasons);
  /// EINPROGRESS: holdfast-pin relies on it, and ends it.
  Status lease_end(std::uint64_t lease);
  /// Every break of the file is told as HF_EVENT_TRACED from now on, leased or not, until trace_end(); counted.
  Status trace_begin(const hf_file_key& file);
  Status trace_end(const hf_file_key& file);
  /// How often the kernel had to skip a probe of the tripwire: breaks may have passed unseen.
  Result<std::uint64_t> tripwire_missed() const;
  /// Drops the map entries of files without leases. @param leased those that surely have some: they are not looked at
  /// @return how many went; those where the observer was busy stay
  Result<int> sweep(const std::function<bool(const hf_file_key&)>& leased);
  /// The same for one file. @return whether that is settled: its entry is gone, or has leases; false where the observer was busy: try again later
  Result<bool> sweep(const hf_file_key& file);

  Result<std::vector<KernelLease>> leases() const;
  Result<std::optional<KernelLease>> lease(std::uint64_t id) const;
  Result<std::optional<KernelFile>> file(const hf_file_key& key) const;
  /// Would this be refused? The gate's own decide() over the gate's own slots, and the filesystem's seals. @return 0, ETXTBSY or EDEADLK
  Result<int> would_refuse(const hf_file_key& key, hf_op op, std::uint64_t first, std::uint64_t end, std::uint32_t task) const;

  /// The administrator's policy. What it was before for a filesystem is replaced whole; `leases` is the gate's own.
  Status set_mount(std::uint32_t device, const hf_mount& policy);
  Result<hf_mount> mount(std::uint32_t device) const;  ///< what the gate has for it; the defaults where there is no entry
  Result<std::vector<std::pair<std::uint32_t, hf_mount>>> mounts() const;
  /// Makes the lists just these.
  Status set_listed(const std::vector<hf_listed>& wanted);
  /// Of filesystems without an entry. @param user_registrations how many of a user's get a record; 0 = no limit
  void set_defaults(std::uint32_t flags, std::uint64_t user_registrations);
  /// @param start_ns as ProcessKey has it
  Status open_window(std::uint32_t tgid, std::uint64_t start_ns);
  Status close_window(std::uint32_t tgid);
  Result<std::vector<std::pair<std::uint32_t, std::uint64_t>>> windows() const;  ///< tgid, start_ns

  /// Of a ring buffer: bytes that wait to be read, and how many it holds.
  struct RingFill {
    const char* name;
    std::uint64_t waiting_bytes;
    std::uint64_t size_bytes;
  };
  std::vector<RingFill> ring_fill() const;
  /// How long the gate's programs have run; zeros unless the kernel counts (sysctl kernel.bpf_stats_enabled=1).
  struct ProgramTime {
    std::string name;
    std::uint64_t runs;
    std::uint64_t run_ns;
  };
  std::vector<ProgramTime> program_times() const;

  /// Readable when events wait. consume() calls the handlers for them, and returns whether there may be more: of denials it takes only so many at a time,
  /// so that who is refused again and again keeps nobody else waiting.
  static constexpr int kDenialsAtOnce = 64;
  int event_fd() const;
  struct Handlers {
    std::function<void(const hf_denial&)> denial;
    std::function<void(const hf_escape&)> escape;
    std::function<void(const hf_lifecycle_event&)> lifecycle;
  };
  Result<bool> consume(const Handlers& handlers);

 private:
  void learn_offsets(KernelFunctions& kernel);
  void forget_traces();

  struct Impl;
  explicit Gate(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace hf
