// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// A second mapping of a file's bytes on FS-DAX, by the kernel module holdfast-pin: one that a region can be made over without ODP.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <utility>

#include "base/result.hpp"
#include "holdfast/verbs.h"
#include "verbs/files.hpp"

namespace hf::verbs {

class PinnedView {
 public:
  PinnedView() = default;
  PinnedView(PinnedView&& other) noexcept { swap(other); }
  PinnedView& operator=(PinnedView&& other) noexcept {
    swap(other);
    return *this;
  }
  /// Its pages are pinned until here, and beyond while a region is there. The lease is the caller's.
  ~PinnedView();

  /// Leases the whole file, pins the bytes at [address, address + length), which are this file's and in its order, and maps them anew.
  /// @param lease set as soon as it stands
  static Result<PinnedView> make(const MappedFile& file, const void* address, std::size_t length, hf_session* session, const hf_reg_options& options,
                                 hf_lease_handle*& lease);

  /// Where the byte at make()'s address is seen.
  void* start() const { return static_cast<char*>(memory_) + offset_; }

 private:
  void swap(PinnedView& other) {
    std::swap(memory_, other.memory_);
    std::swap(bytes_, other.bytes_);
    std::swap(offset_, other.offset_);
    std::swap(owner_, other.owner_);
  }

  void* memory_ = nullptr;
  std::size_t bytes_ = 0;
  std::size_t offset_ = 0;
  pid_t owner_ = 0;
};

/// What libholdfast said of its last failure.
tl::unexpected<Error> session_error(hf_session* session, int result);

}  // namespace hf::verbs
