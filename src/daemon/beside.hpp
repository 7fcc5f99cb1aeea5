// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// Work that waits (for files, for disks), beside the event loop: the coroutine goes on in the loop when it is done.
#pragma once

#include <asio/awaitable.hpp>
#include <asio/co_spawn.hpp>
#include <asio/thread_pool.hpp>
#include <asio/use_awaitable.hpp>
#include <type_traits>

namespace hf {

template <class Work>
asio::awaitable<std::invoke_result_t<Work&>> beside(asio::thread_pool& pool, Work& work) {
  using Value = std::invoke_result_t<Work&>;
  co_return co_await asio::co_spawn(
      pool, [&work]() -> asio::awaitable<Value> { co_return work(); }, asio::use_awaitable);
}

}  // namespace hf
