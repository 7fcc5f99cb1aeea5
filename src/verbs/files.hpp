// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// Which bytes of which files a stretch of this process's memory is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/fd.hpp"
#include "base/result.hpp"
#include "holdfast/holdfast.h"
#include "rdma/plan.hpp"

namespace hf::verbs {

/// A file with the bytes of it that are mapped there: in order, none twice.
struct MappedFile {
  Fd file;
  std::string path;
  rdma::Backing backing = rdma::Backing::memory_file;
  std::vector<hf_range> ranges;
  std::uintptr_t address_minus_offset = 0;  ///< of its first mapping there
  bool linear = true;                       ///< and of all others: address and offset go together
};

/// The files mapped shared in [address, address + length), each once. Private mappings and anonymous memory are none.
/// @param fd the file of all of them, or -1: they are opened, by /proc/self/map_files or by their paths
/// Fails with EFAULT where something in between is not mapped, ERANGE where a file ends before its mapping, ENOENT where a file can't be opened.
Result<std::vector<MappedFile>> files_of(const void* address, std::size_t length, int fd);

}  // namespace hf::verbs
