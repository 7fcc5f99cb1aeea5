// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// The one element of an array map, mapped: read and written in place, without a system call.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <utility>

#include "base/result.hpp"

namespace hf {

template <class Value>
class MapView {
 public:
  MapView() = default;
  MapView(MapView&& other) noexcept : at_(std::exchange(other.at_, nullptr)) {}
  MapView& operator=(MapView&& other) noexcept {
    std::swap(at_, other.at_);
    return *this;
  }
  ~MapView() {
    if (at_) ::munmap(at_, bytes());
  }

  /// @param map descriptor of an array map with BPF_F_MMAPABLE
  /// @param name for the message
  /// @errors those of mmap()
  static Result<MapView> open(int map, const char* name) {
    void* at = ::mmap(nullptr, bytes(), PROT_READ | PROT_WRITE, MAP_SHARED, map, 0);
    if (at == MAP_FAILED) return sys_error(errno, "mmap", name);
    MapView view;
    view.at_ = static_cast<Value*>(at);
    return view;
  }

  Value& operator*() const { return *at_; }
  Value* operator->() const { return at_; }

 private:
  static std::size_t bytes() {
    const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    return (sizeof(Value) + page - 1) / page * page;
  }
  Value* at_ = nullptr;
};

}  // namespace hf
