// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// hf-lab-fsx: random operations, with a seed, on a file of which a range is leased by someone else. Each must be refused exactly where it touches the leased
// range and go through everywhere else, and what lies outside the leased range must read back as what was put there.
//
// Exit status: 0 all was so, 1 something was not, 2 the file could not be prepared.
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "base/fd.hpp"

namespace {

struct Options {
  std::string file;
  std::uint64_t offset = 0;
  std::uint64_t length = 0;
  std::uint64_t seed = 1;
  double seconds = 10;
  std::uint64_t operations = 0;
};

struct Range {
  std::uint64_t first, end;
  std::uint64_t length() const { return end - first; }
  bool meets(const Range& other) const { return first < other.end && other.first < end; }
};

class Exercise {
 public:
  explicit Exercise(const Options& options) : options_(options), random_(options.seed) {}

  bool prepare() {
    file_ = hf::Fd(open(options_.file.c_str(), O_RDWR | O_CLOEXEC));
    struct stat status {};
    if (!file_ || fstat(file_.get(), &status) != 0) return false;
    struct statfs filesystem {};
    if (fstatfs(file_.get(), &filesystem) != 0) return false;
    sharing_reaches_ = filesystem.f_type == XFS_SUPER_MAGIC;
    huge_ = status.st_blksize >= 1 << 20;
    unit_ = huge_ ? static_cast<std::uint64_t>(status.st_blksize) : 4096;
    size_ = static_cast<std::uint64_t>(status.st_size);
    most_ = 2 * size_;
    // The gate rounds out to the pages that back the bytes.
    leased_ = {options_.offset / unit_ * unit_, (options_.offset + options_.length + unit_ - 1) / unit_ * unit_};
    if (leased_.end > size_ || leased_.length() == 0) return (errno = EINVAL, false);
    const std::string donor = options_.file + ".donor";
    donor_ = hf::Fd(open(donor.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    if (!donor_) return false;
    unlink(donor.c_str());
    if (!huge_) {
      const std::vector<char> bytes(size_, 'd');
      if (pwrite(donor_.get(), bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) return false;
    }
    model_.resize(most_);
    return read_back({0, size_}, model_.data());
  }

  void step() {
    using Do = void (Exercise::*)();
    static constexpr Do kAll[] = {&Exercise::truncate, &Exercise::truncate,    &Exercise::punch,        &Exercise::punch,      &Exercise::zero,
                                  &Exercise::collapse, &Exercise::insert,      &Exercise::allocate,     &Exercise::clone_into, &Exercise::clone_from,
                                  &Exercise::copy,     &Exercise::cut_open,    &Exercise::write,        &Exercise::write,      &Exercise::write_mapped,
                                  &Exercise::verify,   &Exercise::verify,      &Exercise::forget_cache, &Exercise::rename,     &Exercise::sync,
                                  &Exercise::mode,     &Exercise::write_direct};
    (this->*kAll[below(std::size(kAll))])();
    operations_++;
  }

  bool finish() {
    verify_all();
    fmt::print("{{\"seed\": {}, \"operations\": {}, \"refused\": {}, \"allowed\": {}, \"not_supported\": {}, \"needless\": {}, \"wrong\": {}}}\n",
               options_.seed, operations_, refused_, allowed_, not_supported_, needless_, wrong_);
    return wrong_ == 0 && operations_ > 0;
  }

  std::uint64_t operations() const { return operations_; }

 private:
  std::uint64_t below(std::uint64_t limit) { return limit ? random_() % limit : 0; }

  /// Somewhere in the file; half of the time in whole units.
  Range somewhere(std::uint64_t up_to, bool whole_units = false) {
    std::uint64_t first = below(up_to), length = 1 + below(std::min<std::uint64_t>(up_to - first, 16 * unit_));
    if (whole_units || below(2)) {
      first = first / unit_ * unit_;
      length = (length + unit_ - 1) / unit_ * unit_;
    }
    return {first, first + length};
  }

  /// @param result of the call, errno set @return whether it went through
  bool judge(const char* name, const Range& range, bool touches, long result) {
    const int error = result < 0 ? errno : 0;
    const bool denied = error == ETXTBSY || error == EDEADLK;
    const bool unable = error == EOPNOTSUPP || error == EINVAL || error == ENOSPC || error == ENOTTY || error == EFBIG;
    // What the filesystem can't do at all is said before the gate is asked.
    const bool due = touches ? denied || error == EOPNOTSUPP : !denied && (error == 0 || unable);
    if (denied && !touches) {
      // What the gate does where a hint of its own was skipped (docs/decisions/0001). Counted by it, too: the two must agree.
      needless_++;
      fmt::print("NEEDLESS: operation {}: {} of [{}, {}) was refused, leased [{}, {}), size {}\n", operations_, name, range.first, range.end, leased_.first,
                 leased_.end, size_);
    } else if (!due) {
      wrong_++;
      fmt::print("WRONG: operation {}: {} of [{}, {}), leased [{}, {}), size {}: {} where {} was due\n", operations_, name, range.first, range.end,
                 leased_.first, leased_.end, size_, error ? std::strerror(error) : "success", touches ? "a refusal" : "success");
    }
    refused_ += denied;
    not_supported_ += unable;
    allowed_ += error == 0;
    return error == 0;
  }

  void clear(std::uint64_t first, std::uint64_t end) {
    if (first < std::min(end, most_))
      std::fill(model_.begin() + static_cast<std::ptrdiff_t>(first), model_.begin() + static_cast<std::ptrdiff_t>(std::min(end, most_)), 0);
  }
  void resize(std::uint64_t size) {
    clear(std::min(size, size_), most_);
    size_ = size;
  }

  void truncate() {
    std::uint64_t size = below(most_);
    if (huge_ || below(2)) size = size / unit_ * unit_;
    const bool touches = size < size_ && size < leased_.end;
    if (judge("truncate", {size, ~0ull}, touches, ftruncate(file_.get(), static_cast<off_t>(size)))) resize(size);
  }

  bool change(const char* name, int how, const Range& range, bool touches) {
    return judge(name, range, touches, fallocate(file_.get(), how, static_cast<off_t>(range.first), static_cast<off_t>(range.length())));
  }
  void punch() {
    const Range range = somewhere(most_);
    if (change("punch", FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, range, range.meets(leased_))) {
      // Of hugetlbfs whole pages go, and it zeroes the rest.
      clear(range.first, std::min(range.end, size_));
    }
  }
  void zero() {
    const Range range = somewhere(size_);
    if (change("zero", FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, range, range.meets(leased_))) clear(range.first, std::min(range.end, size_));
  }
  void collapse() {
    const Range range = somewhere(size_, true);
    if (!change("collapse", FALLOC_FL_COLLAPSE_RANGE, range, range.first <= leased_.end)) return;
    std::copy(model_.begin() + static_cast<std::ptrdiff_t>(range.end), model_.begin() + static_cast<std::ptrdiff_t>(size_),
              model_.begin() + static_cast<std::ptrdiff_t>(range.first));
    resize(size_ - range.length());
  }
  void insert() {
    const Range range = somewhere(size_, true);
    if (size_ + range.length() > most_) return;
    if (!change("insert", FALLOC_FL_INSERT_RANGE, range, range.first <= leased_.end)) return;
    std::copy_backward(model_.begin() + static_cast<std::ptrdiff_t>(range.first), model_.begin() + static_cast<std::ptrdiff_t>(size_),
                       model_.begin() + static_cast<std::ptrdiff_t>(size_ + range.length()));
    size_ += range.length();
    clear(range.first, range.end);
  }
  void allocate() {
    const Range range = somewhere(most_, huge_);
    if (range.end > most_) return;
    const bool keep = below(2);
    if (change("allocate", keep ? FALLOC_FL_KEEP_SIZE : 0, range, false) && !keep && range.end > size_) size_ = range.end;
  }
  // On XFS these are refused wherever in the file they are: see share-beside in the catalogue.
  void clone_into() {
    const Range range = somewhere(size_, true);
    file_clone_range clone{donor_.get(), 0, range.length(), range.first};
    if (!judge("clone into", range, sharing_reaches_ || range.meets(leased_), ioctl(file_.get(), FICLONERANGE, &clone))) return;
    std::fill_n(model_.begin() + static_cast<std::ptrdiff_t>(range.first), range.length(), 'd');
    size_ = std::max(size_, range.end);
  }
  void clone_from() {
    const Range range = somewhere(size_, true);
    // Behind the donor's own content, which stays as it is.
    file_clone_range clone{file_.get(), range.first, range.length(), most_};
    judge("clone out of", range, sharing_reaches_ || range.meets(leased_), ioctl(donor_.get(), FICLONERANGE, &clone));
  }
  void copy() {
    const Range range = somewhere(size_, true);
    if (huge_ || range.meets(leased_) || range.end > size_) return;
    off_t from = 0;
    auto into = static_cast<off_t>(range.first);
    const auto copied = copy_file_range(donor_.get(), &from, file_.get(), &into, range.length(), 0);
    if (judge("copy into", range, sharing_reaches_, copied)) std::fill_n(model_.begin() + static_cast<std::ptrdiff_t>(range.first), copied, 'd');
  }
  void cut_open() {
    const int fd = open(options_.file.c_str(), O_RDWR | O_TRUNC | O_CLOEXEC);
    judge("open O_TRUNC", {0, size_}, true, fd);
    if (fd >= 0) close(fd);
  }

  /// Outside the leased range.
  void write() {
    const Range range = somewhere(most_);
    if (huge_ || range.meets(leased_) || range.end > most_) return;
    const auto byte = static_cast<char>('A' + below(26));
    const std::vector<char> bytes(range.length(), byte);
    wrote(range, byte, judge("write", range, false, pwrite(file_.get(), bytes.data(), bytes.size(), static_cast<off_t>(range.first))));
  }
  void write_direct() {
    const Range range = somewhere(size_, true);
    if (huge_ || range.meets(leased_) || range.end > size_) return;
    const hf::Fd direct(open(options_.file.c_str(), O_WRONLY | O_DIRECT | O_CLOEXEC));
    if (!direct) return;
    void* memory = aligned_alloc(4096, range.length());
    std::memset(memory, 'x', range.length());
    wrote(range, 'x', judge("write O_DIRECT", range, false, pwrite(direct.get(), memory, range.length(), static_cast<off_t>(range.first))));
    std::free(memory);
  }
  void wrote(const Range& range, char byte, bool done) {
    if (!done) return;
    std::fill_n(model_.begin() + static_cast<std::ptrdiff_t>(range.first), range.length(), byte);
    size_ = std::max(size_, range.end);
  }
  void write_mapped() {
    const Range range = somewhere(size_);
    if (range.meets(leased_) || range.end > size_) return;
    const auto start = range.first / unit_ * unit_;
    void* memory = mmap(nullptr, range.end - start, PROT_READ | PROT_WRITE, MAP_SHARED, file_.get(), static_cast<off_t>(start));
    if (!judge("mmap", range, false, memory == MAP_FAILED ? -1 : 0)) return;
    std::memset(static_cast<char*>(memory) + (range.first - start), 'm', range.length());
    munmap(memory, range.end - start);
    std::fill_n(model_.begin() + static_cast<std::ptrdiff_t>(range.first), range.length(), 'm');
  }

  bool read_back(const Range& range, char* into) {
    if (!huge_) return pread(file_.get(), into, range.length(), static_cast<off_t>(range.first)) == static_cast<ssize_t>(range.length());
    const auto start = range.first / unit_ * unit_;
    void* memory = mmap(nullptr, range.end - start, PROT_READ, MAP_SHARED, file_.get(), static_cast<off_t>(start));
    if (memory == MAP_FAILED) return false;
    std::memcpy(into, static_cast<char*>(memory) + (range.first - start), range.length());
    munmap(memory, range.end - start);
    return true;
  }
  void compare(const Range& range) {
    if (range.first >= range.end) return;
    std::vector<char> bytes(range.length());
    errno = 0;
    const bool read = read_back(range, bytes.data());
    const auto differs = std::mismatch(bytes.begin(), bytes.end(), model_.begin() + static_cast<std::ptrdiff_t>(range.first));
    if (read && differs.first == bytes.end()) return;
    wrong_++;
    fmt::print("WRONG: operation {}: byte {} of the file, size {}: {}\n", operations_, range.first + static_cast<std::uint64_t>(differs.first - bytes.begin()),
               size_, read ? "not what was put there" : std::strerror(errno));
  }
  void verify() {
    Range range = somewhere(size_);
    range.end = std::min(range.end, size_);
    compare({range.first, std::min(range.end, std::max(range.first, leased_.first))});
    compare({std::max(range.first, leased_.end), std::max(range.end, leased_.end)});
  }
  void verify_all() {
    struct stat status {};
    if (fstat(file_.get(), &status) != 0 || static_cast<std::uint64_t>(status.st_size) != size_) {
      wrong_++;
      fmt::print("WRONG: the file has {} bytes, not {}\n", status.st_size, size_);
      return;
    }
    compare({0, leased_.first});
    compare({leased_.end, size_});
  }

  void forget_cache() { judge("fadvise DONTNEED", {0, size_}, false, -(posix_fadvise(file_.get(), 0, 0, POSIX_FADV_DONTNEED) != 0)); }
  void sync() { judge("fsync", {0, size_}, false, fsync(file_.get())); }
  void mode() { judge("fchmod", {0, size_}, false, fchmod(file_.get(), 0600 | static_cast<mode_t>(below(2) * 066))); }
  void rename() {
    const std::string moved = options_.file + ".moved";
    judge("rename", {0, size_}, false, ::rename(options_.file.c_str(), moved.c_str()));
    judge("rename back", {0, size_}, false, ::rename(moved.c_str(), options_.file.c_str()));
  }

  Options options_;
  std::mt19937_64 random_;
  hf::Fd file_, donor_;
  bool huge_ = false;
  std::uint64_t unit_ = 4096, size_ = 0, most_ = 0;
  Range leased_{};
  std::vector<char> model_;
  bool sharing_reaches_ = false;
  std::uint64_t operations_ = 0, refused_ = 0, allowed_ = 0, not_supported_ = 0, needless_ = 0, wrong_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app{
      "Random operations on a file of which someone else has leased a range: refused where they touch it, allowed elsewhere, and the rest reads back."};
  app.add_option("FILE", options.file)->required();
  app.add_option("--offset", options.offset, "of the leased range");
  app.add_option("--length", options.length, "of the leased range")->required();
  app.add_option("--seed", options.seed)->capture_default_str();
  app.add_option("--seconds", options.seconds)->capture_default_str();
  app.add_option("--operations", options.operations, "stop after so many; 0: by the clock");
  CLI11_PARSE(app, argc, argv);
  Exercise exercise(options);
  if (!exercise.prepare()) {
    fmt::print(stderr, "hf-lab-fsx: {}: {}\n", options.file, std::strerror(errno));
    return 2;
  }
  const auto until = std::chrono::steady_clock::now() + std::chrono::duration<double>(options.seconds);
  while (options.operations ? exercise.operations() < options.operations : std::chrono::steady_clock::now() < until) exercise.step();
  return exercise.finish() ? 0 : 1;
}
