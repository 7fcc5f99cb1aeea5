// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "daemon/outbox.hpp"

#include <sys/socket.h>

#include <cstring>

namespace hf {

namespace {

/// send(), with a descriptor where there is one.
ssize_t send_with(int socket, const char* bytes, std::size_t size, int descriptor) {
  iovec part{const_cast<char*>(bytes), size};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  if (descriptor >= 0) {
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    auto* head = CMSG_FIRSTHDR(&message);
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(head), &descriptor, sizeof(int));
  }
  return ::sendmsg(socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
}

}  // namespace

void Outbox::answer(std::string frame, Fd descriptor) {
  bytes_ += frame.size();
  frames_.push_back({std::move(frame), std::move(descriptor)});
}

Result<bool> Outbox::flush(int socket) {
  while (!frames_.empty()) {
    const auto& [frame, descriptor] = frames_.front();
    const auto count = send_with(socket, frame.data() + sent_, frame.size() - sent_, sent_ == 0 && descriptor ? descriptor.get() : -1);
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
