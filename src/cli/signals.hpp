// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// Signals as a descriptor, for verbs that wait for a command of theirs and for something else.
#pragma once

#include <sys/signalfd.h>
#include <unistd.h>

#include <csignal>
#include <optional>

#include "base/fd.hpp"

namespace hf::cli {

class Signals {
 public:
  Signals() {
    sigset_t wanted;
    sigemptyset(&wanted);
    for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGCHLD}) sigaddset(&wanted, signal);
    sigprocmask(SIG_BLOCK, &wanted, &before_);
    fd_ = Fd(signalfd(-1, &wanted, SFD_CLOEXEC | SFD_NONBLOCK));
  }
  int fd() const { return fd_.get(); }
  struct Signal {
    int number;
    bool from_terminal;  ///< the terminal sends to the whole foreground group; kill(1) to one process
  };
  std::optional<Signal> next() const {
    signalfd_siginfo info;
    if (read(fd_.get(), &info, sizeof info) != sizeof info) return {};
    return Signal{static_cast<int>(info.ssi_signo), info.ssi_code == SI_KERNEL};
  }
  void restore() const { sigprocmask(SIG_SETMASK, &before_, nullptr); }

 private:
  sigset_t before_;
  Fd fd_;
};

}  // namespace hf::cli
