// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// Collects the facts that the checks judge. What can't be found out is left open in the facts, so that its check says so; only a mount that is none is an
// error.
#pragma once

#include <functional>

#include "base/result.hpp"
#include "kernel/paths.hpp"
#include "qualify/facts.hpp"
#include "qualify/probe.hpp"

namespace hf::qualify {

struct QualifyOptions {
  std::string mount;
  std::vector<std::string> files;
  bool probe = true;
  bool all_routes = false;
  std::optional<std::uint64_t> soak_s;
  std::uint64_t seed = 0;
  std::string configuration;  ///< its folder
  std::string version;        ///< of this program
};

/// What happened on the mount, the oldest first; not to the probe's own files.
struct Past {
  std::vector<Json> events;  ///< as a watcher gets them
  bool older = false;        ///< there are older ones in the journal
  std::string trouble;       ///< why the journal could not be read; then these are what holdfastd remembers
};

/// What came of it all, with what the report shows beside the verdicts.
struct Collected {
  Facts facts;
  std::optional<ProbeReport> probe;
  Json leases, registrations;  ///< holdfastd's answers; null where it did not answer
  Past denials, escapes;
};

Result<Collected> collect(const QualifyOptions& options, const Connect& connect, const std::function<bool(const Progress&)>& progress);

// The parts, below a root folder that stands for /.

KernelFacts collect_kernel(const std::string& root = "");
/// Finds `path` among the mounts. @errors EINVAL where it is no mount point, naming the mount that it is in
Result<Mount> find_mount(const std::vector<Mount>& mounts, const std::string& path);
/// Everything that is told without asking the filesystem itself.
FilesystemFacts filesystem_facts(const std::vector<Mount>& mounts, const Mount& mount, const std::string& root = "");
/// Asks the mounted filesystem: geometry, whether a new file is DAX.
void ask_filesystem(FilesystemFacts& facts);
/// Reads how the blocks of the extents are. @param extents empty: the whole file
FileState file_state(const std::string& path, const std::vector<std::pair<std::uint64_t, std::uint64_t>>& extents);

std::vector<AdapterFacts> collect_adapters(const FilesystemFacts& filesystem, std::string& trouble);

}  // namespace hf::qualify
