// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// register.c in C++: the region and its lease end with their scope.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <cstdio>
#include <holdfast/verbs.hpp>

#include "endpoint.h"

int main(int argc, char** argv) try {
  struct stat file {};
  const int fd = argc == 3 ? open(argv[1], O_RDWR) : -1;
  if (fd < 0 || fstat(fd, &file)) return std::fprintf(stderr, "usage: register FILE ADDRESS\n"), 2;
  const auto bytes = static_cast<std::size_t>(file.st_size);
  auto session = holdfast::Session::connect();
  auto* memory = static_cast<char*>(mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
  auto* listener = endpoint_listen(argv[2], "7471");
  std::puts("listening");
  std::fflush(stdout);
  auto* peer = endpoint_request(listener);
  auto region = holdfast::Region::reg(session, peer->pd, memory, bytes, IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE);
  std::printf("registered %s: plan %s, lease %llu\n", argv[1], hf_plan_name(region.plan()), static_cast<unsigned long long>(region.lease_id()));
  std::fflush(stdout);
  const memory_key key{reinterpret_cast<std::uintptr_t>(memory), bytes, region->rkey, 0};
  endpoint_check(rdma_post_recv(peer, nullptr, memory, 0, region.get()), "rdma_post_recv");
  endpoint_accept(peer, &key);
  endpoint_check(endpoint_received(peer) < 0, "the peer");  // it says when it has written
  std::printf("the peer wrote: %s\n", memory);
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
