// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "catalog/actions/action.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/magic.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <system_error>
#include <unordered_set>

#include "catalog/actions/uapi.hpp"

namespace hf::actions {

namespace {

/// The functions of the running kernel and its loaded modules, by name.
const std::unordered_set<std::string>& kernel_functions() {
  static const std::unordered_set<std::string> names = [] {
    std::unordered_set<std::string> all;
    std::ifstream file("/proc/kallsyms");
    std::string address, kind, name, rest;
    while (file >> address >> kind >> name && std::getline(file, rest)) all.insert(name.substr(0, name.find('.')));
    return all;
  }();
  return names;
}

bool kernel_has(const char* function) { return kernel_functions().contains(function); }

void ask_xfs(const std::string& path, Place& place) {
  const hf::Fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  uapi::xfs_geometry geometry{};
  if (!fd || ioctl(fd.get(), uapi::kXfsGeometry, &geometry) != 0) throw std::system_error(errno, std::generic_category(), "XFS_IOC_FSGEOMETRY " + path);
  place.reflink = geometry.flags & uapi::kXfsHasReflink;
  place.exchange = geometry.flags & uapi::kXfsHasExchange;
}

}  // namespace

std::uint64_t Subject::half() const {
  const std::uint64_t bytes = length / 2 / unit * unit;
  return std::max(bytes, unit);
}

void Subject::opened() const {
  if (!wait) return;
  fmt::print("{{\"ready\": true}}\n");
  std::fflush(stdout);
  for (int c = std::getchar(); c != EOF && c != '\n'; c = std::getchar()) {
  }
}

Open::Open(const Subject& subject, const std::string& path, int flags, unsigned mode) {
  const bool early = subject.early >= 0 && path == subject.file;
  const long result = early ? fcntl(subject.early, F_DUPFD_CLOEXEC, 0) : subject.calls->open(path.c_str(), flags | O_CLOEXEC, mode);
  if (result >= 0)
    fd = hf::Fd(static_cast<int>(result));
  else
    error = early ? errno : static_cast<int>(-result);
}

Outcome from_call(long result, const char* call) { return {result < 0 ? static_cast<int>(-result) : 0, call}; }
Outcome from_libc(long result, const char* call) { return {result < 0 ? errno : 0, call}; }

const std::vector<Action>& actions() {
  static const std::vector<Action> all = [] {
    std::vector<Action> table;
    for (auto part : {size_actions, fallocate_actions, share_actions, exchange_actions, attribute_actions, cache_actions, device_actions, control_actions}) {
      std::ranges::move(part(), std::back_inserter(table));
    }
    return table;
  }();
  return all;
}

const Action* find_action(std::string_view name) {
  const auto found = std::ranges::find(actions(), name, &Action::name);
  return found == actions().end() ? nullptr : &*found;
}

Place place_of(const std::string& path) {
  struct statfs filesystem {};
  if (statfs(path.c_str(), &filesystem) != 0) throw std::system_error(errno, std::generic_category(), "statfs " + path);
  struct statx status {};
  if (statx(AT_FDCWD, path.c_str(), 0, STATX_BASIC_STATS, &status) != 0) throw std::system_error(errno, std::generic_category(), "statx " + path);
  const bool dax = status.stx_attributes & STATX_ATTR_DAX;
  Place place;
  switch (filesystem.f_type) {
    case 0x58465342:
      place.where = dax ? kXfsDax : kXfs;
      ask_xfs(path, place);
      break;
    case EXT4_SUPER_MAGIC:
      place.where = dax ? kExt4Dax : kExt4;
      break;
    case TMPFS_MAGIC:
      place.where = kTmpfs;
      break;
    case HUGETLBFS_MAGIC:
      place.where = kHugetlbfs;
      place.unit = status.stx_blksize;
      break;
    default:
      throw std::runtime_error(fmt::format("{}: a filesystem that the catalogue does not know (magic {:#x})", path, filesystem.f_type));
  }
  return place;
}

bool has(Needs needs, const Place& place) {
  switch (needs) {
    case Needs::nothing:
    case Needs::write_zeroes:
    case Needs::verity:
    case Needs::block_map:
    case Needs::file_version:
      return true;  // can't be asked: the action's may_run says where
    case Needs::ring_ftruncate:
      return kernel_has("io_ftruncate");
    case Needs::file_setattr:
      return kernel_has("__x64_sys_file_setattr") || kernel_has("__arm64_sys_file_setattr");
    case Needs::exchange_range:
      return place.exchange && kernel_has("xfs_ioc_exchange_range");
    case Needs::commit_range:
      return place.exchange && kernel_has("xfs_ioc_commit_range");
    case Needs::reflink:
      return place.reflink;
    case Needs::backing_files:
      return kernel_has("backing_file_splice_write");
    case Needs::loop:
      return access("/dev/loop-control", F_OK) == 0 && kernel_has("lo_ioctl");
  }
  return true;
}

bool moves(const Action& action, const Place& place) { return action.moves & place.where && has(action.moves_needs, place); }

std::string_view text(Needs needs) {
  switch (needs) {
    case Needs::nothing:
      return "";
    case Needs::ring_ftruncate:
      return "this kernel's io_uring has no request to truncate";
    case Needs::file_setattr:
      return "this kernel has no file_setattr(2)";
    case Needs::exchange_range:
      return "wants an XFS made with exchange=1, and a kernel that knows it";
    case Needs::commit_range:
      return "wants an XFS made with exchange=1, and a kernel that can commit ranges";
    case Needs::reflink:
      return "this filesystem shares no blocks";
    case Needs::write_zeroes:
      return "wants a kernel and a device that write zeroes by themselves";
    case Needs::verity:
      return "wants an ext4 made with -O verity";
    case Needs::block_map:
      return "wants an ext4 that takes files without extents";
    case Needs::file_version:
      return "wants an ext4 made without metadata_csum";
    case Needs::backing_files:
      return "this kernel's overlayfs writes what is spliced by way of the lower file's hooks";
    case Needs::loop:
      return "the loop module is not loaded";
  }
  return "?";
}

std::string_view name(Where where) {
  switch (where) {
    case kXfsDax:
      return "xfs-dax";
    case kXfs:
      return "xfs";
    case kExt4Dax:
      return "ext4-dax";
    case kExt4:
      return "ext4";
    case kTmpfs:
      return "tmpfs";
    case kHugetlbfs:
      return "hugetlbfs";
    default:
      return "?";
  }
}

}  // namespace hf::actions
