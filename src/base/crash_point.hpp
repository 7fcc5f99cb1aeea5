// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// Places at which a crash test kills the daemon. In builds with tests only: elsewhere a crash point is nothing at all.
#pragma once

#ifdef HOLDFAST_CRASH_POINTS
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <string_view>

namespace hf {

/// HOLDFAST_CRASH_POINT=NAME:N kills the program where it comes to NAME for the Nth time.
inline void crash_point(std::string_view name) {
  static const char* const chosen = std::getenv("HOLDFAST_CRASH_POINT");
  if (!chosen || std::strncmp(chosen, name.data(), name.size()) != 0 || chosen[name.size()] != ':') return;
  static int left = std::atoi(chosen + name.size() + 1);
  if (--left <= 0) (void)::raise(SIGKILL);
}
/// HOLDFAST_TEST_UPGRADE: as if what is pinned were of another build.
inline bool test_upgrade() { return std::getenv("HOLDFAST_TEST_UPGRADE") != nullptr; }

}  // namespace hf
#else
#include <string_view>

namespace hf {
inline void crash_point(std::string_view) {}
inline bool test_upgrade() { return false; }
}  // namespace hf
#endif
