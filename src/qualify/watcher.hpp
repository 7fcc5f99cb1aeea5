// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// What holdfastd reports of what the probe does: its events, in order, read when they are all there.
#pragma once

#include <functional>
#include <holdfast/holdfast.hpp>
#include <nlohmann/json.hpp>
#include <vector>

#include "base/result.hpp"

namespace hf::qualify {

using Json = nlohmann::ordered_json;
using Connect = std::function<Result<holdfast::Session>()>;

class Watcher {
 public:
  static Result<Watcher> start(const Connect& connect);

  /// Everything that was reported of what has happened before this call. @param expect_of a process of which something must have been reported;
  /// 0: none. Asked for of a holdfastd that can't say when it has reported all ("sync"): then that is waited for, with a bound.
  Result<std::vector<Json>> events(pid_t expect_of);

 private:
  explicit Watcher(holdfast::Session session) : session_(std::move(session)) {}
  Status drain(std::vector<Json>& events);
  Status wait(int bound_ms);

  holdfast::Session session_;
  bool can_sync_ = true;
};

/// Makes the tripwire report every break of the file, leased or not, for as long as it lives.
class Trace {
 public:
  /// @return a trace that does nothing where this holdfastd has none
  static Result<Trace> start(const Connect& connect, int fd);
  bool active() const { return static_cast<bool>(session_); }

 private:
  holdfast::Session session_;
};

/// @param fd of the file that the question is about; -1: none
Result<Json> query(holdfast::Session& session, const Json& request, int fd = -1);

}  // namespace hf::qualify
