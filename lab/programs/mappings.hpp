// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// Ranges of files mapped side by side, and descriptors sent to other processes: what the lab's registering programs share.
#pragma once

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstring>
#include <string>
#include <vector>

#include "verbs_end.hpp"

namespace lab {

struct Range {
  std::string file;
  std::uint64_t offset = 0;
  std::uint64_t length = 0;
};

inline Range parse_range(const std::string& text) {
  const auto second = text.rfind(':');
  const auto first = text.rfind(':', second - 1);
  if (second == std::string::npos || first == std::string::npos) throw std::runtime_error("--map wants FILE:OFFSET:LENGTH");
  return {text.substr(0, first), std::stoull(text.substr(first + 1, second - first - 1)), std::stoull(text.substr(second + 1))};
}

struct Mapping {
  char* address;
  std::uint64_t length;
};

/// Lays the ranges beside each other in one stretch of addresses.
inline std::vector<Mapping> map_ranges(const std::vector<Range>& ranges, bool read_only) {
  constexpr std::uint64_t huge = 2 << 20;
  std::uint64_t total = 0;
  for (const auto& range : ranges) total += range.length;
  auto* reserved = static_cast<char*>(mmap(nullptr, total + huge, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
  if (reserved == MAP_FAILED) die("mmap", errno);
  char* next = reserved + (huge - reinterpret_cast<std::uintptr_t>(reserved) % huge) % huge;
  std::vector<Mapping> mappings;
  for (const auto& range : ranges) {
    const hf::Fd file(open(range.file.c_str(), (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC));
    if (!file) die("open " + range.file, errno);
    if (mmap(next, range.length, PROT_READ | (read_only ? 0 : PROT_WRITE), MAP_SHARED | MAP_FIXED, file.get(), static_cast<off_t>(range.offset)) == MAP_FAILED)
      die("mmap " + range.file, errno);
    mappings.push_back({next, range.length});
    next += range.length;
  }
  return mappings;
}

/// Sends one descriptor over a Unix socket.
inline void send_descriptor(const std::string& path, int descriptor) {
  const hf::Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
  if (connect(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) die("connect " + path, errno);
  char byte = 0;
  iovec piece{&byte, 1};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  cmsghdr* head = CMSG_FIRSTHDR(&message);
  head->cmsg_level = SOL_SOCKET;
  head->cmsg_type = SCM_RIGHTS;
  head->cmsg_len = CMSG_LEN(sizeof(int));
  std::memcpy(CMSG_DATA(head), &descriptor, sizeof descriptor);
  if (sendmsg(socket.get(), &message, 0) != 1) die("sendmsg", errno);
  // The other end answers when it has it.
  if (recv(socket.get(), &byte, 1, 0) != 1) throw std::runtime_error("the receiver did not answer");
}

}  // namespace lab
