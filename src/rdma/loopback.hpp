// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// Two queue pairs of one adapter, connected to each other: real operations on real regions, without another machine.
// With it an adapter's abilities are tried, and a fence is proved.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "rdma/uverbs.hpp"

namespace hf::rdma {

enum class Transport { rc, uc, ud };

/// Bytes that one end has registered.
struct Piece {
  void* address = nullptr;
  std::uint32_t length = 0;
  std::uint32_t key = 0;  ///< lkey of a local piece, rkey of a remote one
};

class Loopback {
 public:
  /// @param domain of both ends: a region of this domain can be reached
  /// Fails with ENETDOWN where the adapter has no active port.
  static Result<std::unique_ptr<Loopback>> make(ibv_pd* domain, Transport transport);

  /// Each waits for its completion, at most kBound. ETIMEDOUT: there was none; afterwards a queue pair may be in the error state: make a new Loopback.
  Result<ibv_wc_status> write(const Piece& local, const Piece& remote);
  Result<ibv_wc_status> read(const Piece& local, const Piece& remote);
  /// Adds `add` to the 8 bytes at `remote`; the old value comes into `local`.
  Result<ibv_wc_status> fetch_add(const Piece& local, const Piece& remote, std::uint64_t add);
  /// From one end's piece into the other's. For UD the receiver's piece has 40 bytes more in front.
  Result<ibv_wc_status> send(const Piece& from, const Piece& to);
  /// A type 2 window over `region`. @return its rkey
  Result<std::uint32_t> bind(ibv_mw* window, ibv_mr* region, const Piece& piece, unsigned access);

  ibv_qp* requester() const { return requester_.get(); }

 private:
  Loopback() = default;
  Status connect(ibv_qp* from, ibv_qp* to);
  Result<ibv_wc_status> run(ibv_send_wr& request);
  Result<ibv_wc_status> reap(ibv_cq* completions);

  Transport transport_ = Transport::rc;
  CompletionQueue sent_, received_;
  QueuePair requester_, responder_;
  std::unique_ptr<ibv_ah, Freer<ibv_ah, ibv_destroy_ah>> route_;
  std::uint8_t port_ = 0;
  ibv_mtu mtu_ = IBV_MTU_1024;
  std::uint16_t lid_ = 0;
  std::optional<ibv_gid_entry> gid_;
};

/// The first port that is up. @return 0: none
std::uint8_t active_port(ibv_context* context);

}  // namespace hf::rdma
