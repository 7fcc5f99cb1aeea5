// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "catalog/actions/calls.hpp"

#include <fcntl.h>
#include <liburing.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string_view>

#include "catalog/actions/uapi.hpp"

namespace hf::actions {

namespace {

long answer(long result) { return result < 0 ? -errno : result; }

// ---- the kernel's 32-bit entry

#if defined(__x86_64__)
/// @param arguments six, each below 4 GiB
extern "C" long hf_compat_syscall(long number, const std::uint32_t* arguments);
// A function of its own: the call takes all registers, the frame pointer too, and must not be in the way of a red zone.
asm(R"(
  .text
  .globl hf_compat_syscall
  .hidden hf_compat_syscall
  .type hf_compat_syscall, @function
hf_compat_syscall:
  push %rbx
  push %rbp
  mov %edi, %eax
  mov %rsi, %r8
  mov (%r8), %ebx
  mov 4(%r8), %ecx
  mov 8(%r8), %edx
  mov 12(%r8), %esi
  mov 16(%r8), %edi
  mov 20(%r8), %ebp
  int $0x80
  movslq %eax, %rax
  pop %rbp
  pop %rbx
  ret
  .size hf_compat_syscall, .-hf_compat_syscall
)");
#else
long hf_compat_syscall(long, const std::uint32_t*) { return -ENOSYS; }
#endif

std::uint32_t low(std::uint64_t value) { return static_cast<std::uint32_t>(value); }
std::uint32_t high(std::uint64_t value) { return static_cast<std::uint32_t>(value >> 32); }

template <class... Argument>
long compat_call(long number, Argument... argument) {
  const std::uint32_t arguments[6] = {static_cast<std::uint32_t>(argument)...};
  return hf_compat_syscall(number, arguments);
}

/// Memory that a 32-bit pointer reaches, with a copy of what is given.
class LowMemory {
 public:
  LowMemory(const void* data, std::size_t bytes)
      : bytes_(bytes ? bytes : 1), memory_(mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0)) {
    if (good() && bytes) std::memcpy(memory_, data, bytes);
  }
  LowMemory(const LowMemory&) = delete;
  LowMemory& operator=(const LowMemory&) = delete;
  explicit LowMemory(const char* text) : LowMemory(text, std::strlen(text) + 1) {}
  ~LowMemory() {
    if (good()) munmap(memory_, bytes_);
  }
  bool good() const { return memory_ != MAP_FAILED; }
  std::uint32_t address() const { return low(reinterpret_cast<std::uintptr_t>(memory_)); }
  void read_back(void* data, std::size_t bytes) const { std::memcpy(data, memory_, bytes); }

 private:
  std::size_t bytes_;
  void* memory_;
};

// arch/x86/entry/syscalls/syscall_32.tbl
enum CompatNumber : long {
  kOpen = 5,
  kCreat = 8,
  kIoctl = 54,
  kPwrite64 = 181,
  kTruncate64 = 193,
  kFtruncate64 = 194,
  kMadvise = 219,
  kFallocate = 324,
  kCopyFileRange = 377,
};

class CompatCalls : public Calls {
 public:
  long open(const char* path, int flags, unsigned mode) const override {
    const LowMemory name(path);
    return name.good() ? compat_call(kOpen, name.address(), flags, mode) : -ENOMEM;
  }
  long creat(const char* path, unsigned mode) const override {
    const LowMemory name(path);
    return name.good() ? compat_call(kCreat, name.address(), mode) : -ENOMEM;
  }
  long truncate(const char* path, off_t size) const override {
    const LowMemory name(path);
    const auto bytes = static_cast<std::uint64_t>(size);
    return name.good() ? compat_call(kTruncate64, name.address(), low(bytes), high(bytes)) : -ENOMEM;
  }
  long ftruncate(int fd, off_t size) const override {
    const auto bytes = static_cast<std::uint64_t>(size);
    return compat_call(kFtruncate64, fd, low(bytes), high(bytes));
  }
  long fallocate(int fd, int mode, off_t offset, off_t length) const override {
    const auto from = static_cast<std::uint64_t>(offset), bytes = static_cast<std::uint64_t>(length);
    return compat_call(kFallocate, fd, mode, low(from), high(from), low(bytes), high(bytes));
  }
  long madvise(void* address, std::size_t length, int advice) const override {
    const auto where = reinterpret_cast<std::uintptr_t>(address);
    return high(where) ? -EINVAL : compat_call(kMadvise, low(where), length, advice);
  }
  long pwrite(int fd, const void* data, std::size_t length, off_t offset) const override {
    const LowMemory memory(data, length);
    const auto at = static_cast<std::uint64_t>(offset);
    return memory.good() ? compat_call(kPwrite64, fd, memory.address(), length, low(at), high(at)) : -ENOMEM;
  }
  long copy_file_range(int in, std::int64_t* in_offset, int out, std::int64_t* out_offset, std::size_t length) const override {
    const LowMemory from(in_offset, sizeof *in_offset), into(out_offset, sizeof *out_offset);
    return from.good() && into.good() ? compat_call(kCopyFileRange, in, from.address(), out, into.address(), length, 0) : -ENOMEM;
  }
  long file_setattr(const char* path, void* attributes, std::size_t bytes) const override {
    const LowMemory name(path), memory(attributes, bytes);
    return name.good() && memory.good() ? compat_call(uapi::kFileSetattr, AT_FDCWD, name.address(), memory.address(), bytes, 0) : -ENOMEM;
  }
  long ioctl(int fd, unsigned long command, void* argument, std::size_t bytes) const override {
    const LowMemory memory(argument, bytes);
    if (!memory.good()) return -ENOMEM;
    if (command == FS_IOC_GETFLAGS) command = FS_IOC32_GETFLAGS;
    if (command == FS_IOC_SETFLAGS) command = FS_IOC32_SETFLAGS;
    if (command == FS_IOC_SETVERSION) command = FS_IOC32_SETVERSION;
    const long result = compat_call(kIoctl, fd, command, memory.address());
    memory.read_back(argument, bytes);
    return result;
  }
  long ioctl_value(int fd, unsigned long command, unsigned long value) const override { return compat_call(kIoctl, fd, command, value); }
  bool compat() const override { return true; }
};

// ---- io_uring

class RingCalls : public Calls {
 public:
  explicit RingCalls(bool worker) : worker_(worker) {}

  long open(const char* path, int flags, unsigned mode) const override {
    return submit(IORING_OP_OPENAT, [=](io_uring_sqe* request) { io_uring_prep_openat(request, AT_FDCWD, path, flags, mode); });
  }
  long creat(const char* path, unsigned mode) const override { return open(path, O_CREAT | O_WRONLY | O_TRUNC, mode); }
  long ftruncate(int fd, off_t size) const override {
    return submit(uapi::kUringFtruncate, [=](io_uring_sqe* request) {
      io_uring_prep_nop(request);
      request->opcode = uapi::kUringFtruncate;
      request->fd = fd;
      request->off = static_cast<__u64>(size);
    });
  }
  long fallocate(int fd, int mode, off_t offset, off_t length) const override {
    return submit(IORING_OP_FALLOCATE, [=](io_uring_sqe* request) { io_uring_prep_fallocate(request, fd, mode, offset, length); });
  }
  long madvise(void* address, std::size_t length, int advice) const override {
    return submit(IORING_OP_MADVISE, [=](io_uring_sqe* request) { io_uring_prep_madvise(request, address, static_cast<off_t>(length), advice); });
  }
  long pwrite(int fd, const void* data, std::size_t length, off_t offset) const override {
    return submit(IORING_OP_WRITE,
                  [=](io_uring_sqe* request) { io_uring_prep_write(request, fd, data, static_cast<unsigned>(length), static_cast<__u64>(offset)); });
  }

 private:
  /// Submits one request and waits for its answer.
  template <class Prepare>
  long submit(unsigned opcode, Prepare prepare) const {
    io_uring ring;
    if (const int error = io_uring_queue_init(4, &ring, 0)) return error == -EPERM ? -EOPNOTSUPP : error;
    struct Exit {
      io_uring* ring;
      ~Exit() { io_uring_queue_exit(ring); }
    } exit{&ring};
    io_uring_probe* probe = io_uring_get_probe_ring(&ring);
    const bool known = probe && opcode <= probe->last_op && (probe->ops[opcode].flags & IO_URING_OP_SUPPORTED);
    io_uring_free_probe(probe);
    if (!known) return -EOPNOTSUPP;

    io_uring_sqe* request = io_uring_get_sqe(&ring);
    prepare(request);
    if (worker_) io_uring_sqe_set_flags(request, IOSQE_ASYNC);
    if (const int submitted = io_uring_submit(&ring); submitted < 0) return submitted;
    io_uring_cqe* completion = nullptr;
    if (const int error = io_uring_wait_cqe(&ring, &completion)) return error;
    const int result = completion->res;
    io_uring_cqe_seen(&ring, completion);
    return result;
  }

  bool worker_;
};

}  // namespace

long Calls::open(const char* path, int flags, unsigned mode) const { return answer(::open(path, flags, mode)); }
long Calls::creat(const char* path, unsigned mode) const { return answer(::creat(path, mode)); }
long Calls::truncate(const char* path, off_t size) const { return answer(::truncate(path, size)); }
long Calls::ftruncate(int fd, off_t size) const { return answer(::ftruncate(fd, size)); }
long Calls::fallocate(int fd, int mode, off_t offset, off_t length) const { return answer(::fallocate(fd, mode, offset, length)); }
long Calls::madvise(void* address, std::size_t length, int advice) const { return answer(::madvise(address, length, advice)); }
long Calls::pwrite(int fd, const void* data, std::size_t length, off_t offset) const { return answer(::pwrite(fd, data, length, offset)); }
long Calls::copy_file_range(int in, std::int64_t* in_offset, int out, std::int64_t* out_offset, std::size_t length) const {
  return answer(::copy_file_range(in, in_offset, out, out_offset, length, 0));
}
long Calls::file_setattr(const char* path, void* attributes, std::size_t bytes) const {
  return answer(syscall(uapi::kFileSetattr, AT_FDCWD, path, attributes, bytes, 0));
}
long Calls::ioctl(int fd, unsigned long command, void* argument, std::size_t) const { return answer(::ioctl(fd, command, argument)); }
long Calls::ioctl_value(int fd, unsigned long command, unsigned long value) const { return answer(::ioctl(fd, command, value)); }

const Calls& native_calls() {
  static const Calls calls;
  return calls;
}

const Calls& compat_calls() {
  static const CompatCalls calls;
  return calls;
}

const Calls& ring_calls(bool worker) {
  static const RingCalls inline_calls(false), worker_calls(true);
  return worker ? worker_calls : inline_calls;
}

}  // namespace hf::actions
