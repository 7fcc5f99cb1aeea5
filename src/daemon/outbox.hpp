// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// What waits to be sent to one connection. Answers always get in (a connection has one request at a time); events only while there is room, so that a
// client that never reads costs bounded memory, and those that find none are counted.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <utility>

#include "base/fd.hpp"
#include "base/result.hpp"

namespace hf {

class Outbox {
 public:
  static constexpr std::size_t kEventBytesMax = 1 << 20;
  static constexpr std::size_t kEventBytesMin = 4 << 10;
  static constexpr std::size_t kEventBytesOfAll = 64 << 20;
  /// @return the bytes of events that may wait for each of so many connections, none of which might read
  static constexpr std::size_t room(std::size_t connections) {
    return std::clamp(kEventBytesOfAll / std::max<std::size_t>(connections, 1), kEventBytesMin, kEventBytesMax);
  }

  /// @param descriptor goes along, and is closed here afterwards
  void answer(std::string frame, Fd descriptor = {});

  /// Queues an event, made by `make(lost)` with the number of events that this connection missed before it; or counts it as missed, where
  /// `room_bytes` or more are waiting.
  template <class Make>
  void event(std::size_t room_bytes, Make&& make) {
    if (bytes_ >= room_bytes) {
      lost_++;
      return;
    }
    answer(make(std::exchange(lost_, 0)));
  }
  std::uint64_t lost() const { return lost_; }

  /// Sends what the socket takes. @return whether all is gone; an error where the connection is.
  Result<bool> flush(int socket);

  bool empty() const { return frames_.empty(); }
  std::size_t bytes() const { return bytes_; }

 private:
  struct Frame {
    std::string bytes;
    Fd descriptor;
  };

  std::deque<Frame> frames_;
  std::size_t sent_ = 0;  ///< of the first frame
  std::size_t bytes_ = 0;
  std::uint64_t lost_ = 0;
};

}  // namespace hf
