// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// What the kernel tells without being asked again and again: uevents, and that the clock was set.
#pragma once

#include <asio/awaitable.hpp>
#include <functional>
#include <span>
#include <string_view>

#include "base/result.hpp"

namespace hf {

/// Follows the kernel's own uevents, not udev's: they come without a daemon in between.
/// @param subsystems whose, as in SUBSYSTEM=; to stay as long as it follows
/// @param told when some came, or may have been lost
/// @return only with the error that ends it
asio::awaitable<Status> follow_uevents(std::span<const std::string_view> subsystems, std::function<void()> told);

/// Follows the settings of CLOCK_REALTIME (TFD_TIMER_CANCEL_ON_SET, timerfd_create(2)).
/// @return only with the error that ends it
asio::awaitable<Status> follow_clock(std::function<void()> set);

}  // namespace hf
