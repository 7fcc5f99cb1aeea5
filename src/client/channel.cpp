// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "client/channel.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace hf::client {

namespace {
/// recv(), with the descriptors that came along.
ssize_t receive_with(int socket, char* to, std::size_t bytes, std::deque<Fd>& descriptors) {
  iovec part{to, bytes};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  const ssize_t count = recvmsg(socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  const int error = errno;
  for (cmsghdr* head = count < 0 ? nullptr : CMSG_FIRSTHDR(&message); head; head = CMSG_NXTHDR(&message, head)) {
    if (head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS) continue;
    int fd = -1;
    std::memcpy(&fd, CMSG_DATA(head), sizeof fd);
    descriptors.emplace_back(fd);
  }
  errno = error;
  return count;
}
}  // namespace

Channel::Channel(Fd socket) : socket_(std::move(socket)) {
  const int flags = fcntl(socket_.get(), F_GETFL);
  if (flags >= 0) fcntl(socket_.get(), F_SETFL, flags | O_NONBLOCK);
}

int Channel::connect(const std::string& path, Fd& socket) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return -ENAMETOOLONG;
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return -errno;
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) return -errno;
  socket = std::move(fd);
  return 0;
}

void Channel::queue(std::uint32_t kind, std::uint64_t cookie, std::string_view payload, int fd) {
  hf_wire_header header{};
  header.magic = HF_WIRE_MAGIC;
  header.size = static_cast<__u32>(payload.size());
  header.kind = kind;
  header.cookie = cookie;
  Outgoing frame{cookie, {}, 0, fd};
  frame.bytes.reserve(sizeof header + payload.size());
  frame.bytes.append(reinterpret_cast<const char*>(&header), sizeof header);
  frame.bytes.append(payload);
  out_.push_back(std::move(frame));
}

int Channel::flush() {
  while (!out_.empty()) {
    Outgoing& frame = out_.front();
    iovec part{frame.bytes.data() + frame.sent, frame.bytes.size() - frame.sent};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
    if (frame.fd >= 0 && frame.sent == 0) {
      message.msg_control = control;
      message.msg_controllen = sizeof control;
      cmsghdr* head = CMSG_FIRSTHDR(&message);
      head->cmsg_level = SOL_SOCKET;
      head->cmsg_type = SCM_RIGHTS;
      head->cmsg_len = CMSG_LEN(sizeof(int));
      std::memcpy(CMSG_DATA(head), &frame.fd, sizeof(int));
    }
    const ssize_t count = sendmsg(socket_.get(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count < 0) {
      if (errno == EINTR) continue;
      return errno == EAGAIN ? 0 : -errno;
    }
    frame.sent += static_cast<std::size_t>(count);
    if (frame.sent == frame.bytes.size()) out_.pop_front();
  }
  return 0;
}

bool Channel::cancel(std::uint64_t cookie) {
  const auto found = std::find_if(out_.begin(), out_.end(), [&](const Outgoing& frame) { return frame.cookie == cookie; });
  if (found == out_.end() || found->sent != 0) return false;
  out_.erase(found);
  return true;
}

int Channel::receive() {
  // Bounded, so that a flood of events can't keep a caller here: what is left makes the socket readable again.
  for (int rounds = 0; rounds < 64; ++rounds) {
    const ssize_t count = receive_with(socket_.get(), piece_->data(), kReadBytes, descriptors_);
    const int error = errno;
    if (count > 0) in_.append(piece_->data(), static_cast<std::size_t>(count));
    if (count == 0) return -ECONNRESET;
    if (count < 0) {
      if (error == EINTR) continue;
      return error == EAGAIN ? 0 : -error;
    }
    // A descriptor ends what one call takes: there may be more behind it, which makes the socket readable again.
    if (static_cast<std::size_t>(count) < kReadBytes) return 0;
  }
  return 0;
}

Fd Channel::take_descriptor() {
  if (descriptors_.empty()) return {};
  Fd first = std::move(descriptors_.front());
  descriptors_.pop_front();
  return first;
}

int Channel::next(std::optional<Frame>& frame) {
  frame.reset();
  hf_wire_header header;
  const std::size_t available = in_.size() - consumed_;
  if (available >= sizeof header) {
    std::memcpy(&header, in_.data() + consumed_, sizeof header);
    if (header.magic != HF_WIRE_MAGIC || header.size > HF_WIRE_MAX) return -EPROTO;
    if (available - sizeof header >= header.size) {
      frame = Frame{header.kind, header.cookie, in_.substr(consumed_ + sizeof header, header.size)};
      consumed_ += sizeof header + header.size;
      return 0;
    }
  }
  in_.erase(0, consumed_);
  consumed_ = 0;
  return 0;
}

void Channel::shutdown() { ::shutdown(socket_.get(), SHUT_RDWR); }

}  // namespace hf::client
