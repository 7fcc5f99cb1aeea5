// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// The daemon's reader of frames and the library's, over a socket: any bytes, cut anywhere, give frames within their bounds, or an error, and no descriptor
// leaks.
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "client/channel.hpp"
#include "daemon/frame.hpp"
#include "wire.h"

namespace {

void require(bool good, const char* what) {
  if (good) return;
  std::fprintf(stderr, "%s\n", what);
  std::abort();
}

struct Pair {
  hf::Fd ours, theirs;
  Pair() {
    int fds[2];
    require(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0, "socketpair");
    ours = hf::Fd(fds[0]);
    theirs = hf::Fd(fds[1]);
  }
};

void meanings(const hf::Frame& frame) {
  (void)hf::only<hf_wire_hello>(frame.payload, "HELLO");
  (void)hf::only<hf_wire_release>(frame.payload, "RELEASE");
  (void)hf::only<hf_wire_reclaim>(frame.payload, "RECLAIM");
  (void)hf::only<hf_wire_subscribe>(frame.payload, "SUBSCRIBE");
  (void)hf::only<hf_wire_recall_answer>(frame.payload, "RECALL_ANSWER");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  // The first byte says where the stream is cut, the second whether a sound header leads it.
  const std::size_t cut = data[0];
  std::string bytes(reinterpret_cast<const char*>(data + 2), size - 2);
  if (data[1] & 1) bytes = hf::frame_bytes(data[1], 1, bytes);
  {
    Pair pair;
    hf::FrameReader reader;
    bool broken = false;
    for (std::size_t at = 0; at < bytes.size() && !broken;) {
      const auto n = std::min(bytes.size() - at, cut + 1);
      require(::send(pair.theirs.get(), bytes.data() + at, n, MSG_NOSIGNAL) == static_cast<ssize_t>(n), "send");
      at += n;
      for (;;) {
        hf::Frame frame;
        const auto progress = reader.read(pair.ours.get(), frame);
        broken = !progress;
        if (!progress || *progress != hf::FrameReader::Progress::kFrame) break;
        require(frame.payload.size() == frame.header.size && frame.header.size <= HF_WIRE_MAX, "a frame of another size than it says");
        meanings(frame);
      }
    }
  }
  Pair pair;
  hf::client::Channel channel(std::move(pair.ours));
  require(::send(pair.theirs.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(bytes.size()), "send");
  pair.theirs.reset();
  (void)channel.receive();
  std::optional<hf::client::Frame> frame;
  while (channel.next(frame) == 0 && frame) require(frame->payload.size() <= HF_WIRE_MAX, "a frame beyond the bound");
  return 0;
}
