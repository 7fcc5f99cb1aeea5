// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// The io_uring routes, each as the kernel likes it ("inline") and forced to a worker thread (IOSQE_ASYNC), where the breaker is the worker.
#include <fcntl.h>
#include <liburing.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>

#include "operation.hpp"
#include "uapi.hpp"

namespace lab {
namespace {

/// Submits one request and waits for its answer.
template <class Prepare>
Outcome submit(unsigned opcode, bool worker, const char* name, Prepare prepare) {
  io_uring ring;
  if (const int error = io_uring_queue_init(4, &ring, 0)) return {-error == EPERM ? EOPNOTSUPP : -error, "io_uring_setup"};
  struct Exit {
    io_uring* ring;
    ~Exit() { io_uring_queue_exit(ring); }
  } exit{&ring};
  io_uring_probe* probe = io_uring_get_probe_ring(&ring);
  const bool known = probe && opcode <= probe->last_op && (probe->ops[opcode].flags & IO_URING_OP_SUPPORTED);
  io_uring_free_probe(probe);
  if (!known) return {EOPNOTSUPP, "this kernel's io_uring has no such request"};

  io_uring_sqe* request = io_uring_get_sqe(&ring);
  prepare(request);
  if (worker) io_uring_sqe_set_flags(request, IOSQE_ASYNC);
  if (const int submitted = io_uring_submit(&ring); submitted < 0) return {-submitted, "io_uring_enter"};
  io_uring_cqe* completion = nullptr;
  if (const int error = io_uring_wait_cqe(&ring, &completion)) return {-error, "io_uring_wait_cqe"};
  const int result = completion->res;
  io_uring_cqe_seen(&ring, completion);
  return {result < 0 ? -result : 0, name};
}

template <bool worker>
Outcome with_mode(const Subject& s, int mode, std::uint64_t length) {
  const Open file(s.file, O_RDWR);
  if (!file.fd) return file.outcome();
  return submit(IORING_OP_FALLOCATE, worker, "IORING_OP_FALLOCATE",
                [&](io_uring_sqe* request) { io_uring_prep_fallocate(request, file.get(), mode, static_cast<off_t>(s.offset), static_cast<off_t>(length)); });
}

template <bool worker>
Outcome punch(const Subject& s) {
  return with_mode<worker>(s, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, s.length);
}
template <bool worker>
Outcome zero(const Subject& s) {
  return with_mode<worker>(s, FALLOC_FL_ZERO_RANGE, s.length);
}
template <bool worker>
Outcome collapse(const Subject& s) {
  return with_mode<worker>(s, FALLOC_FL_COLLAPSE_RANGE, s.half());
}

template <bool worker>
Outcome truncate_by_ring(const Subject& s) {
  const Open file(s.file, O_RDWR);
  if (!file.fd) return file.outcome();
  return submit(uapi::kUringFtruncate, worker, "IORING_OP_FTRUNCATE", [&](io_uring_sqe* request) {
    io_uring_prep_nop(request);
    request->opcode = uapi::kUringFtruncate;
    request->fd = file.get();
    request->off = s.offset;
  });
}

template <bool worker>
Outcome open_truncate(const Subject& s) {
  return submit(IORING_OP_OPENAT, worker, "IORING_OP_OPENAT",
                [&](io_uring_sqe* request) { io_uring_prep_openat(request, AT_FDCWD, s.file.c_str(), O_RDWR | O_TRUNC | O_CLOEXEC, 0); });
}

template <bool worker>
Outcome madvise_remove(const Subject& s) {
  const Open file(s.file, O_RDWR);
  if (!file.fd) return file.outcome();
  void* mapping = mmap(nullptr, s.length, PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), static_cast<off_t>(s.offset));
  if (mapping == MAP_FAILED) return {errno, "mmap"};
  return submit(IORING_OP_MADVISE, worker, "IORING_OP_MADVISE",
                [&](io_uring_sqe* request) { io_uring_prep_madvise(request, mapping, static_cast<off_t>(s.length), MADV_REMOVE); });
}

}  // namespace

std::vector<Operation> uring_operations() {
  constexpr unsigned all = kEverywhere;
  return {
      {"uring-punch", "punch", "io_uring", Class::breaks, all, 0, all, false, false, punch<false>},
      {"uring-punch-worker", "punch", "io_uring worker", Class::breaks, all, 0, all, false, false, punch<true>},
      {"uring-zero", "zero", "io_uring", Class::breaks, kDisk, 0, all, false, false, zero<false>},
      {"uring-zero-worker", "zero", "io_uring worker", Class::breaks, kDisk, 0, all, false, false, zero<true>},
      {"uring-collapse", "shift", "io_uring", Class::breaks, kDisk, 0, all, false, false, collapse<false>},
      {"uring-collapse-worker", "shift", "io_uring worker", Class::breaks, kDisk, 0, all, false, false, collapse<true>},
      {"uring-ftruncate", "truncate", "io_uring", Class::breaks, 0, all, all, false, false, truncate_by_ring<false>},
      {"uring-ftruncate-worker", "truncate", "io_uring worker", Class::breaks, 0, all, all, false, false, truncate_by_ring<true>},
      {"uring-open-trunc", "truncate", "io_uring", Class::breaks, all, 0, all, false, false, open_truncate<false>},
      {"uring-open-trunc-worker", "truncate", "io_uring worker", Class::breaks, all, 0, all, false, false, open_truncate<true>},
      {"uring-madv-remove", "punch", "io_uring", Class::breaks, all, 0, all, false, false, madvise_remove<false>},
      {"uring-madv-remove-worker", "punch", "io_uring worker", Class::breaks, all, 0, all, false, false, madvise_remove<true>},
  };
}

}  // namespace lab
