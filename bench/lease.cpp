// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// hf-bench-lease: how long it takes to get and give back a claim on a file: a lease of libholdfast, the kernel's own kinds, a lease of etcd. How long a
// breaker's refusal takes to its holder. And it holds many leases, for others to measure beside.
#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <functional>
#include <holdfast/holdfast.hpp>
#include <latch>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "base/fd.hpp"
#include "etcd.hpp"

namespace {

struct Options {
  std::string file, kind = "holdfast";
  unsigned count = 500;
  unsigned clients = 1;
  unsigned etcd_port = 2379;
  bool quantiles = false;
  unsigned elsewhere = 0, extents = 1, holders = 1;
};

constexpr std::uint64_t kPage = 4096;

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

/// @param each nanoseconds between two ends of a claim, of all clients together
void print(const Options& options, std::vector<double>& values, double each) {
  std::sort(values.begin(), values.end());
  const auto at = [&](double part) { return values[static_cast<std::size_t>(part * static_cast<double>(values.size() - 1))] / 1e3; };
  if (options.quantiles) {
    for (unsigned i = 0; i <= 200; i++) fmt::print("{} {:.2f}\n", i / 200.0, at(i / 200.0));
    return;
  }
  fmt::print("{} {:.2f} {:.2f} {:.2f} {:.2f}\n", options.kind, at(0.5), at(0.99), at(1), each / 1e3);
}

void set_lock(int fd, int command, short type) {
  struct flock lock {};
  lock.l_type = type;
  lock.l_whence = SEEK_SET;
  if (fcntl(fd, command, &lock) != 0) die("fcntl");
}

/// A server that does nothing but answer, as soon as it is woken by what it waits for, until its client is gone.
void serve_nothing(int socket) {
  char byte = 0;
  pollfd interest{socket, POLLIN, 0};
  while (poll(&interest, 1, -1) == 1 && recv(socket, &byte, 1, 0) == 1 && send(socket, &byte, 1, MSG_NOSIGNAL) == 1) {
  }
}

/// What getting a claim and giving it back takes at least, where another process is asked for each.
std::function<void()> two_round_trips() {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) die("socketpair");
  const auto ours = std::make_shared<hf::Fd>(ends[0]);
  const hf::Fd theirs(ends[1]);
  const pid_t child = fork();
  if (child < 0) die("fork");
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    serve_nothing(ends[1]);
    _exit(0);
  }
  return [ours] {
    char byte = 0;
    for (int trip = 0; trip < 2; trip++)
      if (send(ours->get(), &byte, 1, MSG_NOSIGNAL) != 1 || recv(ours->get(), &byte, 1, 0) != 1) die("round trip");
  };
}

/// Makes, for one client, what gets a claim and gives it back. Each client has a file of its own: what is measured is not how they wait for each other.
std::function<void()> claim_of(const Options& options, const std::string& path) {
  if (options.kind == "round-trips") return two_round_trips();
  if (options.kind == "etcd") return [client = std::make_shared<hf::bench::EtcdClient>(options.etcd_port)] { client->revoke(client->grant()); };
  // A read lease wants that nobody has the file open for writing.
  const bool reads = options.kind == "setlease";
  const auto file = std::make_shared<hf::Fd>(open(path.c_str(), (reads ? O_RDONLY : O_RDWR) | O_CREAT | O_CLOEXEC, 0600));
  struct stat status {};
  if (!*file || fstat(file->get(), &status) != 0 || (!reads && status.st_size == 0 && ftruncate(file->get(), kPage) != 0)) die(path);
  if (options.kind == "holdfast") {
    const auto session = std::make_shared<holdfast::Session>(holdfast::Session::connect());
    return [=] { auto lease = session->acquire(file->get(), {}, {.settle = false, .label = "bench"}); };
  }
  if (options.kind == "setlease")
    return [=] {
      if (fcntl(file->get(), F_SETLEASE, F_RDLCK) != 0 || fcntl(file->get(), F_SETLEASE, F_UNLCK) != 0) die("F_SETLEASE");
    };
  if (options.kind == "flock")
    return [=] {
      if (flock(file->get(), LOCK_EX) != 0 || flock(file->get(), LOCK_UN) != 0) die("flock");
    };
  if (options.kind == "ofd-lock")
    return [=] {
      set_lock(file->get(), F_OFD_SETLK, F_WRLCK);
      set_lock(file->get(), F_OFD_SETLK, F_UNLCK);
    };
  throw std::runtime_error("no kind \"" + options.kind + "\"");
}

/// Each client gets and gives back as often as asked, all at once.
void claims(const Options& options) {
  std::vector<std::function<void()>> clients;
  for (unsigned i = 0; i < options.clients; i++) clients.push_back(claim_of(options, i ? fmt::format("{}.{}", options.file, i) : options.file));
  std::vector<std::vector<double>> times(options.clients);
  std::vector<double> began(options.clients), ended(options.clients);
  std::vector<std::string> errors(options.clients);
  std::latch warm(options.clients);
  const auto run = [&](unsigned i) {
    try {
      clients[i]();
    } catch (const std::exception& error) {
      errors[i] = error.what();
    }
    warm.arrive_and_wait();
    began[i] = now_ns();
    try {
      for (unsigned n = 0; errors[i].empty() && n < options.count; n++) {
        const double start = now_ns();
        clients[i]();
        times[i].push_back(now_ns() - start);
      }
    } catch (const std::exception& error) {
      errors[i] = error.what();
    }
    ended[i] = now_ns();
  };
  {
    std::vector<std::jthread> threads;
    for (unsigned i = 0; i < options.clients; i++) threads.emplace_back(run, i);
  }
  std::vector<double> all;
  for (unsigned i = 0; i < options.clients; i++) {
    if (!errors[i].empty()) throw std::runtime_error(errors[i]);
    all.insert(all.end(), times[i].begin(), times[i].end());
  }
  const double took = *std::max_element(ended.begin(), ended.end()) - *std::min_element(began.begin(), began.end());
  print(options, all, took / static_cast<double>(all.size()));
}

/// Getting alone, from a daemon that has nothing else to do: the one before is given back and told of before the next is asked for.
void grants(const Options& options) {
  const hf::Fd fd = open_file(options.file);
  auto session = holdfast::Session::connect();
  std::vector<double> times;
  while (times.size() < options.count) {
    const timespec pause{0, 5'000'000};  // not a wait for anything: one lease at a time is what is measured
    nanosleep(&pause, nullptr);
    const double start = now_ns();
    const auto lease = session.acquire(fd.get(), {}, {.settle = false, .label = "bench"});
    times.push_back(now_ns() - start);
  }
  print(options, times, 0);
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
  print(options, times, 0);
}

/// Leases every other page of a file, so that none can be joined with its neighbour. @param extents of the file, in leases of as many as one may have
void lease_extents(holdfast::Session& session, const std::string& path, unsigned extents, std::vector<holdfast::Lease>& leases) {
  const hf::Fd fd(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  struct stat status {};
  const auto wanted = static_cast<off_t>(kPage * (2 * extents - 1));
  if (!fd || fstat(fd.get(), &status) != 0 || (status.st_size < wanted && ftruncate(fd.get(), wanted) != 0)) die(path);
  for (unsigned done = 0; done < extents;) {
    std::vector<holdfast::Range> ranges;
    for (; done < extents && ranges.size() < HF_RANGES_MAX; done++) ranges.push_back({std::uint64_t{2} * done * kPage, kPage});
    leases.push_back(session.acquire(fd.get(), ranges, {.settle = false, .label = "elsewhere"}));
  }
}

/// One holder's part of the files.
std::vector<holdfast::Lease> lease_files(const Options& options, unsigned holder) {
  auto session = holdfast::Session::connect();
  std::vector<holdfast::Lease> leases;
  for (unsigned i = holder; i < options.elsewhere; i += options.holders) lease_extents(session, fmt::format("{}/{}", options.file, i), options.extents, leases);
  return leases;
}

/// A child that holds its part until this process ends.
void hold_in_child(const Options& options, unsigned holder) {
  int ready[2];
  if (pipe(ready) != 0) die("pipe");
  const pid_t child = fork();
  if (child < 0) die("fork");
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    const auto leases = lease_files(options, holder);
    if (write(ready[1], "+", 1) == 1)
      for (;;) pause();
    _exit(1);
  }
  close(ready[1]);
  char byte = 0;
  if (read(ready[0], &byte, 1) != 1) throw std::runtime_error(fmt::format("holder {} ended", holder));
  close(ready[0]);
}

/// Holds that many files of a folder, until the end of standard input.
void hold(const Options& options) {
  std::vector<holdfast::Lease> leases;
  if (options.holders > 1)
    for (unsigned holder = 0; holder < options.holders; holder++) hold_in_child(options, holder);
  else
    leases = lease_files(options, 0);
  fmt::print("holding {}\n", options.elsewhere);
  std::fflush(stdout);
  while (std::getchar() != EOF) {
  }
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app{
      "Prints \"KIND MEDIAN P99 MOST EACH\" in microseconds: of a claim on FILE and its end, or of the way from a refusal to the holder. EACH: the time of "
      "all, divided by how many claims there were."};
  app.add_option("FILE", options.file, "a folder with --hold; the clients but the first have FILE.1, FILE.2...")->required();
  app.add_option("--kind", options.kind,
                 "holdfast setlease flock ofd-lock etcd callback, round-trips: two through a server that does nothing, grant: a lease of an idle holdfastd, "
                 "without its end")
      ->capture_default_str();
  app.add_option("--count", options.count, "of each client")->capture_default_str();
  app.add_option("--clients", options.clients, "at the same time")->capture_default_str()->check(CLI::Range(1, 1024));
  app.add_option("--etcd", options.etcd_port, "Port of etcd on this machine")->capture_default_str();
  app.add_flag("--quantiles", options.quantiles, "Print lines \"PART MICROSECONDS\": how long that part of them took at most");
  auto* hold_option = app.add_option("--hold", options.elsewhere, "Make and hold so many files in FILE until standard input ends");
  app.add_option("--extents", options.extents, "Leased pages of each file, no two beside each other")
      ->capture_default_str()
      ->needs(hold_option)
      ->check(CLI::Range(1, 1000000));
  app.add_option("--holders", options.holders, "So many processes share the files among them")
      ->capture_default_str()
      ->needs(hold_option)
      ->check(CLI::Range(1, 100000));
  CLI11_PARSE(app, argc, argv);
  try {
    if (options.elsewhere)
      hold(options);
    else if (options.kind == "callback")
      callback(options);
    else if (options.kind == "grant")
      grants(options);
    else
      claims(options);
    return 0;
  } catch (const std::exception& error) {
    fmt::print(stderr, "hf-bench-lease: {}\n", error.what());
    return 2;
  }
}
