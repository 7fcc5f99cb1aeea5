// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// Answers to questions: JSON in, JSON out (docs/json.md). A caller who is not root sees of other users' leases only that bytes are leased.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "daemon/core.hpp"
#include "journal/journal.hpp"

namespace hf {

/// Who is on the other end of a connection.
struct Peer {
  pid_t pid = 0;
  std::uint64_t start_ns = 0;
  uid_t uid = 0;
  gid_t gid = 0;
  std::string comm;
  std::vector<std::uint32_t> groups{};  ///< its own and the supplementary ones

  bool root() const { return uid == 0; }
  bool may_see(std::uint32_t other_uid) const { return root() || uid == other_uid; }
  ProcessKey process() const { return {static_cast<std::uint32_t>(pid), start_ns}; }
};

/// What only the one who serves knows.
struct ServerFacts {
  std::string version;
  std::string socket;
  std::uint64_t started_ns = 0;  ///< CLOCK_BOOTTIME
  NodeIdentity node{};
  std::string completing_trouble{};  ///< why the programs that were taken over could not be made complete and this build's own
  std::size_t connections = 0;
  std::size_t watchers = 0;
  std::function<std::string()> recalls{};                                   ///< JSON: those under way
  std::function<std::string(const std::vector<std::string>&)> qualified{};  ///< JSON: which of these mounts were qualified, and drifted since
  std::function<std::string()> journal{};                                   ///< JSON: how it stands
  std::function<void()> read_events;  ///< reads what the kernel side has to tell, so that what comes after is told after it
};

/// @param fd the file that the question is about; -1 for none
/// @param owner whose traces end with it
Result<std::string> answer_query(Core& core, const ServerFacts& server, const Peer& peer, std::string_view request, int fd, const LeaseOwner* owner);

}  // namespace hf
