// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "qualify/layout.hpp"

#include <fcntl.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

namespace hf::qualify {

namespace {

using actions::kAnyExt4;
using actions::kDisk;
using actions::kExt4Dax;
using actions::kXfsDax;

constexpr std::size_t kPage = 4096;
constexpr std::uint32_t kExtentsMax = 64;
// What says that a block is not the file's own written one. The others (LAST, MERGED) are about the list.
constexpr std::uint32_t kTelling = FIEMAP_EXTENT_UNWRITTEN | FIEMAP_EXTENT_SHARED | FIEMAP_EXTENT_DELALLOC | FIEMAP_EXTENT_DATA_INLINE;

bool has_blocks(const actions::Place& place) { return place.where & kDisk; }
bool has_pages(const actions::Place& place) { return !(place.where & (kXfsDax | kExt4Dax)); }

/// A shared mapping of part of a file.
class Window {
 public:
  Window(int fd, std::uint64_t offset, std::size_t bytes)
      : bytes_(bytes), memory_(mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, static_cast<off_t>(offset))), error_(errno) {}
  Window(const Window&) = delete;
  Window& operator=(const Window&) = delete;
  ~Window() {
    if (memory_ != MAP_FAILED) munmap(memory_, bytes_);
  }
  /// Faults all of it in, for writing, with an error instead of SIGBUS where there is nothing behind it.
  Status fill() {
    if (memory_ == MAP_FAILED) return sys_error(error_, "mmap", "the scratch file");
    if (madvise(memory_, bytes_, MADV_POPULATE_WRITE) != 0) return sys_error(errno, "madvise MADV_POPULATE_WRITE", "the scratch file");
    return {};
  }
  char* at(std::size_t offset) const { return static_cast<char*>(memory_) + offset; }

 private:
  std::size_t bytes_;
  void* memory_;
  int error_;
};

}  // namespace

Result<Layout> Layout::take(int fd, const actions::Place& place, std::uint64_t offset, std::uint64_t length, bool hold_pages) {
  Layout layout(fd, place, offset, length);
  if (has_blocks(place)) {
    HF_TRY_ASSIGN(layout.blocks_, layout.blocks());
  }
  if (has_pages(place) && hold_pages) HF_TRY(layout.hold_pages());
  return layout;
}

Result<std::vector<Layout::Block>> Layout::blocks() const {
  alignas(fiemap) char buffer[sizeof(fiemap) + kExtentsMax * sizeof(fiemap_extent)] = {};
  auto& map = *reinterpret_cast<fiemap*>(buffer);
  map.fm_start = offset_;
  map.fm_length = length_;
  map.fm_flags = FIEMAP_FLAG_SYNC;
  map.fm_extent_count = kExtentsMax;
  if (ioctl(fd_, FS_IOC_FIEMAP, &map) != 0) return sys_error(errno, "ioctl FS_IOC_FIEMAP", "the scratch file");
  std::vector<Block> found;
  for (std::uint32_t i = 0; i < map.fm_mapped_extents; i++) {
    const fiemap_extent& extent = map.fm_extents[i];
    const std::uint64_t first = std::max<std::uint64_t>(extent.fe_logical, offset_),
                        end = std::min<std::uint64_t>(extent.fe_logical + extent.fe_length, offset_ + length_);
    const Block block{first, extent.fe_physical + (first - extent.fe_logical), end - first, extent.fe_flags & kTelling};
    // Neighbours are one: how the filesystem cuts the list is its own affair.
    if (!found.empty() && found.back().flags == block.flags && found.back().logical + found.back().length == block.logical &&
        found.back().physical + found.back().length == block.physical)
      found.back().length += block.length;
    else
      found.push_back(block);
  }
  return found;
}

Status Layout::hold_pages() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return sys_error(errno, "pipe2", "for pages");
  pages_out_ = Fd(ends[0]);
  pages_in_ = Fd(ends[1]);
  Window window(fd_, offset_, length_);
  HF_TRY(window.fill());
  std::vector<iovec> pages;
  for (std::uint64_t at = 0; at < length_; at += place_.unit) pages.push_back({window.at(at), kPage});
  const ssize_t held = vmsplice(pages_in_.get(), pages.data(), pages.size(), 0);
  if (held != static_cast<ssize_t>(pages.size() * kPage)) return sys_error(held < 0 ? errno : ENOBUFS, "vmsplice", "of the scratch file's pages");
  return {};
}

Result<bool> Layout::pages_moved() {
  Window window(fd_, offset_, length_);
  HF_TRY(window.fill());
  ++mark_;
  for (std::uint64_t at = 0; at < length_; at += place_.unit) std::memcpy(window.at(at), &mark_, sizeof mark_);
  // A copy of the references; those in the pipe stay.
  int ends[2];
  if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return sys_error(errno, "pipe2", "for pages");
  const Fd out(ends[0]), in(ends[1]);
  const std::size_t units = length_ / place_.unit;
  if (tee(pages_out_.get(), in.get(), units * kPage, 0) != static_cast<ssize_t>(units * kPage)) return sys_error(errno, "tee", "of the scratch file's pages");
  std::vector<char> page(kPage);
  for (std::size_t unit = 0; unit < units; unit++) {
    if (read(out.get(), page.data(), kPage) != static_cast<ssize_t>(kPage)) return sys_error(errno, "read", "of the scratch file's pages");
    if (std::memcmp(page.data(), &mark_, sizeof mark_) != 0) return true;
  }
  return false;
}

Result<std::string> Layout::changed(int fd) {
  fd_ = fd;
  struct stat status {};
  if (fstat(fd_, &status) != 0) return sys_error(errno, "fstat", "the scratch file");
  if (static_cast<std::uint64_t>(status.st_size) < offset_ + length_) return "the file is shorter";
  if (has_blocks(place_)) {
    HF_TRY_ASSIGN(const auto now, blocks());
    if (now != blocks_) return "other blocks";
  }
  if (pages_in_) {
    HF_TRY_ASSIGN(const bool moved, pages_moved());
    if (moved) return "other pages";
  }
  return "";
}

}  // namespace hf::qualify
