// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// hf-bench-lease: how long it takes to get and give back a claim on a file: a lease of libholdfast, and the kernel's own kinds. And how long a breaker's
// refusal takes to its holder.
#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <holdfast/holdfast.hpp>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "base/fd.hpp"

namespace {

struct Options {
  std::string file, kind = "holdfast";
  unsigned count = 500;
  unsigned elsewhere = 0;
};

double now_ns(clockid_t clock = CLOCK_BOOTTIME) {
  timespec time{};
  clock_gettime(clock, &time);
  return static_cast<double>(time.tv_sec) * 1e9 + static_cast<double>(time.tv_nsec);
}

[[noreturn]] void die(const std::string& what) { throw std::runtime_error(what + ": " + std::strerror(errno)); }

hf::Fd open_file(const std::string& path) {
  hf::Fd fd(open(path.c_str(), O_RDWR | O_CLOEXEC));
  if (!fd) die("open " + path);
  return fd;
}

void print(const char* what, std::vector<double>& values) {
  std::sort(values.begin(), values.end());
  const auto at = [&](double part) { return values[static_cast<std::size_t>(part * static_cast<double>(values.size() - 1))] / 1e3; };
  fmt::print("{} {:.2f} {:.2f} {:.2f}\n", what, at(0.5), at(0.99), at(1));
}

/// One claim and its end, as often as asked.
template <class Claim>
void measure(const Options& options, Claim&& claim) {
  std::vector<double> times;
  for (unsigned i = 0; i <= options.count; i++) {
    const double start = now_ns();
    claim();
    if (i) times.push_back(now_ns() - start);  // the first warms up
  }
  print(options.kind.c_str(), times);
}

void set_lock(int fd, int command, short type) {
  struct flock lock {};
  lock.l_type = type;
  lock.l_whence = SEEK_SET;
  if (fcntl(fd, command, &lock) != 0) die("fcntl");
}

void claims(const Options& options) {
  const hf::Fd fd = open_file(options.file);
  if (options.kind == "holdfast") {
    auto session = holdfast::Session::connect();
    measure(options, [&] { auto lease = session.acquire(fd.get(), {}, {.settle = false, .label = "bench"}); });
  } else if (options.kind == "setlease") {
    const hf::Fd reader(open(options.file.c_str(), O_RDONLY | O_CLOEXEC));
    // A read lease wants that nobody has the file open for writing.
    const_cast<hf::Fd&>(fd).reset();
    measure(options, [&] {
      if (fcntl(reader.get(), F_SETLEASE, F_RDLCK) != 0 || fcntl(reader.get(), F_SETLEASE, F_UNLCK) != 0) die("F_SETLEASE");
    });
  } else if (options.kind == "flock") {
    measure(options, [&] {
      if (flock(fd.get(), LOCK_EX) != 0 || flock(fd.get(), LOCK_UN) != 0) die("flock");
    });
  } else if (options.kind == "ofd-lock") {
    measure(options, [&] {
      set_lock(fd.get(), F_OFD_SETLK, F_WRLCK);
      set_lock(fd.get(), F_OFD_SETLK, F_UNLCK);
    });
  } else {
    throw std::runtime_error("no kind \"" + options.kind + "\"");
  }
}

/// From the refusal in the kernel to the holder's callback, by another thread's truncate.
void callback(const Options& options) {
  const hf::Fd fd = open_file(options.file);
  auto session = holdfast::Session::connect();
  auto lease = session.acquire(fd.get(), {}, {.settle = false, .label = "bench"});
  std::vector<double> times;
  std::jthread breaker([&](const std::stop_token& stop) {
    const hf::Fd own = open_file(options.file);
    // The holder's own try is refused as any other, and told as any other.
    while (!stop.stop_requested()) {
      if (ftruncate(own.get(), 0) == 0) return;
      const timespec pause{0, 5'000'000};  // not a wait for anything: one refusal at a time is what is measured
      nanosleep(&pause, nullptr);
    }
  });
  while (times.size() <= options.count) {
    pollfd interest{session.event_fd(), POLLIN, 0};
    if (poll(&interest, 1, 10'000) != 1) throw std::runtime_error("no event in 10 s");
    while (const auto event = session.next_event())
      if (event->kind == HF_LEASE_EVENT_DENIED) times.push_back(now_ns() - static_cast<double>(event->time_ns));
  }
  times.erase(times.begin());
  print("callback", times);
}

/// Holds that many files of a folder, until the end of standard input.
void hold(const Options& options) {
  auto session = holdfast::Session::connect();
  std::vector<holdfast::Lease> leases;
  leases.reserve(options.elsewhere);
  for (unsigned i = 0; i < options.elsewhere; i++) {
    const auto path = fmt::format("{}/{}", options.file, i);
    const hf::Fd fd(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    if (!fd || ftruncate(fd.get(), 4096) != 0) die(path);
    leases.push_back(session.acquire(fd.get(), {}, {.settle = false, .label = "elsewhere"}));
  }
  fmt::print("holding {}\n", leases.size());
  std::fflush(stdout);
  while (std::getchar() != EOF) {
  }
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app{"Prints \"KIND MEDIAN P99 MOST\" in microseconds: of a claim on FILE and its end, or of the way from a refusal to the holder."};
  app.add_option("FILE", options.file, "a folder with --hold")->required();
  app.add_option("--kind", options.kind, "holdfast setlease flock ofd-lock callback")->capture_default_str();
  app.add_option("--count", options.count)->capture_default_str();
  app.add_option("--hold", options.elsewhere, "Make and hold so many files in FILE until standard input ends");
  CLI11_PARSE(app, argc, argv);
  try {
    if (options.elsewhere)
      hold(options);
    else if (options.kind == "callback")
      callback(options);
    else
      claims(options);
    return 0;
  } catch (const std::exception& error) {
    fmt::print(stderr, "hf-bench-lease: {}\n", error.what());
    return 2;
  }
}
