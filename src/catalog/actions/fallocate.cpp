// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// fallocate(2) with every mode that moves or frees blocks, and the calls that come to the same.
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>

#include "catalog/actions/action.hpp"
#include "catalog/actions/uapi.hpp"

namespace hf::actions {
namespace {

Outcome with_mode(const Subject& s, int mode, std::uint64_t offset, std::uint64_t length) {
  const Open file(s, s.file, O_RDWR);
  if (!file.fd) return file.outcome();
  s.opened();
  return from_call(s.calls->fallocate(file.get(), mode, static_cast<off_t>(offset), static_cast<off_t>(length)), "fallocate");
}

Outcome punch(const Subject& s) { return with_mode(s, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, s.offset, s.length); }
/// The least that takes a block away.
Outcome punch_one(const Subject& s) { return with_mode(s, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, s.end() - s.unit, s.unit); }
/// Nothing of it is a whole block, so that only content goes. XFS drops the whole page from the page cache all the same (xfs_flush_unmap_range()).
Outcome punch_inside(const Subject& s) { return with_mode(s, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, s.offset + 512, 512); }
Outcome zero(const Subject& s) { return with_mode(s, FALLOC_FL_ZERO_RANGE, s.offset, s.length); }
Outcome zero_keep(const Subject& s) { return with_mode(s, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, s.offset, s.length); }
Outcome collapse(const Subject& s) { return with_mode(s, FALLOC_FL_COLLAPSE_RANGE, s.offset, s.half()); }
Outcome insert(const Subject& s) { return with_mode(s, FALLOC_FL_INSERT_RANGE, s.offset, s.unit); }
Outcome unshare(const Subject& s) { return with_mode(s, FALLOC_FL_UNSHARE_RANGE, s.offset, s.length); }
Outcome write_zeroes(const Subject& s) { return with_mode(s, uapi::kFallocWriteZeroes, s.offset, s.length); }

/// Shares the file's extents with a copy, so that there is something to unshare.
Outcome share_first(Subject& s) {
  const Open from(s, s.file, O_RDONLY), to(s, s.donor, O_WRONLY);
  if (!from.fd || !to.fd) return from.fd ? to.outcome() : from.outcome();
  return from_libc(ioctl(to.get(), FICLONE, from.get()), "ioctl FICLONE");
}

Outcome madvise_remove(const Subject& s) {
  const Open file(s, s.file, O_RDWR);
  if (!file.fd) return file.outcome();
  // Where a 32-bit pointer reaches it; MAP_32BIT means nothing to hugetlbfs.
  void* const hint = s.calls->compat() ? reinterpret_cast<void*>(0x20000000) : nullptr;
  void* mapping = mmap(hint, s.length, PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), static_cast<off_t>(s.offset));
  if (mapping == MAP_FAILED) return {errno, "mmap"};
  s.opened();
  return from_call(s.calls->madvise(mapping, s.length, MADV_REMOVE), "madvise");
}

template <class Space>
Outcome space_call(const Subject& s, unsigned long command) {
  const Open file(s, s.file, O_RDWR);
  if (!file.fd) return file.outcome();
  Space range{};
  range.whence = SEEK_SET;
  range.start = static_cast<__s64>(s.offset);
  range.length = static_cast<__s64>(s.length);
  return from_call(s.calls->ioctl(file.get(), command, &range, sizeof range), "ioctl");
}
Outcome ioctl_unreserve(const Subject& s) {
  return s.calls->compat() ? space_call<uapi::space_resv_32>(s, uapi::kUnreserveSpace32) : space_call<uapi::space_resv>(s, uapi::kUnreserveSpace);
}
Outcome ioctl_zero(const Subject& s) {
  return s.calls->compat() ? space_call<uapi::space_resv_32>(s, uapi::kZeroRange32) : space_call<uapi::space_resv>(s, uapi::kZeroRange);
}

}  // namespace

std::vector<Action> fallocate_actions() {
  constexpr unsigned all = kEverywhere;
  constexpr Kind breaks = Kind::breaks;
  constexpr Needs nothing = Needs::nothing;
  return {
      {"punch", "punch", "fallocate(2)", breaks, all, 0, all, all, kByRing, nothing, punch},
      {"punch-one", "punch", "fallocate(2), one block", breaks, all, 0, all, all, kByRing, nothing, punch_one},
      {"punch-inside", "punch", "fallocate(2), part of a block", breaks, all, 0, all, kXfs, kByRing, nothing, punch_inside},
      {"madv-remove", "punch", "madvise(2) MADV_REMOVE", breaks, all, 0, all, all, kByRing, nothing, madvise_remove},
      {"ioctl-unresvsp", "punch", "FS_IOC_UNRESVSP64", breaks, all, 0, all, all, 0, nothing, ioctl_unreserve},
      {"zero", "zero", "fallocate(2)", breaks, kDisk, 0, all, kDisk, kByRing, nothing, zero},
      {"zero-keep", "zero", "fallocate(2) KEEP_SIZE", breaks, kDisk, 0, all, kDisk, kByRing, nothing, zero_keep},
      {"ioctl-zero-range", "zero", "FS_IOC_ZERO_RANGE", breaks, kDisk, 0, all, kDisk, 0, nothing, ioctl_zero},
      {"collapse", "collapse", "fallocate(2)", breaks, kDisk, 0, all, kDisk, kByRing, nothing, collapse},
      {"insert", "insert", "fallocate(2)", breaks, kDisk, 0, all, kDisk, kByRing, nothing, insert},
      {"unshare", "unshare", "fallocate(2)", breaks, kAnyXfs, 0, all, kAnyXfs, kByRing | kNeedsDonor, Needs::reflink, unshare, share_first},
      {"write-zeroes", "write-zeroes", "fallocate(2)", breaks, 0, kDisk, all, 0, kByRing, Needs::write_zeroes, write_zeroes},
  };
}

}  // namespace hf::actions
