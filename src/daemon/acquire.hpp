// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// One ACQUIRE, from the descriptor to the lease: all of it, or nothing.
//
// The lease stands first and the file is looked at again after, so that a break which passed before it stood can't go unseen.
#pragma once

#include <asio/awaitable.hpp>
#include <asio/thread_pool.hpp>
#include <stop_token>
#include <string>
#include <vector>

#include "daemon/core.hpp"
#include "daemon/queries.hpp"
#include "lease/admission.hpp"
#include "wire.h"

namespace hf {

inline constexpr std::uint32_t kRaceWaitMs = 5000;  ///< for breaks that were under way when the lease came to stand

/// Threads for what waits: short looks at layouts never queue behind settling, which can take minutes.
struct Pools {
  asio::thread_pool layout{2};
  asio::thread_pool settle{2};
  asio::thread_pool survey{2};
  asio::thread_pool history{1};  ///< a long look into the journal holds up nothing but the next

  std::stop_source stopping;  ///< asks work under way to end early

  void stop() {
    stopping.request_stop();
    layout.stop();
    settle.stop();
    survey.stop();
    history.stop();
    layout.join();
    settle.join();
    survey.join();
    history.join();
  }
};

struct AcquireRequest {
  Peer peer;
  Fd file;
  bool settle = false;
  bool pin = false;  ///< one range, bound by holdfast-pin under a lease of the whole file
  std::string label;
  std::vector<RangeRequest> ranges;
  hf_lease_kind kind = HF_LEASE_PROCESS;  ///< HF_LEASE_STATIC: the administrator's, which ends with no process
};

/// Reads the payload of an ACQUIRE frame. @param descriptors that came with it: exactly one
Result<AcquireRequest> parse_acquire(const Peer& peer, std::string_view payload, std::vector<Fd> descriptors);

struct Acquired {
  hf_wire_acquired lease{};
  Fd pin;  ///< the binding, where one was asked for
};

/// Runs on the event loop; looks at disks in the pools.
asio::awaitable<Result<Acquired>> acquire(Core& core, Pools& pools, LeaseOwner* owner, AcquireRequest request);

}  // namespace hf
