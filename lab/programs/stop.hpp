// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// SIGTERM, SIGINT and lines on standard input as things to poll. Block the signals before any thread starts.
#pragma once

#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <optional>
#include <string>

#include "base/fd.hpp"

namespace lab {

class Orders {
 public:
  Orders() {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_BLOCK, &set, nullptr);
    signals_ = hf::Fd(signalfd(-1, &set, SFD_CLOEXEC));
  }

  /// @param timeout_ms -1: wait. @param also a further descriptor to wake up for, or -1.
  /// @return an order (a line of standard input, or "quit" for a signal), or nothing at the timeout or when `also` is readable.
  std::optional<std::string> next(int timeout_ms, int also = -1) {
    if (auto line = take_line()) return line;
    pollfd fds[3] = {{signals_.get(), POLLIN, 0}, {input_open_ ? STDIN_FILENO : -1, POLLIN, 0}, {also, POLLIN, 0}};
    if (poll(fds, 3, timeout_ms) <= 0) return std::nullopt;
    if (fds[0].revents) return "quit";
    if (fds[1].revents) {
      char buffer[4096];
      const ssize_t got = read(STDIN_FILENO, buffer, sizeof buffer);
      // The end of standard input is no order: a program started with </dev/null stays until a signal.
      if (got <= 0)
        input_open_ = false;
      else
        input_.append(buffer, static_cast<std::size_t>(got));
    }
    return take_line();
  }

 private:
  std::optional<std::string> take_line() {
    const auto end = input_.find('\n');
    if (end == std::string::npos) return std::nullopt;
    std::string line = input_.substr(0, end);
    input_.erase(0, end + 1);
    return line;
  }

  hf::Fd signals_;
  std::string input_;
  bool input_open_ = true;
};

}  // namespace lab
