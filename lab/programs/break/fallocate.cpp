// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// fallocate(2) with every mode that moves or frees blocks, and the calls that come to the same.
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>

#include "operation.hpp"
#include "uapi.hpp"

namespace lab {
namespace {

Outcome with_mode(const Subject& s, int mode, std::uint64_t offset, std::uint64_t length) {
  const Open file(s.file, O_RDWR);
  if (!file.fd) return file.outcome();
  s.opened();
  return from_call(fallocate(file.get(), mode, static_cast<off_t>(offset), static_cast<off_t>(length)), "fallocate");
}

Outcome punch(const Subject& s) { return with_mode(s, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, s.offset, s.length); }
/// The least that takes a block away.
Outcome punch_one(const Subject& s) { return with_mode(s, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, s.end() - s.unit, s.unit); }
Outcome zero(const Subject& s) { return with_mode(s, FALLOC_FL_ZERO_RANGE, s.offset, s.length); }
Outcome zero_keep(const Subject& s) { return with_mode(s, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, s.offset, s.length); }
Outcome collapse(const Subject& s) { return with_mode(s, FALLOC_FL_COLLAPSE_RANGE, s.offset, s.half()); }
Outcome insert(const Subject& s) { return with_mode(s, FALLOC_FL_INSERT_RANGE, s.offset, s.unit); }
Outcome unshare(const Subject& s) { return with_mode(s, FALLOC_FL_UNSHARE_RANGE, s.offset, s.length); }
Outcome write_zeroes(const Subject& s) { return with_mode(s, uapi::kFallocWriteZeroes, s.offset, s.length); }

Outcome madvise_remove(const Subject& s) {
  const Open file(s.file, O_RDWR);
  if (!file.fd) return file.outcome();
  void* mapping = mmap(nullptr, s.length, PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), static_cast<off_t>(s.offset));
  if (mapping == MAP_FAILED) return {errno, "mmap"};
  s.opened();
  return from_call(madvise(mapping, s.length, MADV_REMOVE), "madvise");
}

Outcome space_call(const Subject& s, unsigned long command) {
  const Open file(s.file, O_RDWR);
  if (!file.fd) return file.outcome();
  uapi::space_resv range{};
  range.whence = SEEK_SET;
  range.start = static_cast<__s64>(s.offset);
  range.length = static_cast<__s64>(s.length);
  return from_call(ioctl(file.get(), command, &range), "ioctl");
}
Outcome ioctl_unreserve(const Subject& s) { return space_call(s, uapi::kUnreserveSpace); }
Outcome ioctl_zero(const Subject& s) { return space_call(s, uapi::kZeroRange); }

}  // namespace

std::vector<Operation> fallocate_operations() {
  constexpr unsigned all = kEverywhere;
  return {
      {"punch", "punch", "fallocate(2)", Class::breaks, all, 0, all, false, false, punch},
      {"punch-one", "punch", "fallocate(2), one block", Class::breaks, all, 0, all, false, false, punch_one},
      {"madv-remove", "punch", "madvise(2) MADV_REMOVE", Class::breaks, all, 0, all, false, false, madvise_remove},
      {"ioctl-unresvsp", "punch", "FS_IOC_UNRESVSP64", Class::breaks, all, 0, all, false, false, ioctl_unreserve},
      {"zero", "zero", "fallocate(2)", Class::breaks, kDisk, 0, all, false, false, zero},
      {"zero-keep", "zero", "fallocate(2) KEEP_SIZE", Class::breaks, kDisk, 0, all, false, false, zero_keep},
      {"ioctl-zero-range", "zero", "FS_IOC_ZERO_RANGE", Class::breaks, kDisk, 0, all, false, false, ioctl_zero},
      {"collapse", "shift", "fallocate(2)", Class::breaks, kDisk, 0, all, false, false, collapse},
      {"insert", "shift", "fallocate(2)", Class::breaks, kDisk, 0, all, false, false, insert},
      {"unshare", "unshare", "fallocate(2)", Class::breaks, kAnyXfs, 0, all, false, false, unshare},
      {"write-zeroes", "write-zeroes", "fallocate(2)", Class::breaks, 0, kDisk, all, false, false, write_zeroes},
  };
}

}  // namespace lab
