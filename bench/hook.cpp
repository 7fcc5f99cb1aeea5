// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// hf-bench-hook: keeps a program that does nothing attached where the gate decides on reads and writes, until it is ended. Against it the gate's own part
// shows.
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "hook.skel.h"

int main() {
  auto* hook = hf_hook__open_and_load();
  if (!hook || hf_hook__attach(hook) != 0) return fmt::print(stderr, "hf-bench-hook: {}\n", std::strerror(errno)), 1;
  fmt::print("attached\n");
  std::fflush(stdout);
  for (;;) pause();
}
