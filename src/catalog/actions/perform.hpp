// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// Performs an action by a route, in a process of its own and with a bound, and says what came of it.
#pragma once

#include <sys/types.h>

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "catalog/actions/action.hpp"

namespace hf::actions {

/// How an action reaches the file.
enum class Route : std::uint8_t {
  user,         ///< another user with write permission, by the file's path
  root,         ///< root, by the file's path
  early,        ///< a descriptor opened before the lease
  reopen,       ///< /proc/self/fd of an O_PATH descriptor
  ring,         ///< io_uring, as the kernel likes it
  ring_worker,  ///< io_uring, forced to a worker thread
  compat,       ///< the kernel's 32-bit entry
  mount_ns,     ///< a bind mount in another mount namespace
  user_ns,      ///< root of a user namespace, as a container has it
  overlay,      ///< the file of an overlayfs whose upper layer has it
  holder,       ///< the process that holds the lease
};
std::span<const Route> routes();
std::string_view name(Route route);
std::string_view description(Route route);
/// Does the route make sense for the action? Statically: not whether this kernel has it.
bool applies(Route route, const Action& action);
/// What the route wants of the kernel for this action, beside what the action itself needs.
Needs needs(Route route, const Action& action);

enum class Verdict : std::uint8_t {
  allowed,
  refused,     ///< ETXTBSY, or EDEADLK for a holder
  cannot_run,  ///< this filesystem or kernel has no such operation
  failed,      ///< denied otherwise
};
std::string_view name(Verdict verdict);
Verdict judge(const Outcome& outcome);

struct User {
  std::string name;
  uid_t uid;
  gid_t gid;
};
/// @errors ENOENT where there is no such user
Result<User> find_user(const std::string& name);

struct Attempt {
  pid_t pid = 0;
  Outcome outcome;
  bool reached = true;  ///< false: the route could not be taken, so that the action was not tried
};

struct Task {
  const Action& action;
  Route route = Route::root;
  Subject subject;
  std::optional<User> user;            ///< who acts, where neither action nor route needs root
  std::function<Status()> first = {};  ///< in the acting process, before anything else
  int bound_s = 60;
};

/// A child that does not end in time is killed and counts as ETIMEDOUT; it dies with its parent, too.
/// @throws std::system_error where no process can be made
Attempt attempt(const Task& task);

/// A file of the same size and content, its blocks on the medium, readable and writable by everyone.
/// @throws std::system_error
void make_copy(const std::string& source, const std::string& destination);

}  // namespace hf::actions
