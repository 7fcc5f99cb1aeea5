// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// hf-bench-fanotify: a permission listener that allows everything: what a program in user space that is asked each time costs.
#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/fanotify.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>

int main(int argc, char** argv) {
  if (argc != 2) return fmt::print(stderr, "usage: hf-bench-fanotify MOUNT\n"), 2;
  const int listener = fanotify_init(FAN_CLASS_CONTENT | FAN_CLOEXEC, O_RDONLY | O_LARGEFILE);
  if (listener < 0 || fanotify_mark(listener, FAN_MARK_ADD | FAN_MARK_MOUNT, FAN_OPEN_PERM | FAN_ACCESS_PERM, AT_FDCWD, argv[1]) != 0)
    return fmt::print(stderr, "hf-bench-fanotify: {}\n", std::strerror(errno)), 1;
  fmt::print("listening\n");
  std::fflush(stdout);
  alignas(fanotify_event_metadata) std::array<char, 16384> buffer{};
  // Until it is ended.
  for (;;) {
    auto left = read(listener, buffer.data(), buffer.size());
    if (left < 0 && errno == EINTR) continue;
    if (left <= 0) return 1;
    const auto* event = reinterpret_cast<const fanotify_event_metadata*>(buffer.data());
    for (; FAN_EVENT_OK(event, left); event = FAN_EVENT_NEXT(event, left)) {
      if (event->mask & (FAN_OPEN_PERM | FAN_ACCESS_PERM)) {
        const fanotify_response response{event->fd, FAN_ALLOW};
        if (write(listener, &response, sizeof response) != sizeof response) return 1;
      }
      if (event->fd >= 0) close(event->fd);
    }
  }
}
