// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// One connected Unix stream socket that carries frames (abi/wire.h). Never waits, never raises SIGPIPE, knows nothing of what the frames mean.
//
// Functions return 0 or a negative errno; after any failure the channel is of no further use.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/fd.hpp"
#include "wire.h"

namespace hf::client {

struct Frame {
  std::uint32_t kind = 0;
  std::uint64_t cookie = 0;
  std::string payload;
};

class Channel {
 public:
  /// Takes over a connected socket and makes it non-blocking.
  explicit Channel(Fd socket);

  /// @return -EAGAIN where the listener's queue is full: try again soon
  static int connect(const std::string& path, Fd& socket);

  int socket() const { return socket_.get(); }

  /// Queues a frame. @param fd sent along, borrowed until the frame's first byte has gone; -1: none
  void queue(std::uint32_t kind, std::uint64_t cookie, std::string_view payload, int fd = -1);
  /// Sends what the socket takes now.
  int flush();
  bool unsent() const { return !out_.empty(); }
  /// Takes a frame back. @return false where some of it has gone already: its rest stays queued, or the stream would be out of step
  bool cancel(std::uint64_t cookie);

  /// Reads what is there. -ECONNRESET: the other end has gone (frames that it sent before can still be taken).
  int receive();
  /// Takes the oldest descriptor that came along; none where none did. Frames and their descriptors come in the same order.
  Fd take_descriptor();
  /// Takes the next whole frame. -EPROTO: what came is not a frame.
  int next(std::optional<Frame>& frame);

  /// Ends both directions: wakes whoever polls the socket.
  void shutdown();

 private:
  static constexpr std::size_t kReadBytes = 64u << 10;
  struct Outgoing {
    std::uint64_t cookie;
    std::string bytes;
    std::size_t sent = 0;
    int fd = -1;
  };

  Fd socket_;
  std::deque<Outgoing> out_;
  std::deque<Fd> descriptors_;                                                             ///< that came
  std::unique_ptr<std::array<char, kReadBytes>> piece_{new std::array<char, kReadBytes>};  ///< of one read; not written to before
  std::string in_;
  std::size_t consumed_ = 0;  ///< bytes of in_ that were taken
};

}  // namespace hf::client
