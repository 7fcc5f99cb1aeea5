// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// Fences: making a region unreachable from the wire, and proving it. A fence that can't be proved is an error, never a success.
//
// Proof: with queue pairs of its own in the region's protection domain, the fence reaches the region before (a positive control) and is answered with
// a remote access error after. Probes that can change nothing go first: an atomic add of 0, a read; only where these are refused, a write of the bytes that
// are there.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "rdma/loopback.hpp"
#include "rdma/uverbs.hpp"

namespace hf::rdma {

/// In the order of preference: what is left of the region, and who else is hit.
enum class FenceKind {
  rereg_domain,  ///< the region moves to a protection domain without queue pairs; it stays registered and can be brought back
  rereg_access,  ///< the region loses its remote access; likewise
  dereg,         ///< the region is gone
  queue_pairs,   ///< the given queue pairs go to the error state, with all that they do elsewhere
};
std::string_view fence_word(FenceKind kind);
/// Whom it hits, in words.
std::string_view fence_reach(FenceKind kind);

struct FencedRegion {
  ibv_mr* region = nullptr;
  void* address = nullptr;  ///< of the memory; it must stay mapped
  std::size_t length = 0;
  int access = 0;  ///< IBV_ACCESS_* that it was registered with
  std::vector<ibv_qp*> pairs;
};

struct Raised {
  FenceKind kind = FenceKind::rereg_domain;
  std::string proof;
};

class Fence {
 public:
  explicit Fence(FencedRegion what) : what_(std::move(what)) {}

  /// One kind. Fails with EOPNOTSUPP where the adapter can't, EBUSY where memory windows may reach around it, ENOTRECOVERABLE where it was done
  /// but a probe still got through, or the proof itself failed: the region must be taken for reachable.
  Result<Raised> raise(FenceKind kind);
  /// The first of `kinds` that succeeds. The error has what came of each.
  Result<Raised> raise(std::span<const FenceKind> kinds);

  bool gone() const { return gone_; }  ///< deregistered: the ibv_mr is no more
  /// Keeps the quarantine domain alive for as long as the region is in it.
  ProtectionDomain take_quarantine() { return std::move(quarantine_); }

 private:
  struct Prober;
  Result<Raised> raise_on_region(FenceKind kind);
  Result<Raised> raise_on_pairs();
  Status apply(FenceKind kind, std::string& how);

  FencedRegion what_;
  ProtectionDomain quarantine_;
  bool controlled_ = false;  ///< a probe got through before
  bool gone_ = false;
};

}  // namespace hf::rdma
