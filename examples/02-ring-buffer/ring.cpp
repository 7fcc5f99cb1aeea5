// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// ring.c in C++: see there for what makes a record durable.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <cstdio>
#include <holdfast/verbs.hpp>
#include <span>

#include "endpoint.h"
#include "ring.h"

int main(int argc, char** argv) try {
  struct stat file {};
  const int fd = argc == 3 ? open(argv[1], O_RDWR) : -1;
  if (fd < 0 || fstat(fd, &file) || static_cast<std::size_t>(file.st_size) < RECORD_BYTES) return std::fprintf(stderr, "usage: ring FILE ADDRESS\n"), 2;
  const std::size_t count = static_cast<std::size_t>(file.st_size) / RECORD_BYTES, bytes = count * RECORD_BYTES;
  const std::span ring(static_cast<ring_record*>(mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0)), count);
  const auto at = [&](std::uint64_t number) -> ring_record& { return ring[(number - 1) % count]; };
  const auto last = ring_last(ring.data(), count);
  std::printf("recovered: %llu records; the last: %.*s\n", static_cast<unsigned long long>(last), last ? static_cast<int>(at(last).text_bytes) : 4,
              last ? at(last).text : "none");
  auto session = holdfast::Session::connect();
  auto* listener = endpoint_listen(argv[2], "7472");
  std::puts("listening");
  std::fflush(stdout);
  auto* peer = endpoint_request(listener);
  hf_reg_options options{};
  options.flags = HF_REG_SETTLE;
  options.label = "ring";
  auto region = holdfast::Region::reg(session, peer->pd, ring.data(), bytes, IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE, options);
  std::printf("registered: plan %s\n", hf_plan_name(region.plan()));
  std::fflush(stdout);
  const auto receive = [&] { endpoint_check(rdma_post_recv(peer, nullptr, ring.data(), 0, region.get()), "rdma_post_recv"); };
  for (int i = 0; i < 8; i++) receive();
  const memory_key key{reinterpret_cast<std::uintptr_t>(ring.data()), bytes, region->rkey, static_cast<std::uint32_t>(last)};
  endpoint_accept(peer, &key);
  for (std::int64_t number; (number = endpoint_received(peer)) > 0;) {
    auto& record = at(static_cast<std::uint64_t>(number));
    if (!ring_is_whole(&record) || msync(&record, RECORD_BYTES, MS_SYNC) != 0) throw std::runtime_error("a record is not what was announced");
    std::printf("durable: %lld\n", static_cast<long long>(number));
    std::fflush(stdout);
    receive();
    endpoint_check(rdma_post_send(peer, nullptr, nullptr, 0, nullptr, IBV_SEND_INLINE), "rdma_post_send");
    if (endpoint_sent(peer) != 0) break;
  }
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
