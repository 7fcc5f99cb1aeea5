// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// What user space finds out about a registration's files after the fact: their paths, whether their layout is settled, and, where the kernel side could
// not look at the mappings, the files themselves. Reads large files of /proc and waits for file locks, so it runs beside the event loop; it touches
// nothing of the daemon.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/fd.hpp"
#include "base/result.hpp"
#include "kernel/process.hpp"
#include "lease/admission.hpp"
#include "lease/table.hpp"

namespace hf {

struct SurveyRequest {
  LeaseId lease = 0;
  ProcessKey process;
  std::uint64_t address = 0;
  std::uint64_t length_bytes = 0;
  bool keep_files = false;  ///< hand the files over, open: the registration is to be completed
};

/// A file-backed piece of the registered memory.
struct SurveyedPart {
  Extent bytes;               ///< of the file
  std::uint64_t address = 0;  ///< in the holder
  std::uint64_t inode = 0;
  std::uint32_t device = 0;  ///< st_dev as kernel_device(); not the key's on filesystems with subvolumes
  std::uint32_t page_shift = 0;
  bool shared = false;
  bool writable = false;
  std::string path;
  std::vector<std::string> warnings;
  Fd file;
};

struct Survey {
  std::vector<SurveyedPart> parts;
  std::string missing;  ///< why it could not be done; empty where it was
};

Survey survey(const SurveyRequest& request, const ProcessTable& processes);

/// What is not settled about these bytes, in words, each with what it means.
std::vector<std::string> layout_warnings(const Unsettled& found);

/// Is the thread that registers still inside the pinning call? Unknown counts as yes.
bool still_pinning(const ProcessTable& processes, const ProcessKey& process, std::uint32_t tid);

}  // namespace hf
