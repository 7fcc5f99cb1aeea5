// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// The daemon's address: a Unix socket that only one daemon has at a time.
#pragma once

#include <string>

#include "base/fd.hpp"
#include "base/result.hpp"
#include "daemon/queries.hpp"

namespace hf {

struct Listener {
  Fd socket;  ///< bound and listening, non-blocking
  Fd lock;    ///< held while this daemon lives
};

/// Binds the path. A socket that nobody answers on is replaced; where a daemon answers, fails with EADDRINUSE and changes nothing.
Result<Listener> listen_at(const std::string& path);

/// Who connected. Fails where the process is gone already.
Result<Peer> peer_of(int socket, const ProcessTable& processes);

}  // namespace hf
