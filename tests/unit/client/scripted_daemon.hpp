// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// A daemon that does what a test tells it to, one frame after the other, on a socket in a directory of its own.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string>
#include <string_view>

#include "base/fd.hpp"
#include "wire.h"

namespace hf::test {

template <class T>
std::string bytes_of(const T& value) {
  return {reinterpret_cast<const char*>(&value), sizeof value};
}

inline std::string frame_bytes(std::uint32_t kind, std::uint64_t cookie, std::string_view payload = {}) {
  hf_wire_header header{HF_WIRE_MAGIC, static_cast<__u32>(payload.size()), kind, 0, cookie};
  return bytes_of(header) + std::string(payload);
}

inline std::string error_payload(int error, std::string_view text) {
  return bytes_of(hf_wire_error{error, static_cast<__u32>(text.size())}) + std::string(text);
}

inline std::string hello_payload(std::uint32_t version = HF_WIRE_VERSION) {
  hf_wire_hello hello{version, HF_ABI_VERSION, "scripted"};
  return bytes_of(hello);
}

struct Request {
  hf_wire_header header{};
  std::string payload;
  Fd file;  ///< the descriptor that came along

  template <class T>
  T as() const {
    T value{};
    EXPECT_GE(payload.size(), sizeof value);
    std::memcpy(&value, payload.data(), std::min(payload.size(), sizeof value));
    return value;
  }
};

/// One accepted connection.
class Peer {
 public:
  explicit Peer(Fd socket) : socket_(std::move(socket)) {
    timeval limit{5, 0};
    setsockopt(socket_.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  }

  /// The next request; kind 0 where the other end has gone.
  Request next() {
    Request request;
    iovec part{&request.header, sizeof request.header};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    const ssize_t count = recvmsg(socket_.get(), &message, MSG_WAITALL | MSG_CMSG_CLOEXEC);
    if (count != static_cast<ssize_t>(sizeof request.header)) return {};
    if (const cmsghdr* head = CMSG_FIRSTHDR(&message); head && head->cmsg_type == SCM_RIGHTS) {
      int fd;
      std::memcpy(&fd, CMSG_DATA(head), sizeof fd);
      request.file = Fd(fd);
    }
    request.payload.resize(request.header.size);
    if (request.header.size) {
      EXPECT_EQ(recv(socket_.get(), request.payload.data(), request.payload.size(), MSG_WAITALL), static_cast<ssize_t>(request.payload.size()));
    }
    return request;
  }
  Request expect(std::uint32_t kind) {
    Request request = next();
    EXPECT_EQ(request.header.kind, kind);
    return request;
  }

  void send_bytes(std::string_view bytes) { ASSERT_EQ(send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL), static_cast<ssize_t>(bytes.size())); }
  void send_frame(std::uint32_t kind, std::uint64_t cookie, std::string_view payload = {}) { send_bytes(frame_bytes(kind, cookie, payload)); }
  void reply(const Request& request, std::uint32_t kind, std::string_view payload = {}) { send_frame(kind, request.header.cookie, payload); }

  void greet() { reply(expect(HF_WIRE_HELLO), HF_WIRE_HELLO, hello_payload()); }
  /// Serves the first hf_acquire() of a session.
  Request grant(std::uint64_t lease, std::uint64_t token) {
    reply(expect(HF_WIRE_SUBSCRIBE), HF_WIRE_OK);
    Request request = expect(HF_WIRE_ACQUIRE);
    reply(request, HF_WIRE_ACQUIRED, bytes_of(hf_wire_acquired{lease, token}));
    return request;
  }
  void close() { socket_.reset(); }
  int socket() const { return socket_.get(); }

 private:
  Fd socket_;
};

class ScriptedDaemon {
 public:
  ScriptedDaemon() {
    std::string name = (std::filesystem::temp_directory_path() / "hf-client-XXXXXX").string();
    directory_ = mkdtemp(name.data());
    path_ = directory_ + "/socket";
    start();
  }
  ~ScriptedDaemon() { std::filesystem::remove_all(directory_); }

  const char* path() const { return path_.c_str(); }
  void start(int backlog = 8) {
    unlink(path_.c_str());
    listener_ = Fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path_.c_str(), sizeof address.sun_path - 1);
    ASSERT_EQ(bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    ASSERT_EQ(listen(listener_.get(), backlog), 0);
  }
  /// As when the daemon dies: nobody listens, connections that were not accepted are gone.
  void stop() { listener_.reset(); }
  Peer accept() {
    pollfd interest{listener_.get(), POLLIN, 0};
    if (poll(&interest, 1, 5000) != 1) {
      ADD_FAILURE() << "nobody connected";
      return Peer(Fd());
    }
    return Peer(Fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC)));
  }

 private:
  std::string directory_, path_;
  Fd listener_;
};

/// A file to lease; the scripted daemon never looks into it.
inline Fd some_file() { return Fd(open("/dev/null", O_RDWR | O_CLOEXEC)); }

inline bool readable(int fd, int timeout_ms) {
  pollfd interest{fd, POLLIN, 0};
  return poll(&interest, 1, timeout_ms) == 1;
}

}  // namespace hf::test
