// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "verbs/pinned_view.hpp"

#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>

#include "holdfast_pin.h"

namespace hf::verbs {
namespace {

constexpr std::uint64_t kFillStepBytes = 256ull << 20;  // between two words on the progress

tl::unexpected<Error> fill_error(int code, const std::string& path) {
  switch (code) {
    case ENOMEM:
      return fail(ENOMEM, fmt::format("{} can't be pinned: the process may not lock that much memory, or there is none left", path),
                  "Next: raise its limit on locked memory (ulimit -l; LimitMEMLOCK= of a unit)");
    case EAGAIN:
      return fail(EAGAIN, fmt::format("{} can't be pinned while its filesystem is frozen", path), "Next: try again when it is thawed (fsfreeze -u)");
    default:
      return sys_error(code, "holdfast-pin", path);
  }
}

Status fill(int pin, std::uint64_t total, const std::string& path, const hf_reg_options& options) {
  holdfast_pin_fill step{.bytes = kFillStepBytes, .filled_bytes = 0};
  while (step.filled_bytes < total) {
    if (options.progress && options.progress(step.filled_bytes, total, options.progress_context)) return fail(ECANCELED, "pinning was cancelled");
    // A signal ends a step early, and what it has pinned counts.
    if (::ioctl(pin, HOLDFAST_PIN_FILL, &step) && errno != EINTR) return fill_error(errno, path);
  }
  if (options.progress && options.progress(total, total, options.progress_context)) return fail(ECANCELED, "pinning was cancelled");
  return {};
}

}  // namespace

PinnedView::~PinnedView() {
  // A child of fork() has no copy of it, and may have something else there.
  if (memory_ && owner_ == ::getpid()) ::munmap(memory_, bytes_);
}

Result<PinnedView> PinnedView::make(const MappedFile& file, const void* address, std::size_t length, hf_session* session, const hf_reg_options& options,
                                    hf_lease_handle*& lease) {
  const auto page = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  const auto first = reinterpret_cast<std::uintptr_t>(address) - file.address_minus_offset;
  const auto page_first = first / page * page, page_end = (first + length + page - 1) / page * page;
  if (!file.linear || file.ranges.size() != 1 || file.ranges.front().offset_bytes != first ||
      (first + file.ranges.front().length_bytes + page - 1) / page * page != page_end)
    return fail(EOPNOTSUPP, fmt::format("{} is mapped there in pieces, or with other memory, which holdfast-pin can't do", file.path),
                "Next: register each stretch of a file on FS-DAX by itself");
  const hf_range range{page_first, page_end - page_first};
  int fd = -1;
  // To the end of the file, which may be inside the last page.
  const hf_range asked{first, file.ranges.front().length_bytes};
  if (const int error = hf_acquire_pin(session, file.file.get(), &asked, options.label, &lease, &fd)) return session_error(session, error);
  const Fd pin(fd);
  HF_TRY(fill(pin.get(), range.length_bytes, file.path, options));
  PinnedView view;
  void* memory = ::mmap(nullptr, range.length_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, pin.get(), 0);
  if (memory == MAP_FAILED) return sys_error(errno, "mmap", "the binding of " + file.path);
  view.memory_ = memory;
  view.bytes_ = range.length_bytes;
  view.offset_ = first - page_first;
  view.owner_ = ::getpid();
  return view;
}

}  // namespace hf::verbs
