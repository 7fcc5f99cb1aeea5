// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// Runs an operation in a process of its own, as a user of its own, and says what came of it.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

#include "operation.hpp"

namespace lab {

enum class Verdict {
  allowed,
  refused,     ///< ETXTBSY, or EDEADLK for a holder
  cannot_run,  ///< this filesystem or kernel has no such operation
  failed,      ///< denied otherwise
};
const char* name_of(Verdict verdict);
Verdict judge(const Outcome& outcome);

struct User {
  std::string name;
  uid_t uid;
  gid_t gid;
};
/// @throws std::runtime_error where there is no such user
User find_user(const std::string& name);

struct Attempt {
  pid_t pid;
  Outcome outcome;
};
/// Forks; the child becomes `user`, performs the operation and ends. A child that does not end within a minute is killed, and counts as ETIMEDOUT.
Attempt attempt(const Operation& operation, const Subject& subject, const std::optional<User>& user);

/// A file of the same size and content, its blocks on the medium, readable and writable by everyone.
void make_copy(const std::string& source, const std::string& destination);

}  // namespace lab
