// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "daemon/outbox.hpp"

#include <sys/socket.h>

namespace hf {

void Outbox::answer(std::string frame) {
  bytes_ += frame.size();
  frames_.push_back(std::move(frame));
}

Result<bool> Outbox::flush(int socket) {
  while (!frames_.empty()) {
    const auto& frame = frames_.front();
    const auto count = ::send(socket, frame.data() + sent_, frame.size() - sent_, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return false;
    if (count < 0) return sys_error(errno, "send", "the connection");
    sent_ += static_cast<std::size_t>(count);
    if (sent_ < frame.size()) continue;
    bytes_ -= frame.size();
    sent_ = 0;
    frames_.pop_front();
  }
  return true;
}

}  // namespace hf
