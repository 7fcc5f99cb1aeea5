// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// verbs.h for C++20: regions that end themselves, errors as std::error_code or, in the overloads without one, as std::system_error.
//
//   auto session = holdfast::Session::connect();
//   auto region = holdfast::Region::reg(session, pd, memory, length, IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE);
//   ... region->rkey ...
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <system_error>
#include <utility>

#include "holdfast.hpp"
#include "verbs.h"

namespace holdfast {

using FenceReport = hf_fence_report;

/// A registered region with its leases; both end with the object. It must not outlive its session.
class Region {
 public:
  Region() = default;
  Region(Region&& other) noexcept : mr_(std::exchange(other.mr_, nullptr)) {}
  Region& operator=(Region&& other) noexcept {
    if (this != &other) {
      dereg();
      mr_ = std::exchange(other.mr_, nullptr);
    }
    return *this;
  }
  ~Region() { dereg(); }

  static Region reg(Session& session, ibv_pd* domain, void* address, std::size_t length, int access, const hf_reg_options& options, std::error_code& error) {
    ibv_mr* raw = nullptr;
    error = code(hf_reg_mr(session.get(), domain, address, length, access, &options, &raw));
    return Region(raw);
  }
  static Region reg(Session& session, ibv_pd* domain, void* address, std::size_t length, int access, const hf_reg_options& options = {}) {
    std::error_code error;
    auto region = reg(session, domain, address, length, access, options, error);
    if (error) throw std::system_error(error, hf_verbs_error_text());
    return region;
  }

  explicit operator bool() const { return mr_ != nullptr; }
  ibv_mr* get() const { return mr_; }
  ibv_mr* operator->() const { return mr_; }
  hf_plan plan() const { return static_cast<hf_plan>(hf_mr_plan(mr_)); }
  std::uint64_t lease_id(std::size_t index = 0) const { return hf_mr_lease_id(mr_, index); }

  /// Out of reach from the wire, proved; the layout stays leased until the region ends.
  FenceReport fence(std::error_code& error, const hf_fence_options& options = {}) {
    FenceReport report{};
    error = code(hf_fence_mr(mr_, &options, &report, sizeof report));
    return report;
  }
  FenceReport fence(const hf_fence_options& options = {}) {
    std::error_code error;
    const auto report = fence(error, options);
    if (error) throw std::system_error(error, hf_verbs_error_text());
    return report;
  }

  /// Ends the region now. @return what hf_dereg_mr() said
  std::error_code dereg() noexcept { return code(mr_ ? hf_dereg_mr(std::exchange(mr_, nullptr)) : 0); }

 private:
  explicit Region(ibv_mr* mr) : mr_(mr) {}
  static std::error_code code(int result) { return {-result, std::generic_category()}; }

  ibv_mr* mr_ = nullptr;
};

}  // namespace holdfast
