// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "daemon/kernel_tells.hpp"

#include <linux/netlink.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <asio/posix/stream_descriptor.hpp>
#include <asio/redirect_error.hpp>
#include <asio/this_coro.hpp>
#include <asio/use_awaitable.hpp>
#include <limits>
#include <vector>

#include "base/fd.hpp"

namespace hf {
namespace {

using Descriptor = asio::posix::stream_descriptor;

/// Is it of one of these? Its text: "add@/module/loop", then KEY=VALUE, each with a zero behind.
bool concerns(std::string_view event, std::span<const std::string_view> subsystems) {
  constexpr std::string_view kKey = "SUBSYSTEM=";
  for (std::size_t at = 0; at < event.size();) {
    const auto end = std::min(event.find('\0', at), event.size());
    const auto word = event.substr(at, end - at);
    if (word.starts_with(kKey)) return std::find(subsystems.begin(), subsystems.end(), word.substr(kKey.size())) != subsystems.end();
    at = end + 1;
  }
  return false;
}

asio::awaitable<Status> readable(Descriptor& descriptor, const char* what) {
  asio::error_code error;
  co_await descriptor.async_wait(Descriptor::wait_read, asio::redirect_error(asio::use_awaitable, error));
  if (error) co_return sys_error(error.value(), "wait for", what);
  co_return Status{};
}

}  // namespace

asio::awaitable<Status> follow_uevents(std::span<const std::string_view> subsystems, std::function<void()> told) {
  Fd socket(::socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_KOBJECT_UEVENT));
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  address.nl_groups = 1;
  if (!socket || ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) co_return sys_error(errno, "follow", "uevents");
  Descriptor events(co_await asio::this_coro::executor, socket.release());
  std::vector<char> buffer(8192);
  for (;;) {
    if (auto ready = co_await readable(events, "uevents"); !ready) co_return ready;
    bool any = false;
    for (;;) {
      const ssize_t got = ::recv(events.native_handle(), buffer.data(), buffer.size(), MSG_DONTWAIT);
      // Lost ones (ENOBUFS) may have been of these.
      if (got < 0 && errno == ENOBUFS) {
        any = true;
        continue;
      }
      if (got < 0) break;
      any = any || concerns({buffer.data(), static_cast<std::size_t>(got)}, subsystems);
    }
    if (any) told();
  }
}

asio::awaitable<Status> follow_clock(std::function<void()> set) {
  Fd timer(::timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK));
  if (!timer) co_return sys_error(errno, "follow", "the clock");
  Descriptor clock(co_await asio::this_coro::executor, timer.release());
  for (;;) {
    // The kernel cuts it to the end of its own time: no clock is ever set beyond it.
    itimerspec never{};
    never.it_value.tv_sec = std::numeric_limits<time_t>::max();
    if (::timerfd_settime(clock.native_handle(), TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &never, nullptr) != 0 && errno != ECANCELED)
      co_return sys_error(errno, "follow", "the clock");
    if (auto ready = co_await readable(clock, "the clock"); !ready) co_return ready;
    std::uint64_t expired = 0;
    if (::read(clock.native_handle(), &expired, sizeof expired) < 0 && errno == ECANCELED) set();
  }
}

}  // namespace hf
