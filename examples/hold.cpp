// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// Holds the first half of a file while it works on it: example_hold_cpp FILE. c++ -std=c++20 hold.cpp $(pkg-config --cflags --libs libholdfast)
#include <fcntl.h>
#include <sys/stat.h>

#include <cstdio>
#include <holdfast/holdfast.hpp>

int main(int argc, char** argv) try {
  const int fd = argc == 2 ? open(argv[1], O_RDWR | O_CLOEXEC) : -1;
  struct stat file {};
  if (fd < 0 || fstat(fd, &file) != 0) {
    std::fprintf(stderr, "usage: example_hold_cpp FILE (one that you may write)\n");
    return 2;
  }
  auto session = holdfast::Session::connect();
  {
    auto lease = session.acquire(fd, {{0, static_cast<std::uint64_t>(file.st_size) / 2}}, {.label = "first half"});
    std::printf("lease %llu: the first half of %s stays where it is; press Enter to end it\n", static_cast<unsigned long long>(lease.id()), argv[1]);
    std::getchar();
  }  // the lease has ended
  while (auto event = session.next_event())
    std::printf("%s was tried by %s (process %u)\n", hf_operation_name(event->operation), event->breaker_comm, event->breaker_pid);
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
