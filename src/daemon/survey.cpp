// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "daemon/survey.hpp"

#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#include <algorithm>
#include <bit>

#include "kernel/file_facts.hpp"
#include "kernel/paths.hpp"
#include "kernel/pin_device.hpp"

namespace hf {
namespace {

std::string first_bytes(const ExtentSet& extents) {
  const auto& extent = *extents.begin();
  const auto more = extents.size() - 1;
  return fmt::format("bytes {} to {}{}", extent.first, extent.end - 1, more ? fmt::format(" and {} further ranges", more) : std::string());
}

std::vector<std::string> warnings_of(int fd, const struct statfs& filesystem, std::uint64_t size_bytes, const std::string& path, Extent bytes) {
  FileFacts facts;
  facts.path = path;
  facts.magic = static_cast<std::uint32_t>(filesystem.f_type);
  facts.size_bytes = size_bytes;
  const Extent inside{bytes.first, std::min(bytes.end, size_bytes)};
  if (!supported_filesystem(facts.magic) || !has_layout(facts.magic) || inside.empty()) return {};
  if (const auto read = add_layout(facts, fd, inside); !read) return {read.error().message};
  if (!facts.layout_known) return {"the layout could not be read: protected, but it is not known whether it is settled"};
  return layout_warnings(unsettled(facts, ExtentSet{inside}));
}

/// The piece of the mapping that is registered.
SurveyedPart part_of(const Mapping& mapping, const SurveyRequest& request) {
  const auto start = std::max(mapping.start, request.address);
  const auto end = std::min(mapping.end, request.address + request.length_bytes);
  SurveyedPart part;
  part.address = start;
  part.bytes = {mapping.offset_bytes + (start - mapping.start), mapping.offset_bytes + (end - mapping.start)};
  part.inode = mapping.inode;
  part.shared = mapping.shared;
  part.writable = mapping.writable;
  part.path = mapping.path;
  return part;
}

void look_at_file(pid_t pid, const Mapping& mapping, const std::string& proc, bool keep, SurveyedPart& part) {
  auto file = open_mapping(pid, mapping, proc);
  if (!file) {
    part.warnings.push_back(file.error().message);
    return;
  }
  if (auto path = path_of_fd(file->get())) part.path = std::move(*path);
  struct statfs filesystem {};
  struct stat status {};
  if (::fstatfs(file->get(), &filesystem) || ::fstat(file->get(), &status)) return;
  part.device = kernel_device(major(status.st_dev), minor(status.st_dev));
  // f_bsize is the page that backs the file on hugetlbfs, the block elsewhere.
  part.page_shift = static_cast<std::uint32_t>(std::countr_zero(std::max<std::uint64_t>(static_cast<std::uint64_t>(filesystem.f_bsize), 4096)));
  part.warnings = warnings_of(file->get(), filesystem, static_cast<std::uint64_t>(status.st_size), part.path, part.bytes);
  if (keep) part.file = std::move(*file);
}

}  // namespace

std::vector<std::string> layout_warnings(const Unsettled& found) {
  std::vector<std::string> warnings;
  const auto warn = [&](const ExtentSet& extents, std::string_view what) {
    if (!extents.empty()) warnings.push_back(fmt::format("protected, layout not settled: {} {}", first_bytes(extents), what));
  };
  warn(found.holes, "are a hole: the first write there allocates blocks, which the registration may not see");
  warn(found.delayed, "have no blocks yet: writeback allocates them");
  warn(found.unwritten, "are allocated but unwritten: the first write there converts them in place");
  warn(found.shared, "are shared with another file (reflink): the next write through the filesystem moves them");
  warn(found.beside, "beside the range are shared with another file (reflink): XFS may move bytes of the range along with them");
  warn(found.inlined, "are kept inside the inode: they move when the file grows");
  warn(found.encoded, "are compressed or encoded: every write moves them");
  return warnings;
}

Survey survey(const SurveyRequest& request, const ProcessTable& processes) {
  const auto pid = static_cast<pid_t>(request.process.tgid);
  if (!processes.is(pid, request.process.start_ns)) return {{}, "the process is gone"};
  const auto mappings = mappings_of(pid, request.address, request.length_bytes, processes.root());
  if (!mappings) return {{}, mappings.error().message};
  Survey result;
  for (const auto& mapping : *mappings) {
    // System V shared memory is a file whose number may be 0.
    if (!mapping.inode && !mapping.path.starts_with('/')) continue;
    // A view of holdfast-pin: the observer has seen which file it shows, and opening it again would show none.
    if (is_pin_view(mapping)) continue;
    auto part = part_of(mapping, request);
    look_at_file(pid, mapping, processes.root(), request.keep_files, part);
    result.parts.push_back(std::move(part));
  }
  // Read before, checked after: nothing of a later process with the same number gets in.
  if (!processes.is(pid, request.process.start_ns)) return {{}, "the process is gone"};
  return result;
}

bool still_pinning(const ProcessTable& processes, const ProcessKey& process, std::uint32_t tid) {
  const auto pid = static_cast<pid_t>(process.tgid);
  if (!processes.is(pid, process.start_ns)) return false;
  const auto stack = processes.text(pid, fmt::format("task/{}/stack", tid));
  if (!stack) return stack.error().code != ENOENT && stack.error().code != ESRCH;
  // Empty while the thread runs; every pinning call has one of these on its stack.
  return stack->empty() || stack->find("umem") != std::string::npos || stack->find("pin_user_pages") != std::string::npos;
}

}  // namespace hf
