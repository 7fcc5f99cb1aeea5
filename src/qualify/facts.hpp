// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// All that the checks of `holdfast qualify` judge, as plain data: collected once (collect.hpp), so that a check is a pure function and a test can make up a
// machine.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "catalog/break_sources.hpp"
#include "kernel/gate.hpp"
#include "lease/policy.hpp"
#include "qualify/neighbours.hpp"
#include "qualify/surroundings.hpp"

namespace hf::qualify {

/// A source of the catalogue, as it stands on this kernel.
struct SourceHere {
  const BreakSource* source = nullptr;
  bool here = false;
};

struct KernelFacts {
  KernelSupport support;
  std::string version;                       ///< uname -v
  std::optional<bool> ftrace_enabled;        ///< kernel.ftrace_enabled; none where there is no such switch
  std::vector<SourceHere> sources;           ///< all
  std::vector<std::string> wrong_functions;  ///< that the catalogue or the gate names, and this kernel lacks
  bool bdev_write_mounted = true;            ///< the block device below a mounted filesystem can be written
};

struct FileState {
  std::string path;
  bool leased = false;  ///< else it was named on the command line
  std::uint64_t size_bytes = 0;
  std::uint64_t hole_bytes = 0, unwritten_bytes = 0, shared_bytes = 0;
  bool known = false;             ///< the filesystem told its extents
  std::uint64_t align_bytes = 0;  ///< every extent of 2 MiB and more begins at a multiple of this, on the device and in the file; 0: there is none
  std::string trouble;            ///< why it could not be looked at
};

struct FilesystemFacts : Surroundings {
  std::string point, source, type, flags, options;
  std::uint32_t device = 0;  ///< as kernel_device()
  bool supported = false;
  std::uint8_t kind = 0;                         ///< FileKinds of its files; 0: not known
  bool dax_capable = false;                      ///< its device can do DAX
  std::optional<bool> dax_file;                  ///< a new file is DAX; none where that could not be tried
  std::optional<bool> reflink, realtime, zoned;  ///< XFS
  std::uint64_t block_bytes = 4096;
  std::uint64_t stripe_bytes = 0;    ///< allocation unit that mkfs was told
  std::uint64_t start_bytes = 0;     ///< where it begins on the device
  std::optional<std::string> fstab;  ///< its options there; none where it is not listed
  std::vector<FileState> files;
};

struct PlanFacts {
  std::string plan;  ///< "plain", "odp", "refused"
  std::string reason, mend;
  bool tried = false;
};

struct AdapterFacts {
  std::string name, driver, firmware, transport, link;
  std::uint64_t region_bytes = 0;
  bool odp = false;
  std::optional<bool> fence;  ///< a region can be made unreachable without ending its process; none: not tried
  std::string fence_detail;
  PlanFacts writer, reader;
};

struct GateFacts {
  GateState state;
  std::string state_error;  ///< it could not be looked at
  bool daemon = false;
  std::string daemon_error;
  std::string daemon_version, version;  ///< the running daemon's; this program's
  std::string object;                   ///< digest of the gate's programs
  std::optional<MountPolicy> policy;    ///< of the mount, as the files say
  std::optional<bool> guarded;          ///< as the daemon has it
  std::optional<std::uint32_t> seals;
  std::vector<std::string> configuration_errors;
  std::uint64_t tripwire_missed = 0, tripwire_blind = 0, denials_lost = 0;
  std::vector<std::string> escapes;      ///< on this filesystem, but for those of a probe
  std::vector<std::string> unprotected;  ///< registrations on this filesystem that have no lease
};

struct Writer {
  std::uint32_t pid = 0;
  std::string comm, path;
};

/// What came of the probe.
struct ProofFacts {
  bool asked = false;
  std::string error;  ///< it could not be done
  std::size_t trials = 0, differences = 0, open = 0, unnamed = 0, known_open = 0;
  double seconds = 0;
  std::vector<std::string> examples;  ///< the first of the differences
  std::optional<std::uint64_t> soak_s;
  std::uint64_t rdma_writes = 0, rdma_lost = 0;
  std::string rdma_error;
};

struct Facts {
  std::string time;  ///< UTC, ISO 8601
  KernelFacts kernel;
  FilesystemFacts filesystem;
  std::vector<AdapterFacts> adapters;
  std::string adapters_error;
  std::vector<std::string> unobserved;  ///< other ways to pin memory that this machine has
  std::uint64_t memlock_bytes = 0;      ///< of the caller; UINT64_MAX: no limit
  std::uint64_t needed_bytes = 0;       ///< what the files named and leased here come to
  GateFacts gate;
  Neighbours neighbours;
  std::vector<Writer> writers;
  ProofFacts proof;
  std::map<std::string, std::string> configuration;  ///< digest of each file
};

}  // namespace hf::qualify
