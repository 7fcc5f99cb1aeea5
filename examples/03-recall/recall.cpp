// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// recall.c in C++: see there for the orders.
#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <holdfast/verbs.hpp>
#include <string>

#include "recall.h"

namespace {

class Target {
 public:
  Target(int fd, rdma_cm_id* peer, holdfast::Session& session) : fd_(fd), peer_(peer), session_(session) {
    messages_mr_ = rdma_reg_msgs(peer, messages_.data(), sizeof messages_);
  }

  /// Puts the pieces together: the file as it is now, mapped, leased and registered.
  memory_key hold() {
    struct stat file {};
    endpoint_check(fstat(fd_, &file), "fstat");
    bytes_ = static_cast<std::size_t>(file.st_size);
    memory_ = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_SHARED, fd_, 0);
    hf_reg_options options{};
    options.flags = HF_REG_SETTLE;
    options.label = "recall example";
    region_ = holdfast::Region::reg(session_, peer_->pd, memory_, bytes_, IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE, options);
    std::printf("held: %zu bytes, plan %s\n", bytes_, hf_plan_name(region_.plan()));
    return {reinterpret_cast<std::uintptr_t>(memory_), bytes_, region_->rkey, 0};
  }

  /// Takes them apart: when this returns, the file is anyone's.
  void release() {
    if (!region_) return;
    endpoint_check(rdma_post_recv(peer_, nullptr, &messages_[1], sizeof messages_[1], messages_mr_), "rdma_post_recv");
    say(RECALL_QUIESCE, {});
    // A fence that can't be proved throws, and the kernel takes the region with the process.
    cut_off_ = !heard(RECALL_QUIET);
    if (cut_off_) std::printf("the peer did not answer: fenced by %s\n", hf_fence_name(region_.fence().fence));
    region_.dereg();
    munmap(memory_, bytes_);
    std::puts("released");
  }

  void resume() {
    if (!region_ && !cut_off_) say(RECALL_RESUME, hold());
  }

  void events() {
    while (const auto event = session_.next_event()) {
      switch (event->kind) {
        case HF_LEASE_EVENT_DENIED:
          std::printf("refused: %s by %s (process %u)\n", hf_operation_name(event->operation), event->breaker_comm, event->breaker_pid);
          break;
        case HF_LEASE_EVENT_RECALL:
        case HF_LEASE_EVENT_FENCE:
        case HF_LEASE_EVENT_ESCAPED:  // what is registered may no longer be the file
        case HF_LEASE_EVENT_LOST:
          release();
          break;
        case HF_LEASE_EVENT_RECALL_OVER:
          resume();
          break;
      }
    }
  }

 private:
  void say(recall_word word, memory_key key) {
    messages_[0] = {static_cast<std::uint32_t>(word), 0, key};
    endpoint_check(rdma_post_send(peer_, nullptr, &messages_[0], sizeof messages_[0], messages_mr_, 0), "rdma_post_send");
    endpoint_check(endpoint_sent(peer_), "the peer");
  }
  bool heard(recall_word word) { return endpoint_received_within(peer_, RECALL_PATIENCE_MS) && messages_[1].word == static_cast<std::uint32_t>(word); }

  int fd_;
  rdma_cm_id* peer_;
  holdfast::Session& session_;
  std::array<recall_message, 2> messages_{};  // out, in
  ibv_mr* messages_mr_ = nullptr;
  void* memory_ = nullptr;
  std::size_t bytes_ = 0;
  bool cut_off_ = false;  // the peer was fenced, and its connection is gone
  holdfast::Region region_;
};

}  // namespace

int main(int argc, char** argv) try {
  const int fd = argc == 3 ? open(argv[1], O_RDWR) : -1;
  if (fd < 0) return std::fprintf(stderr, "usage: recall FILE ADDRESS\n"), 2;
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  std::setvbuf(stdin, nullptr, _IONBF, 0);
  auto session = holdfast::Session::connect();
  auto* listener = endpoint_listen(argv[2], "7473");
  std::puts("listening");
  auto* peer = endpoint_request(listener);
  Target target(fd, peer, session);
  const auto key = target.hold();
  endpoint_accept(peer, &key);

  std::array<char, 64> order{};
  pollfd wait[2] = {{STDIN_FILENO, POLLIN, 0}, {session.event_fd(), POLLIN, 0}};
  while (poll(wait, 2, -1) > 0) {
    if (wait[1].revents) target.events();
    if (!wait[0].revents) continue;
    if (!std::fgets(order.data(), order.size(), stdin) || order.data() == std::string("quit\n")) break;
    if (order.data() == std::string("recall\n")) target.release();
    if (order.data() == std::string("resume\n")) target.resume();
  }
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
