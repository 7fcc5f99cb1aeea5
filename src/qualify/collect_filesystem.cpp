// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include <fcntl.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <numeric>

#include "catalog/actions/uapi.hpp"
#include "qualify/collect.hpp"
#include "qualify/system_files.hpp"

namespace hf::qualify {

namespace {

namespace uapi = actions::uapi;

constexpr std::uint64_t kHuge = 2 << 20;
constexpr __u32 kXfsZoned = 1u << 27;  // XFS_FSOP_GEOM_FLAGS_ZONED, from 6.15
constexpr std::size_t kExtentsAtOnce = 256;

std::uint64_t number_in(const std::string& text) {
  std::uint64_t number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

std::optional<std::string> in_fstab(const std::string& point, const std::string& root) {
  for (const auto& line : plain_lines(text_of_file(root + "/etc/fstab").value_or(""))) {
    const auto words = words_of(line);
    if (words.size() >= 4 && !words[0].starts_with('#') && unescaped(words[1]) == point) return words[3];
  }
  return {};
}

struct Sums {
  std::uint64_t covered = 0;
  FileState* state;

  void take(std::uint64_t logical, std::uint64_t physical, std::uint64_t length, std::uint32_t flags, std::uint64_t first, std::uint64_t end) {
    const auto from = std::max(logical, first), to = std::min(logical + length, end);
    if (from >= to) return;
    covered += to - from;
    if (flags & FIEMAP_EXTENT_UNWRITTEN) state->unwritten_bytes += to - from;
    if (flags & FIEMAP_EXTENT_SHARED) state->shared_bytes += to - from;
    if (length < kHuge || (flags & FIEMAP_EXTENT_UNKNOWN)) return;
    // Both must begin at a like distance from a boundary: then the aligned middle can be mapped large.
    const auto skew = (physical % kHuge + kHuge - logical % kHuge) % kHuge;
    const auto align = skew ? skew & (~skew + 1) : kHuge;
    state->align_bytes = state->align_bytes ? std::min(state->align_bytes, align) : align;
  }
};

bool read_fiemap(int fd, std::uint64_t first, std::uint64_t end, Sums& sums) {
  std::vector<char> buffer(sizeof(fiemap) + kExtentsAtOnce * sizeof(fiemap_extent));
  auto& map = *reinterpret_cast<fiemap*>(buffer.data());
  for (std::uint64_t at = first; at < end;) {
    std::fill(buffer.begin(), buffer.end(), '\0');
    map.fm_start = at;
    map.fm_length = end - at;
    map.fm_flags = FIEMAP_FLAG_SYNC;
    map.fm_extent_count = kExtentsAtOnce;
    if (::ioctl(fd, FS_IOC_FIEMAP, &map) != 0) return false;
    if (!map.fm_mapped_extents) return true;
    for (std::uint32_t i = 0; i < map.fm_mapped_extents; i++) {
      const auto& extent = map.fm_extents[i];
      sums.take(extent.fe_logical, extent.fe_physical, extent.fe_length, extent.fe_flags, first, end);
      at = extent.fe_logical + extent.fe_length;
      if (extent.fe_flags & FIEMAP_EXTENT_LAST) return true;
    }
  }
  return true;
}

/// Where pages are the file: what has data.
bool read_holes(int fd, std::uint64_t first, std::uint64_t end, Sums& sums) {
  for (auto at = static_cast<off_t>(first); at < static_cast<off_t>(end);) {
    const off_t data = ::lseek(fd, at, SEEK_DATA);
    if (data < 0) return errno == ENXIO;
    const off_t hole = ::lseek(fd, data, SEEK_HOLE);
    if (hole < 0) return false;
    sums.take(static_cast<std::uint64_t>(data), 0, static_cast<std::uint64_t>(hole - data), FIEMAP_EXTENT_UNKNOWN, first, end);
    at = hole;
  }
  return true;
}

}  // namespace

Result<Mount> find_mount(const std::vector<Mount>& mounts, const std::string& path) {
  const Mount* best = nullptr;
  for (const auto& mount : mounts)
    // Of several at one point the last is on top.
    if (lies_in(path, mount.point) && (!best || mount.point.size() >= best->point.size())) best = &mount;
  if (best && best->point == path) return *best;
  return fail(EINVAL, fmt::format("{} is no mount point", path), best ? fmt::format("Next: holdfast qualify {}", best->point) : "");
}

FilesystemFacts filesystem_facts(const std::vector<Mount>& mounts, const Mount& mount, const std::string& root) {
  FilesystemFacts facts;
  facts.point = mount.point;
  facts.source = mount.source;
  facts.type = mount.type;
  facts.flags = mount.flags;
  facts.options = mount.options;
  facts.device = mount.device;
  const auto sys = fmt::format("{}/sys/dev/block/{}:{}", root, device_major(mount.device), device_minor(mount.device));
  facts.start_bytes = number_in(line_of_file(sys + "/start")) * 512;
  facts.dax_capable = line_of_file(sys + "/queue/dax") == "1" || line_of_file(sys + "/../queue/dax") == "1";
  facts.supported = facts.type == "xfs" || facts.type == "ext4" || facts.type == "tmpfs" || facts.type == "hugetlbfs";
  if (facts.type == "tmpfs") facts.kind = kShmem;
  if (facts.type == "hugetlbfs") facts.kind = kHugetlb;
  if (facts.type == "xfs" || facts.type == "ext4") {
    const auto dax = option_value(facts.options, "dax");
    facts.kind = dax && (dax->empty() || *dax == "always") ? kDax : kPageCache;
  }
  facts.stripe_bytes = number_in(option_value(facts.options, "stripe").value_or("0")) * facts.block_bytes;
  facts.fstab = in_fstab(facts.point, root);
  static_cast<Surroundings&>(facts) = read_surroundings(facts.point, mounts, root);
  return facts;
}

void ask_filesystem(FilesystemFacts& facts) {
  // Only those that are known: another could wait for a server.
  if (!facts.supported) return;
  const Fd folder(::open(facts.point.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder) return;
  struct statvfs space {};
  if (::fstatvfs(folder.get(), &space) == 0) facts.block_bytes = space.f_bsize;
  if (facts.type == "ext4") facts.stripe_bytes = number_in(option_value(facts.options, "stripe").value_or("0")) * facts.block_bytes;
  if (uapi::xfs_geometry geometry{}; facts.type == "xfs" && ::ioctl(folder.get(), uapi::kXfsGeometry, &geometry) == 0) {
    facts.block_bytes = geometry.blocksize;
    facts.stripe_bytes = static_cast<std::uint64_t>(geometry.sunit) * geometry.blocksize;
    facts.reflink = geometry.flags & uapi::kXfsHasReflink;
    facts.realtime = geometry.rtblocks != 0;
    facts.zoned = geometry.flags & kXfsZoned;
  }
  if (facts.type != "xfs" && facts.type != "ext4") return;
  const Fd scratch(::open(facts.point.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  struct statx seen {};
  if (!scratch || ::statx(scratch.get(), "", AT_EMPTY_PATH, STATX_BASIC_STATS, &seen) != 0 || !(seen.stx_attributes_mask & STATX_ATTR_DAX)) return;
  facts.dax_file = seen.stx_attributes & STATX_ATTR_DAX;
  facts.kind = *facts.dax_file ? kDax : kPageCache;
}

FileState file_state(const std::string& path, const std::vector<std::pair<std::uint64_t, std::uint64_t>>& extents) {
  FileState state{.path = path};
  const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  struct stat st {};
  if (!fd || ::fstat(fd.get(), &st) != 0) {
    state.trouble = std::generic_category().message(errno);
    return state;
  }
  if (!S_ISREG(st.st_mode)) {
    state.trouble = "it is no regular file";
    return state;
  }
  state.size_bytes = static_cast<std::uint64_t>(st.st_size);
  auto wanted = extents;
  if (wanted.empty()) wanted.emplace_back(0, state.size_bytes);
  state.known = true;
  for (auto [first, end] : wanted) {
    end = std::min(end, state.size_bytes);
    if (first >= end) continue;
    Sums sums{.covered = 0, .state = &state};
    if (!read_fiemap(fd.get(), first, end, sums) && !read_holes(fd.get(), first, end, sums)) {
      state.known = false;
      state.trouble = "its extents can't be read: " + std::generic_category().message(errno);
      return state;
    }
    state.hole_bytes += end - first - std::min(sums.covered, end - first);
  }
  return state;
}

}  // namespace hf::qualify
