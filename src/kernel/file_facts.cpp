// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "kernel/file_facts.hpp"

#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <charconv>
#include <vector>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

namespace hf {
namespace {

constexpr std::size_t kExtentsPerCall = 256;
constexpr std::uint64_t kSettleWindowBytes = 256ull << 20;
constexpr int kCapLease = 28;
constexpr std::uint32_t kPageShift = 12;  // not the block's: a mapping ends with the page that holds the end of the file

FileType type_of(std::uint32_t mode) {
  switch (mode & S_IFMT) {
    case S_IFREG:
      return FileType::regular;
    case S_IFDIR:
      return FileType::directory;
    case S_IFBLK:
      return FileType::block_device;
    case S_IFCHR:
      return FileType::character_device;
    case S_IFIFO:
      return FileType::fifo;
    case S_IFSOCK:
      return FileType::socket;
    case S_IFLNK:
      return FileType::symlink;
    default:
      return FileType::other;
  }
}

/// A fiemap request with room for kExtentsPerCall extents behind it.
class FiemapCall {
 public:
  FiemapCall() : memory_((sizeof(fiemap) + kExtentsPerCall * sizeof(fiemap_extent)) / sizeof(std::uint64_t)) {}
  fiemap& start(Extent window) {
    auto& head = *reinterpret_cast<fiemap*>(memory_.data());
    head = {};
    head.fm_start = window.first;
    head.fm_length = window.end - window.first;
    head.fm_extent_count = kExtentsPerCall;
    return head;
  }

 private:
  std::vector<std::uint64_t> memory_;
};

/// Everything that has to change, in whole pages, inside the mapping's reach.
ExtentSet to_touch(const Unsettled& unsettled) {
  ExtentSet all;
  for (const auto* part : {&unsettled.inlined, &unsettled.holes, &unsettled.delayed, &unsettled.unwritten, &unsettled.shared}) all.add(*part);
  return all.round_out(kPageShift);
}

Status allocate(int fd, const FileFacts& facts, const ExtentSet& extents, int mode, std::string_view what) {
  for (const auto& extent : extents)
    if (::fallocate(fd, mode, static_cast<off_t>(extent.first), static_cast<off_t>(extent.end - extent.first)))
      return sys_error(errno, what, facts.path, errno == ENOSPC ? "Free space on the filesystem, or hold a smaller range." : "");
  return {};
}

/// A write fault gives a page its own written block and leaves its content alone, so no concurrent write can be lost.
Status touch_pages(int fd, const FileFacts& facts, Extent extent, const std::stop_token& stop) {
  for (auto first = extent.first; first < extent.end; first += kSettleWindowBytes) {
    if (stop.stop_requested())
      return fail(ECANCELED, fmt::format("holdfastd stopped while it settled {}", facts.path), "Ask again when it is back: what was settled stays so.");
    const auto length = std::min(kSettleWindowBytes, extent.end - first);
    void* memory = ::mmap(nullptr, length, PROT_READ | PROT_WRITE, MAP_SHARED, fd, static_cast<off_t>(first));
    if (memory == MAP_FAILED) return sys_error(errno, "mmap", facts.path, "Open the file for reading and writing (O_RDWR) to have it settled.");
    const int code = ::madvise(memory, length, MADV_POPULATE_WRITE) ? errno : 0;
    ::munmap(memory, length);
    if (code)
      return sys_error(code, "madvise(MADV_POPULATE_WRITE)", facts.path, "The file may have been cut, or its filesystem be full: see the kernel's log.");
  }
  return {};
}

}  // namespace

bool has_layout(std::uint32_t magic) { return magic != TMPFS_MAGIC && magic != HUGETLBFS_MAGIC; }

FileFacts file_facts(const hf_facts& seen, std::string path) {
  FileFacts facts;
  facts.type = type_of(seen.mode);
  facts.path = std::move(path);
  facts.magic = seen.magic;
  facts.filesystem = filesystem_name(seen.magic);
  facts.dax = seen.flags & HF_PART_DAX;
  facts.size_bytes = seen.size_bytes;
  facts.block_shift = seen.block_shift;
  return facts;
}

Status add_layout(FileFacts& facts, int fd, Extent range) {
  const Extent window = layout_window(facts, range);
  facts.layout.clear();
  facts.layout_known = false;
  FiemapCall call;
  for (auto at = window.first; at < window.end;) {
    auto& head = call.start({at, window.end});
    if (::ioctl(fd, FS_IOC_FIEMAP, &head)) {
      if (errno == EOPNOTSUPP || errno == ENOTTY) return {};
      return sys_error(errno, "FIEMAP", facts.path);
    }
    const auto count = head.fm_mapped_extents;
    for (std::uint32_t i = 0; i < count; i++) {
      const auto& extent = head.fm_extents[i];
      at = extent.fe_logical + extent.fe_length;
      const Extent bytes{extent.fe_logical, at};
      if ((extent.fe_flags & FIEMAP_EXTENT_SHARED) || (bytes.first < range.end && range.first < bytes.end)) facts.layout.push_back({bytes, extent.fe_flags});
      if (extent.fe_flags & FIEMAP_EXTENT_LAST) at = window.end;
    }
    if (count < kExtentsPerCall) break;
    if (facts.layout.size() > kLayoutExtentsMax) return {};
  }
  facts.layout_known = true;
  return {};
}

Result<OpenMode> open_mode(int fd) {
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags < 0) return sys_error(errno, "fcntl(F_GETFL)", "the descriptor");
  const int access = flags & O_ACCMODE;
  if (flags & O_PATH) return OpenMode{.path_only = true};
  return OpenMode{.readable = access == O_RDONLY || access == O_RDWR, .writable = access == O_WRONLY || access == O_RDWR};
}

Result<uid_t> file_owner(int fd) {
  struct stat status {};
  if (::fstat(fd, &status)) return sys_error(errno, "fstat", "the descriptor");
  return status.st_uid;
}

bool has_cap_lease(const ProcessTable& processes, pid_t pid) {
  const auto status = processes.text(pid, "status");
  const auto field = status ? status_field(*status, "CapEff") : std::nullopt;
  std::uint64_t capabilities = 0;
  if (field) std::from_chars(field->data(), field->data() + field->size(), capabilities, 16);
  return capabilities >> kCapLease & 1;
}

Status settle_layout(int fd, const FileFacts& facts, const ExtentSet& extents, const std::stop_token& stop) {
  const auto found = unsettled(facts, extents);
  if (found.empty()) return {};
  // Allocated first, so that a full filesystem is a clear error here and not a failed fault there.
  HF_TRY(allocate(fd, facts, found.holes, FALLOC_FL_KEEP_SIZE, "fallocate"));
  for (const auto* shared : {&found.shared, &found.beside})
    HF_TRY(allocate(fd, facts, *shared, FALLOC_FL_UNSHARE_RANGE | FALLOC_FL_KEEP_SIZE, "fallocate(UNSHARE_RANGE)"));
  for (const auto& extent : to_touch(found)) HF_TRY(touch_pages(fd, facts, extent, stop));
  if (::fsync(fd)) return sys_error(errno, "fsync", facts.path);
  return {};
}

Status drop_planned_places(int fd, const FileFacts& facts, Extent extent) {
  extent.end = extent.first + (1ull << facts.block_shift);
  const auto dropped = allocate(fd, facts, {extent}, FALLOC_FL_UNSHARE_RANGE | FALLOC_FL_KEEP_SIZE, "fallocate(UNSHARE_RANGE)");
  return dropped || dropped.error().code == ETXTBSY || dropped.error().code == EDEADLK ? Status{} : dropped;
}

}  // namespace hf
