// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// Facts for the tests of admission.
#pragma once

#include <linux/fiemap.h>
#include <linux/magic.h>

#include "lease/admission.hpp"

namespace hf::testing {

inline constexpr std::uint32_t kXfs = 0x58465342;
inline constexpr std::uint64_t kSize = 1 << 20;

/// A file of 1 MiB on XFS, all of it written.
inline FileFacts settled_file() {
  FileFacts file;
  file.path = "/mnt/data";
  file.magic = kXfs;
  file.filesystem = "xfs";
  file.size_bytes = kSize;
  file.layout_known = true;
  file.layout = {{{0, kSize}, FIEMAP_EXTENT_LAST}};
  return file;
}

inline FileFacts file_on(std::uint32_t magic) {
  FileFacts file = settled_file();
  file.magic = magic;
  file.filesystem.clear();
  return file;
}

inline CallerFacts writer() {
  CallerFacts caller;
  caller.opened_for_writing = true;
  return caller;
}

/// The file with [4096, 8192) marked, the rest written.
inline FileFacts file_with(std::uint32_t flags) {
  FileFacts file = settled_file();
  file.layout = {{{0, 4096}, 0}, {{4096, 8192}, flags}, {{8192, kSize}, FIEMAP_EXTENT_LAST}};
  return file;
}

inline Result<Admission> ask(const FileFacts& file, std::vector<RangeRequest> ranges = {{0, 0}}, CallerFacts caller = writer()) {
  return admit(file, caller, ranges);
}

}  // namespace hf::testing
