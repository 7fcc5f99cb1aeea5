// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "verbs/files.hpp"

#include <fcntl.h>
#include <linux/stat.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <algorithm>
#include <map>

#include "base/dax.hpp"
#include "kernel/paths.hpp"

namespace hf::verbs {
namespace {

/// Opened for writing where that is possible: a lease takes someone who could have written the file.
Fd open_either(const std::string& path) {
  Fd file(::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
  if (!file) file = Fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
  return file;
}

Result<Fd> open_file(const Mapping& mapping, int fd) {
  if (fd >= 0) {
    Fd copy(::fcntl(fd, F_DUPFD_CLOEXEC, 0));
    if (!copy) return sys_error(errno, "fcntl", "of the file's descriptor");
    struct stat status {};
    if (::fstat(copy.get(), &status) || status.st_ino != mapping.inode)
      return fail(EINVAL, fmt::format("the descriptor is not that of {}, which is mapped there", mapping.path), "Next: give the descriptor that was mapped");
    return copy;
  }
  // Takes a capability, but reaches files without a name.
  Fd file = open_either(fmt::format("/proc/self/map_files/{:x}-{:x}", mapping.start, mapping.end));
  if (file) return file;
  file = open_either(mapping.path);
  struct stat status {};
  if (!file || ::fstat(file.get(), &status) || status.st_ino != mapping.inode)
    return fail(ENOENT, fmt::format("{} is mapped there, and can't be opened by that name", mapping.path), "Next: give its descriptor (HF_REG_FD)");
  return file;
}

Result<MappedFile> describe(const Mapping& mapping, int fd, struct stat& status) {
  MappedFile found;
  HF_TRY_ASSIGN(found.file, open_file(mapping, fd));
  found.path = mapping.path;
  struct statfs filesystem {};
  if (::fstat(found.file.get(), &status)) return sys_error(errno, "fstat", mapping.path);
  if (::fstatfs(found.file.get(), &filesystem)) return sys_error(errno, "fstatfs", mapping.path);
  found.backing = rdma::backing_of(static_cast<std::uint32_t>(filesystem.f_type), is_dax(found.file.get()));
  return found;
}

void add_range(std::vector<hf_range>& ranges, hf_range range) {
  ranges.push_back(range);
  std::sort(ranges.begin(), ranges.end(), [](const hf_range& a, const hf_range& b) { return a.offset_bytes < b.offset_bytes; });
  // The same bytes may be mapped twice, and neighbours be one range.
  std::size_t last = 0;
  for (std::size_t i = 1; i < ranges.size(); ++i) {
    const auto end = ranges[last].offset_bytes + ranges[last].length_bytes;
    if (ranges[i].offset_bytes <= end)
      ranges[last].length_bytes = std::max(end, ranges[i].offset_bytes + ranges[i].length_bytes) - ranges[last].offset_bytes;
    else
      ranges[++last] = ranges[i];
  }
  ranges.resize(last + 1);
}

}  // namespace

Result<std::vector<MappedFile>> files_of(const void* address, std::size_t length, int fd) {
  const auto first = reinterpret_cast<std::uintptr_t>(address), end = first + length;
  const auto page = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  HF_TRY_ASSIGN(const auto mappings, mappings_of(::getpid(), first, length));
  std::map<std::pair<dev_t, ino_t>, MappedFile> files;
  auto reached = first;
  for (const auto& mapping : mappings) {
    if (mapping.start > reached) break;
    const auto from = std::max<std::uint64_t>(mapping.start, first), to = std::min<std::uint64_t>(mapping.end, end);
    reached = to;
    if (!mapping.shared || !mapping.inode || mapping.path.starts_with("/dev/zero") || mapping.path.starts_with("/SYSV")) continue;
    struct stat status {};
    HF_TRY_ASSIGN(auto found, describe(mapping, fd, status));
    if (!S_ISREG(status.st_mode)) continue;  // a device's memory has no layout
    const std::uint64_t offset = mapping.offset_bytes + (from - mapping.start), size = static_cast<std::uint64_t>(status.st_size);
    const auto mapped_end = offset + (to - from);
    if (offset >= size || mapped_end > (size + page - 1) / page * page)
      return fail(ERANGE, fmt::format("{} ends at {} bytes, and the region reaches to {}", mapping.path, size, mapped_end),
                  "Next: give the file its size before it is registered");
    found.address_minus_offset = from - offset;
    auto& entry = files.try_emplace({status.st_dev, status.st_ino}, std::move(found)).first->second;
    entry.linear = entry.linear && entry.address_minus_offset == from - offset;
    add_range(entry.ranges, {offset, std::min(mapped_end, size) - offset});
  }
  if (reached < end) return fail(EFAULT, fmt::format("nothing is mapped at {:#x}, which is in the region", reached), "Next: map all of it first");
  std::vector<MappedFile> list;
  for (auto& [key, file] : files) list.push_back(std::move(file));
  return list;
}

}  // namespace hf::verbs
