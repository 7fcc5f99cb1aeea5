// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// A region of hf_reg_mr() with its leases. Leases come before the pin and go after it.
#pragma once

#include <sys/types.h>

#include <memory>
#include <span>
#include <vector>

#include "base/result.hpp"
#include "holdfast/verbs.h"
#include "rdma/fence.hpp"
#include "verbs/files.hpp"
#include "verbs/pinned_view.hpp"

namespace hf::verbs {

struct Request {
  hf_session* session;
  ibv_pd* domain;
  void* address;
  std::size_t length;
  int access;
  hf_reg_options options;
};

class Registration {
 public:
  static Result<std::unique_ptr<Registration>> make(const Request& request);
  /// Ends the region where it still is, then the leases.
  ~Registration();
  Registration(const Registration&) = delete;
  Registration& operator=(const Registration&) = delete;

  /// @return ibv_dereg_mr()'s errno; 0: the region is gone
  int dereg();
  Result<rdma::Raised> fence(std::span<const rdma::FenceKind> kinds, std::vector<ibv_qp*> pairs);

  ibv_mr* region() const { return region_; }
  rdma::Plan plan() const { return plan_; }
  std::span<hf_lease_handle* const> leases() const { return leases_; }
  bool foreign() const;  ///< of a parent of this process

 private:
  explicit Registration(const Request& request);
  Status settle(const std::vector<MappedFile>& files);
  Status lease(const std::vector<MappedFile>& files);
  Status reg(const rdma::PlanQuestion& question, const std::vector<MappedFile>& files);
  Status reg_pinned(const std::vector<MappedFile>& files);

  Request request_;
  pid_t owner_;
  ibv_mr* region_ = nullptr;
  rdma::Plan plan_ = rdma::Plan::refused;
  std::vector<hf_lease_handle*> leases_;
  PinnedView view_;  ///< by which the region was made, with Plan::pinned
  rdma::ProtectionDomain quarantine_;
};

}  // namespace hf::verbs
