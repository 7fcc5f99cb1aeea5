// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "crash/beside.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <holdfast/holdfast.hpp>
#include <new>
#include <vector>

namespace lab {
namespace {

constexpr useconds_t kBreakerPauseUs = 20'000;  // leaves the emulated processors to those who are tested

/// A process that ends with this program, in a group of its own.
template <class Work>
pid_t child(Work work) {
  const pid_t pid = ::fork();
  if (pid < 0) give_up("fork");
  if (pid) {
    (void)::setpgid(pid, pid);
    return pid;
  }
  (void)::setpgid(0, 0);
  (void)::prctl(PR_SET_PDEATHSIG, SIGKILL);
  work();
  ::_exit(0);
}

void silence() {
  const int null = ::open("/dev/null", O_RDWR);
  for (const int fd : {0, 1, 2}) (void)::dup2(null, fd);
}

void run(const std::vector<const char*>& words) {
  auto arguments = words;
  arguments.push_back(nullptr);
  ::execvp(arguments[0], const_cast<char* const*>(arguments.data()));
  ::_exit(127);
}

void hold(const std::string& file, Counts& counts) {
  const int fd = ::open(file.c_str(), O_RDWR | O_CLOEXEC);
  auto session = holdfast::Session::connect();
  const auto lease = session.acquire(fd, {}, {.settle = false, .label = "kept"});
  counts.holding = 1;
  for (;;) {
    pollfd interest{session.event_fd(), POLLIN, 0};
    (void)::poll(&interest, 1, -1);
    std::error_code error;
    while (const auto event = session.next_event(error))
      if (event->kind == HF_LEASE_EVENT_LOST) counts.leases_lost++;
  }
}

void count(Counts& counts, int result) {
  counts.tries++;
  if (result == 0)
    counts.openings++;
  else if (errno != ETXTBSY)
    counts.other_errors++;
}

void take_and_give_back(const std::string& file, bool killed) {
  const int fd = ::open(file.c_str(), O_RDWR | O_CLOEXEC);
  std::error_code error;
  auto session = holdfast::Session::connect({}, error);
  if (error) ::_exit(1);
  const std::vector<holdfast::Range> first{{0, 65536}}, second{{65536, 65536}};
  auto one = session.acquire(fd, first, {}, error);
  auto two = session.acquire(fd, second, {}, error);
  if (killed) (void)::raise(SIGKILL);
  (void)two.release();
  (void)one.release();
}

}  // namespace

void give_up(const std::string& what) {
  std::fprintf(stderr, "hf-lab-crash: %s\n", what.c_str());
  std::exit(2);
}

Counts& shared_counts() {
  void* page = ::mmap(nullptr, sizeof(Counts), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) give_up("mmap");
  return *new (page) Counts;
}

pid_t start_keeper(const std::string& file, Counts& counts) {
  return child([&] { hold(file, counts); });
}

pid_t start_breaker(const std::string& file, Counts& counts) {
  return child([&] {
    const int fd = ::open(file.c_str(), O_RDWR | O_CLOEXEC);
    for (;; ::usleep(kBreakerPauseUs)) {
      count(counts, ::truncate(file.c_str(), 0));
      count(counts, ::fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 65536));
    }
  });
}

pid_t start_grants(const std::string& file) {
  return child([&] {
    for (int round = 1;; round++) {
      const pid_t one = ::fork();
      if (one == 0) {
        (void)::prctl(PR_SET_PDEATHSIG, SIGKILL);
        take_and_give_back(file, round % 3 == 0);
        ::_exit(0);
      }
      (void)::waitpid(one, nullptr, 0);
    }
  });
}

pid_t start_recalls(const std::string& file) {
  return child([&] {
    silence();
    for (;;) {
      const pid_t one = ::fork();
      if (one == 0) {
        (void)::prctl(PR_SET_PDEATHSIG, SIGKILL);
        run({"holdfast", "recall", file.c_str(), "--wait", "1s", "--", "truncate", "-s", "1M", file.c_str()});
      }
      (void)::waitpid(one, nullptr, 0);
    }
  });
}

pid_t start_daemon(const std::string& crash, bool upgrade, int& words) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC)) give_up("pipe");
  const pid_t pid = child([&] {
    silence();
    (void)::dup2(ends[1], 1);
    (void)::dup2(ends[1], 2);
    if (!crash.empty()) (void)::setenv("HOLDFAST_CRASH_POINT", crash.c_str(), 1);
    if (upgrade) (void)::setenv("HOLDFAST_TEST_UPGRADE", "1", 1);
    run({"holdfastd", "--config", "/tmp/etc", "--state-dir", "/tmp/state"});
  });
  (void)::close(ends[1]);
  words = ends[0];
  return pid;
}

void end(pid_t pid) {
  (void)::kill(-pid, SIGKILL);
  (void)::kill(pid, SIGKILL);
  (void)::waitpid(pid, nullptr, 0);
}

}  // namespace lab
