// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// The system calls that break sources are issued by, each in the ways in which a process can issue it: as ever, through the kernel's 32-bit entry, through
// io_uring.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>

namespace hf::actions {

/// All answer 0 or more, or a negative errno. These are the ordinary 64-bit calls.
class Calls {
 public:
  virtual ~Calls() = default;
  virtual long open(const char* path, int flags, unsigned mode) const;
  virtual long creat(const char* path, unsigned mode) const;
  virtual long truncate(const char* path, off_t size) const;
  virtual long ftruncate(int fd, off_t size) const;
  virtual long fallocate(int fd, int mode, off_t offset, off_t length) const;
  virtual long madvise(void* address, std::size_t length, int advice) const;
  virtual long pwrite(int fd, const void* data, std::size_t length, off_t offset) const;
  virtual long copy_file_range(int in, std::int64_t* in_offset, int out, std::int64_t* out_offset, std::size_t length) const;
  virtual long file_setattr(const char* path, void* attributes, std::size_t bytes) const;
  /// @param argument of `bytes` bytes, read and written
  virtual long ioctl(int fd, unsigned long command, void* argument, std::size_t bytes) const;
  virtual long ioctl_value(int fd, unsigned long command, unsigned long value) const;
  virtual bool compat() const { return false; }  ///< arguments of ioctl() must have the 32-bit layout
};

const Calls& native_calls();
/// int 0x80 from a 64-bit process: what it reaches is what a 32-bit program reaches. Everything else of the process stays 64-bit.
const Calls& compat_calls();
/// Where the kernel has a request for it; the others as ever. @param worker a kernel thread of this process performs it
const Calls& ring_calls(bool worker);

}  // namespace hf::actions
