// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// Both ends of a connection: ours is the daemon's, theirs the client's.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <cstring>
#include <filesystem>
#include <iterator>
#include <string>
#include <vector>

#include "base/fd.hpp"

namespace hf::test {

class SocketPair {
 public:
  SocketPair() {
    int fds[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    ours = Fd(fds[0]);
    theirs = Fd(fds[1]);
    ::fcntl(ours.get(), F_SETFL, O_NONBLOCK);
  }

  void send(const std::string& bytes, const std::vector<int>& descriptors = {}) {
    if (bytes.empty()) return;
    iovec part{.iov_base = const_cast<char*>(bytes.data()), .iov_len = bytes.size()};
    std::vector<char> control(CMSG_SPACE(descriptors.size() * sizeof(int)));
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    if (!descriptors.empty()) {
      message.msg_control = control.data();
      message.msg_controllen = control.size();
      auto* head = CMSG_FIRSTHDR(&message);
      head->cmsg_level = SOL_SOCKET;
      head->cmsg_type = SCM_RIGHTS;
      head->cmsg_len = CMSG_LEN(descriptors.size() * sizeof(int));
      std::memcpy(CMSG_DATA(head), descriptors.data(), descriptors.size() * sizeof(int));
    }
    EXPECT_EQ(::sendmsg(theirs.get(), &message, MSG_NOSIGNAL), static_cast<ssize_t>(bytes.size()));
  }

  /// What has come to the client by now.
  std::string drain() {
    std::string all;
    char block[65536];
    for (ssize_t count; (count = ::recv(theirs.get(), block, sizeof(block), MSG_DONTWAIT)) > 0;) all.append(block, static_cast<std::size_t>(count));
    return all;
  }

  Fd ours;
  Fd theirs;
};

inline std::ptrdiff_t open_descriptors() { return std::distance(std::filesystem::directory_iterator("/proc/self/fd"), std::filesystem::directory_iterator()); }

}  // namespace hf::test
