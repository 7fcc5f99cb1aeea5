// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// hf-bench-io: what ordinary calls on a file cost. It knows nothing of Holdfast: whether that runs, and what it has on the file, is for who starts it.
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

#include "base/fd.hpp"

namespace {

constexpr std::size_t kBlock = 4096;
constexpr unsigned kBatch = 64;  // calls between two looks at the clock, which costs a call itself

struct Options {
  std::string file;
  std::vector<std::string> calls;
  unsigned batches = 40;
  bool refused = false;
  bool immutable = false;
  unsigned pause_ms = 0;
};

/// Of this thread, in and out of the kernel.
double now_ns() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) * 1e9 + static_cast<double>(time.tv_nsec);
}

[[noreturn]] void die(const std::string& what) { throw std::runtime_error(what + ": " + std::strerror(errno)); }

class Bench {
 public:
  explicit Bench(const Options& options) : options_(options), fd_(open(options.file.c_str(), O_RDWR | O_CLOEXEC)), block_(kBlock, 'b') {
    if (!fd_) die("open " + options.file);
    struct stat status {};
    if (fstat(fd_.get(), &status) != 0) die("fstat " + options.file);
    size_ = status.st_size;
    if (size_ < static_cast<off_t>(kBatch * kBlock)) throw std::runtime_error(fmt::format("{} wants {} bytes at least", options.file, kBatch * kBlock));
    // Only once it is open: for writing nobody can open it then.
    if (options.immutable) set_immutable(true);
  }
  ~Bench() {
    if (options_.immutable) set_immutable(false);
  }
  Bench(const Bench&) = delete;
  Bench& operator=(const Bench&) = delete;

  /// @return nanoseconds of one call, the median over the batches
  double measure(const std::string& name) {
    const auto call = find(name);
    std::vector<double> batches;
    for (unsigned batch = 0; batch <= options_.batches; batch++) {
      prepare(name);
      pause();
      const double start = now_ns();
      for (unsigned i = 0; i < kBatch; i++)
        if (call(i) == options_.refused) die(name + (options_.refused ? " was not refused" : ""));
      const double end = now_ns();
      if (batch) batches.push_back((end - start) / kBatch);  // the first warms up
    }
    const auto middle = batches.begin() + static_cast<long>(batches.size() / 2);
    std::nth_element(batches.begin(), middle, batches.end());
    return *middle;
  }

 private:
  using Call = std::function<bool(unsigned)>;  ///< whether it succeeded

  Call find(const std::string& name) {
    const auto at = [](unsigned i) { return static_cast<off_t>(i * kBlock); };
    if (name == "pread") return [=, this](unsigned i) { return pread(fd_.get(), block_.data(), kBlock, at(i)) == kBlock; };
    if (name == "pwrite") return [=, this](unsigned i) { return pwrite(fd_.get(), block_.data(), kBlock, at(i)) == kBlock; };
    if (name == "fault") return [this](unsigned i) { return memory_[i * kBlock] != '\xff'; };
    if (name == "open")
      return [this](unsigned) {
        const int fd = open(options_.file.c_str(), O_RDWR | O_CLOEXEC);
        return fd >= 0 && close(fd) == 0;
      };
    if (name == "fallocate") return [=, this](unsigned i) { return fallocate(fd_.get(), 0, at(i), kBlock) == 0; };
    if (name == "ftruncate") return [this](unsigned) { return ftruncate(fd_.get(), size_) == 0; };
    if (name == "truncate") return [this](unsigned) { return truncate(options_.file.c_str(), 0) == 0; };
    if (name == "shrink") return [this](unsigned) { return ftruncate(fd_.get(), 0) == 0; };
    if (name == "punch") return [=, this](unsigned i) { return fallocate(fd_.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at(i), kBlock) == 0; };
    if (name == "clone" || name == "clone-into") {
      other_ = hf::Fd(open((options_.file + ".other").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
      if (!other_) die("open the other file");
      const int from = name == "clone" ? fd_.get() : other_.get(), into = name == "clone" ? other_.get() : fd_.get();
      return [=](unsigned) { return ioctl(into, FICLONE, from) == 0; };
    }
    throw std::runtime_error("no call \"" + name + "\"");
  }

  void prepare(const std::string& name) {
    if (name != "fault") return;
    if (memory_) munmap(memory_, kBatch * kBlock);
    void* memory = mmap(nullptr, kBatch * kBlock, PROT_READ | PROT_WRITE, MAP_SHARED, fd_.get(), 0);
    if (memory == MAP_FAILED) die("mmap");
    // One fault a page, not one for sixteen.
    madvise(memory, kBatch * kBlock, MADV_RANDOM);
    memory_ = static_cast<char*>(memory);
  }

  void set_immutable(bool on) {
    int flags = 0;
    if (ioctl(fd_.get(), FS_IOC_GETFLAGS, &flags) != 0) die("FS_IOC_GETFLAGS");
    flags = on ? flags | FS_IMMUTABLE_FL : flags & ~FS_IMMUTABLE_FL;
    if (ioctl(fd_.get(), FS_IOC_SETFLAGS, &flags) != 0) die("FS_IOC_SETFLAGS");
  }

  /// In which others get the processor: what the kernel side told of a batch is read before the next, and its buffer is never full.
  void pause() const {
    const timespec time{options_.pause_ms / 1000, static_cast<long>(options_.pause_ms % 1000) * 1'000'000};
    if (options_.pause_ms) nanosleep(&time, nullptr);
  }

  const Options& options_;
  hf::Fd fd_, other_;
  std::vector<char> block_;
  off_t size_ = 0;
  char* memory_ = nullptr;
};

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app{"Prints a line \"CALL NANOSECONDS\" for each call: the median of its processor time."};
  app.add_option("FILE", options.file)->required();
  app.add_option("CALL", options.calls, "pread pwrite fault open fallocate ftruncate, shrink truncate punch clone clone-into")->required();
  app.add_option("--batches", options.batches, "of 64 calls")->capture_default_str();
  app.add_flag("--refused", options.refused, "Each call must fail");
  app.add_flag("--immutable", options.immutable, "FILE is made immutable (chattr +i) meanwhile");
  app.add_option("--pause", options.pause_ms, "milliseconds between batches, not measured")->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  try {
    Bench bench(options);
    for (const auto& call : options.calls) fmt::print("{} {:.1f}\n", call, bench.measure(call));
    return 0;
  } catch (const std::exception& error) {
    fmt::print(stderr, "hf-bench-io: {}\n", error.what());
    return 2;
  }
}
