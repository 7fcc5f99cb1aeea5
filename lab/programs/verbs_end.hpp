// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// One end of a reliable connection over RoCEv2, connected by what the two ends tell each other over TCP. An ordinary verbs program: knows nothing of Holdfast.
#pragma once

#include <infiniband/verbs.h>

#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>

#include "base/fd.hpp"

namespace lab {

/// A failed call, with its errno's text.
[[noreturn]] void die(const std::string& what, int error);

template <class T, auto Free>
struct Freer {
  void operator()(T* object) const { Free(object); }
};
using Context = std::unique_ptr<ibv_context, Freer<ibv_context, ibv_close_device>>;
using ProtectionDomain = std::unique_ptr<ibv_pd, Freer<ibv_pd, ibv_dealloc_pd>>;
using MemoryRegion = std::unique_ptr<ibv_mr, Freer<ibv_mr, ibv_dereg_mr>>;
using CompletionQueue = std::unique_ptr<ibv_cq, Freer<ibv_cq, ibv_destroy_cq>>;
using QueuePair = std::unique_ptr<ibv_qp, Freer<ibv_qp, ibv_destroy_qp>>;

Context open_device(const std::string& name);

/// What one end tells the other.
struct Peer {
  std::uint64_t address = 0;
  std::uint64_t length = 0;
  std::uint32_t rkey = 0;
  std::uint32_t qp_number = 0;
  ibv_gid gid{};
};
static_assert(sizeof(Peer) == 40);

/// Sends `mine`, receives the other's. @throws std::runtime_error where the other end is gone
Peer exchange(int socket, const Peer& mine);

class Connection {
 public:
  Connection(ibv_context* context, ibv_pd* domain, std::uint32_t send_depth);
  /// This end, for the other.
  Peer self() const;
  void connect(const Peer& other);

  ibv_qp* queue_pair() const { return queue_pair_.get(); }
  ibv_cq* completions() const { return completions_.get(); }

 private:
  CompletionQueue completions_;
  QueuePair queue_pair_;
  ibv_gid gid_{};
  std::uint8_t gid_index_ = 0;
};

hf::Fd listen_on(std::uint16_t port);
hf::Fd connect_to(const std::string& host, std::uint16_t port);

}  // namespace lab
