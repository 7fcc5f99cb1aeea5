// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "daemon/frame.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <iterator>
#include <utility>

namespace hf {
namespace {

void collect_descriptors(msghdr& message, std::vector<Fd>& descriptors) {
  for (auto* control = CMSG_FIRSTHDR(&message); control; control = CMSG_NXTHDR(&message, control)) {
    if (control->cmsg_level != SOL_SOCKET || control->cmsg_type != SCM_RIGHTS) continue;
    const auto count = (control->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; i++) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(control) + i * sizeof(int), sizeof(int));
      descriptors.emplace_back(fd);
    }
  }
}

}  // namespace

/// From what was read ahead, or from the socket. @return as receive()
Result<std::size_t> FrameReader::get(int socket, char* to, std::size_t bytes) {
  std::size_t count = 0;
  if (ahead()) {
    count = std::min(bytes, ahead_end_ - ahead_first_);
    std::memcpy(to, ahead_.data() + ahead_first_, count);
    ahead_first_ += count;
  } else {
    HF_TRY_ASSIGN(count, receive(socket, to, bytes));
  }
  if (!ahead()) {
    // No other frame has begun in that read.
    std::move(ahead_descriptors_.begin(), ahead_descriptors_.end(), std::back_inserter(frame_.descriptors));
    ahead_descriptors_.clear();
  }
  return count;
}

/// @return bytes read for `to`; 0 is the end of the stream, EAGAIN an error.
Result<std::size_t> FrameReader::receive(int socket, char* to, std::size_t bytes) {
  alignas(cmsghdr) char control[CMSG_SPACE(kDescriptorsMax * sizeof(int))];
  std::array<iovec, 2> parts{iovec{.iov_base = to, .iov_len = bytes}, iovec{.iov_base = ahead_.data(), .iov_len = ahead_.size()}};
  msghdr message{};
  message.msg_iov = parts.data();
  message.msg_iovlen = parts.size();
  message.msg_control = control;
  message.msg_controllen = sizeof(control);
  ssize_t count = 0;
  do {
    count = ::recvmsg(socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  } while (count < 0 && errno == EINTR);
  if (count < 0) return sys_error(errno, "recvmsg", "the connection");
  collect_descriptors(message, ahead_descriptors_);
  if (frame_.descriptors.size() + ahead_descriptors_.size() > kDescriptorsMax || (message.msg_flags & MSG_CTRUNC))
    return fail(EPROTO, "more descriptors came with a request than it can use", "Send one descriptor with a request.");
  const auto wanted = std::min(static_cast<std::size_t>(count), bytes);
  ahead_first_ = 0;
  ahead_end_ = static_cast<std::size_t>(count) - wanted;
  return wanted;
}

Status FrameReader::check_header() const {
  if (frame_.header.magic != HF_WIRE_MAGIC) return fail(EPROTO, "what came is not a Holdfast request", "Use libholdfast or the holdfast command.");
  if (frame_.header.size > kRequestBytesMax)
    return fail(EMSGSIZE, fmt::format("a request of {} bytes is larger than {}", frame_.header.size, kRequestBytesMax), "Ask for fewer ranges at a time.");
  return {};
}

Result<FrameReader::Progress> FrameReader::read(int socket, Frame& frame) {
  for (;;) {
    const bool in_header = have_ < sizeof(hf_wire_header);
    const auto wanted = in_header ? sizeof(hf_wire_header) : sizeof(hf_wire_header) + frame_.header.size;
    if (!in_header && have_ == wanted) break;
    char* to = in_header ? reinterpret_cast<char*>(&frame_.header) + have_ : frame_.payload.data() + (have_ - sizeof(hf_wire_header));
    const auto count = get(socket, to, wanted - have_);
    if (!count && (count.error().code == EAGAIN || count.error().code == EWOULDBLOCK)) return Progress::kWait;
    if (!count && count.error().code == ECONNRESET) return Progress::kClosed;
    if (!count) return tl::unexpected(count.error());
    if (*count == 0) return Progress::kClosed;
    have_ += *count;
    if (!in_header || have_ < sizeof(hf_wire_header)) continue;
    HF_TRY(check_header());
    frame_.payload.resize(frame_.header.size);
  }
  frame = std::exchange(frame_, Frame{});
  have_ = 0;
  return Progress::kFrame;
}

std::string frame_bytes(std::uint32_t kind, std::uint64_t cookie, std::string_view payload) {
  const hf_wire_header header{.magic = HF_WIRE_MAGIC, .size = static_cast<std::uint32_t>(payload.size()), .kind = kind, .pad = 0, .cookie = cookie};
  std::string bytes(bytes_of(header));
  return bytes.append(payload);
}

std::string error_frame(std::uint64_t cookie, const Error& error) {
  const auto text = error.text();
  const hf_wire_error head{.error = error.code > 0 ? error.code : EIO, .text_bytes = static_cast<std::uint32_t>(text.size())};
  return frame_bytes(HF_WIRE_ERROR, cookie, std::string(bytes_of(head)) + text);
}

}  // namespace hf
