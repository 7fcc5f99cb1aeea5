// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// hf-bench-journal: how long it takes from a refusal in the kernel until its entry can be read in the journal.
#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/inotify.h>
#include <time.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <vector>

#include "base/fd.hpp"
#include "journal/database.hpp"

namespace {

constexpr int kLongestMs = 60'000;

struct Options {
  std::string file, journal = "/var/lib/holdfast/journal.db";
  unsigned count = 100;
};

[[noreturn]] void die(const std::string& what) { throw std::runtime_error(what + ": " + std::strerror(errno)); }

double now_us() {
  timespec time{};
  clock_gettime(CLOCK_BOOTTIME, &time);
  return static_cast<double>(time.tv_sec) * 1e6 + static_cast<double>(time.tv_nsec) / 1e3;
}

template <class T>
T or_die(hf::Result<T> result) {
  if (!result) throw std::runtime_error(result.error().message);
  return std::move(*result);
}

/// Waits for writes to the journal, which its own log takes first (-wal). What is written can be read a little later: the log's index is memory, of which
/// nobody is told (wal-index, sqlite.org/walformat.html).
class Writes {
 public:
  explicit Writes(const std::string& journal) : fd_(inotify_init1(IN_CLOEXEC | IN_NONBLOCK)) {
    if (!fd_ || inotify_add_watch(fd_.get(), std::filesystem::path(journal).parent_path().c_str(), IN_MODIFY) < 0) die("watch " + journal);
  }
  /// @param written whether there was a write already since what is waited for
  void wait(bool& written) const {
    pollfd interest{fd_.get(), POLLIN, 0};
    const int count = poll(&interest, 1, written ? 1 : kLongestMs);
    if (count < 0 || (count == 0 && !written)) throw std::runtime_error("nothing was written to the journal");
    written = true;
    std::array<char, 4096> events{};
    while (read(fd_.get(), events.data(), events.size()) > 0) {
    }
  }

 private:
  hf::Fd fd_;
};

int run(const Options& options) {
  const hf::Fd file(open(options.file.c_str(), O_RDWR | O_CLOEXEC));
  if (!file) die("open " + options.file);
  const auto database = or_die(hf::Database::open(options.journal, hf::Database::Mode::kRead));
  auto last = or_die(database.prepare("SELECT boot_ns FROM event WHERE kind = 'denial' AND boot_ns > ? ORDER BY id DESC LIMIT 1"));
  const Writes writes(options.journal);
  std::vector<double> times;
  while (times.size() < options.count) {
    const double began = now_us();
    if (ftruncate(file.get(), 0) == 0) throw std::runtime_error(options.file + " is not leased: it has been cut");
    for (bool written = false;;) {
      if (now_us() - began > kLongestMs * 1e3) throw std::runtime_error("the refusal has no entry in the journal");
      last.reset();
      last.bind(1, static_cast<std::int64_t>(began * 1e3));
      if (or_die(last.step())) break;
      writes.wait(written);
    }
    times.push_back(now_us() - static_cast<double>(last.number(0)) / 1e3);
    last.reset();
  }
  std::sort(times.begin(), times.end());
  for (unsigned i = 0; i <= 200; i++) fmt::print("{} {:.2f}\n", i / 200.0, times[static_cast<std::size_t>(i / 200.0 * static_cast<double>(times.size() - 1))]);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app{
      "Prints lines \"PART MICROSECONDS\": in how long that part of the refusals had their entry in the journal. One refusal at a time, none before the last "
      "is there."};
  app.add_option("FILE", options.file, "leased: it is cut, again and again")->required();
  app.add_option("--journal", options.journal)->capture_default_str();
  app.add_option("--count", options.count)->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  try {
    return run(options);
  } catch (const std::exception& error) {
    fmt::print(stderr, "hf-bench-journal: {}\n", error.what());
    return 2;
  }
}
