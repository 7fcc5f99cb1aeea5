// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "rdma/fence.hpp"

#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstring>

namespace hf::rdma {
namespace {

constexpr std::size_t kProbeBytes = 8;

/// Waits until every processor has left what it was doing in the kernel (synchronize_rcu()): an adapter in software that had checked a packet before the fence
/// stood has copied it by then. Adapters in hardware answer for that themselves.
Status wait_for_processors() {
  if (::syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0)) return sys_error(errno, "membarrier", "");
  return {};
}

/// 8 bytes of the region on an 8-byte boundary; fewer where it has none.
Piece probe_piece(const FencedRegion& what, std::uint32_t key) {
  const auto start = reinterpret_cast<std::uintptr_t>(what.address);
  const auto aligned = (start + kProbeBytes - 1) & ~(kProbeBytes - 1);
  if (aligned + kProbeBytes <= start + what.length) return {reinterpret_cast<void*>(aligned), kProbeBytes, key};
  return {what.address, 1, key};
}

tl::unexpected<Error> unproved(const std::string& why) {
  return fail(ENOTRECOVERABLE, "the fence could not be proved: " + why,
              "Take the region for reachable. Next: try another kind of fence, or end the process that holds it.");
}

}  // namespace

std::string_view fence_word(FenceKind kind) {
  switch (kind) {
    case FenceKind::rereg_domain:
      return "rereg-domain";
    case FenceKind::rereg_access:
      return "rereg-access";
    case FenceKind::dereg:
      return "dereg";
    case FenceKind::queue_pairs:
      return "queue-pairs";
  }
  return "";
}

std::string_view fence_reach(FenceKind kind) {
  switch (kind) {
    case FenceKind::rereg_domain:
      return "this region only; it stays registered, out of reach of every queue pair of its former protection domain. A peer that uses it loses its "
             "connection";
    case FenceKind::rereg_access:
      return "this region only; it stays registered, without remote access. A peer that uses it loses its connection";
    case FenceKind::dereg:
      return "this region only; it is gone and its keys with it. A peer that uses it loses its connection";
    case FenceKind::queue_pairs:
      return "every operation of the given queue pairs, on this region and on others; other queue pairs of the protection domain are not hit";
  }
  return "";
}

/// Asks the region from the wire. Queue pairs that were refused are in the error state, so each probe has its own.
struct Fence::Prober {
  ibv_pd* domain;
  const FencedRegion& what;
  Scratch scratch;
  MemoryRegion local;

  static Result<Prober> make(ibv_pd* domain, const FencedRegion& what) {
    Prober prober{.domain = domain, .what = what, .scratch = Scratch::anonymous(4096), .local = {}};
    if (!prober.scratch) return fail(ENOMEM, "no memory for the probe");
    prober.local.reset(ibv_reg_mr(domain, prober.scratch.data(), 4096, IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE));
    if (!prober.local) return sys_error(errno, "ibv_reg_mr", "for the probe");
    return prober;
  }

  Piece here(const Piece& there) const { return {scratch.data(), there.length, local->lkey}; }

  Result<ibv_wc_status> harmless(std::uint32_t key, int flag) const {
    HF_TRY_ASSIGN(auto loop, Loopback::make(domain, Transport::rc));
    const auto there = probe_piece(what, key);
    return flag == IBV_ACCESS_REMOTE_ATOMIC ? loop->fetch_add(here(there), there, 0) : loop->read(here(there), there);
  }

  /// Writes what is there already.
  Result<ibv_wc_status> write(std::uint32_t key) const {
    HF_TRY_ASSIGN(auto loop, Loopback::make(domain, Transport::rc));
    const auto there = probe_piece(what, key);
    std::memcpy(scratch.data(), there.address, there.length);
    return loop->write(here(there), there);
  }

  /// Does a probe get through at all, by the access that the region has? For a region that can only be written, that of a scratch region answers.
  Status control(std::uint32_t key) const {
    Result<ibv_wc_status> done = IBV_WC_SUCCESS;
    if (what.access & IBV_ACCESS_REMOTE_READ) {
      done = harmless(key, IBV_ACCESS_REMOTE_READ);
    } else if (what.access & IBV_ACCESS_REMOTE_ATOMIC && probe_piece(what, key).length == kProbeBytes) {
      done = harmless(key, IBV_ACCESS_REMOTE_ATOMIC);
    } else {
      HF_TRY_ASSIGN(auto loop, Loopback::make(domain, Transport::rc));
      done = loop->write({scratch.data(), kProbeBytes, local->lkey}, {scratch.data() + 2048, kProbeBytes, local->rkey});
    }
    if (!done) return tl::unexpected(done.error());
    if (*done != IBV_WC_SUCCESS) return fail(EIO, fmt::format("a probe of the region before the fence ended with \"{}\"", ibv_wc_status_str(*done)));
    return {};
  }

  /// Every kind of access that the region had must be answered with a remote access error.
  Status refused(std::uint32_t key) const {
    std::vector<std::pair<int, const char*>> probes;
    if (what.access & IBV_ACCESS_REMOTE_READ) probes.emplace_back(IBV_ACCESS_REMOTE_READ, "read");
    if (what.access & IBV_ACCESS_REMOTE_ATOMIC && probe_piece(what, key).length == kProbeBytes)
      probes.emplace_back(IBV_ACCESS_REMOTE_ATOMIC, "atomic operation");
    if (what.access & IBV_ACCESS_REMOTE_WRITE) probes.emplace_back(IBV_ACCESS_REMOTE_WRITE, "write");
    for (const auto& [flag, word] : probes) {
      const auto done = flag == IBV_ACCESS_REMOTE_WRITE ? write(key) : harmless(key, flag);
      if (!done) return unproved(fmt::format("a remote {}: {}", word, done.error().message));
      if (*done != IBV_WC_REM_ACCESS_ERR) return unproved(fmt::format("a remote {} ended with \"{}\"", word, ibv_wc_status_str(*done)));
    }
    return {};
  }
};

Status Fence::apply(FenceKind kind, std::string& how) {
  const auto by = [&](const Result<ReregRoute>& route) -> Status {
    if (!route) return tl::unexpected(route.error());
    how = *route == ReregRoute::libibverbs ? "by ibv_rereg_mr" : "by uverbs";
    return {};
  };
  switch (kind) {
    case FenceKind::rereg_domain:
      quarantine_.reset(ibv_alloc_pd(what_.region->context));
      if (!quarantine_) return sys_error(errno, "ibv_alloc_pd", "for quarantine");
      return by(rereg_domain(what_.region, quarantine_.get()));
    case FenceKind::rereg_access:
      // Whether it is ODP can't change without a new region.
      return by(rereg_access(what_.region, what_.access & IBV_ACCESS_ON_DEMAND));
    case FenceKind::dereg:
      if (const int error = ibv_dereg_mr(what_.region))
        return sys_error(error, "ibv_dereg_mr", "", what_.access & IBV_ACCESS_MW_BIND ? "Next: deallocate the memory windows that are bound to it" : "");
      gone_ = true;
      return {};
    case FenceKind::queue_pairs:
      break;
  }
  return fail(EINVAL, "not a fence of a region");
}

Result<Raised> Fence::raise_on_region(FenceKind kind) {
  // A window bound to the region has access of its own, which a rereg leaves as it is.
  if (what_.access & IBV_ACCESS_MW_BIND && kind != FenceKind::dereg)
    return fail(EBUSY, "memory windows may be bound to the region, and a change of the region does not reach them",
                "Next: fence by dereg, after the windows are deallocated");
  constexpr int kRemote = IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_READ | IBV_ACCESS_REMOTE_ATOMIC;
  ibv_pd* const domain = what_.region->pd;
  const std::uint32_t old_key = what_.region->rkey;
  HF_TRY_ASSIGN(const auto prober, Prober::make(domain, what_));
  // Once is enough: after a fence that could not be proved, nothing may get through any more.
  if (what_.access & kRemote && !controlled_) HF_TRY(prober.control(old_key));
  controlled_ = true;
  std::string how;
  if (auto applied = apply(kind, how); !applied) {
    if (kind == FenceKind::rereg_domain) quarantine_.reset();
    return tl::unexpected(applied.error());
  }
  HF_TRY(wait_for_processors());
  HF_TRY(prober.refused(old_key));
  if (!gone_ && what_.region->rkey != old_key) HF_TRY(prober.refused(what_.region->rkey));
  return Raised{kind, fmt::format("{}{}a remote access error answers every access that it allowed", how, how.empty() ? "" : "; ")};
}

Result<Raised> Fence::raise_on_pairs() {
  if (what_.pairs.empty()) return fail(EINVAL, "no queue pairs were given to fence", "Next: give those that reach the region");
  for (ibv_qp* pair : what_.pairs) {
    ibv_qp_attr attributes{};
    attributes.qp_state = IBV_QPS_ERR;
    if (const int error = ibv_modify_qp(pair, &attributes, IBV_QP_STATE)) return sys_error(error, "ibv_modify_qp", "to the error state");
  }
  HF_TRY(wait_for_processors());
  for (ibv_qp* pair : what_.pairs) {
    ibv_qp_attr attributes{};
    ibv_qp_init_attr init{};
    if (const int error = ibv_query_qp(pair, &attributes, IBV_QP_STATE, &init)) return sys_error(error, "ibv_query_qp", "after the fence");
    if (attributes.qp_state != IBV_QPS_ERR && attributes.qp_state != IBV_QPS_RESET)
      return unproved(fmt::format("queue pair {} is not in the error state", pair->qp_num));
  }
  return Raised{FenceKind::queue_pairs, fmt::format("{} queue pairs are in the error state", what_.pairs.size())};
}

Result<Raised> Fence::raise(FenceKind kind) { return kind == FenceKind::queue_pairs ? raise_on_pairs() : raise_on_region(kind); }

Result<Raised> Fence::raise(std::span<const FenceKind> kinds) {
  Error all{EINVAL, "no kind of fence was asked for", {}};
  std::string said;
  for (const auto kind : kinds) {
    auto raised = raise(kind);
    if (raised) return raised;
    said += fmt::format("{}{}: {}", said.empty() ? "" : "; ", fence_word(kind), raised.error().message);
    // What was done but not proved stays the worst that is reported.
    if (all.code != ENOTRECOVERABLE) all.code = raised.error().code;
    all.hint = raised.error().hint;
    all.message = "no fence: " + said;
    if (gone_) break;
  }
  return tl::unexpected(all);
}

}  // namespace hf::rdma
