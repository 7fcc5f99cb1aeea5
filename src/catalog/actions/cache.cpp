// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// What takes pages out of the page cache or puts others in their place, while the blocks stay where they are.
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/fs.h>
#include <linux/mempolicy.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include "catalog/actions/action.hpp"

namespace hf::actions {
namespace {

using Buffer = std::unique_ptr<char, decltype(&std::free)>;

/// The first block of the range, in memory that fits a direct write.
struct DirectWrite {
  explicit DirectWrite(const Subject& s) : file(s, s.file, O_RDWR), data(static_cast<char*>(std::aligned_alloc(4096, s.unit)), std::free) {
    if (!file.fd) return;
    if (pread(file.get(), data.get(), s.unit, static_cast<off_t>(s.offset)) < 0) error = {errno, "pread"};
    // After the opening, as whoever holds a descriptor can do it.
    if (!error.error && fcntl(file.get(), F_SETFL, O_DIRECT) < 0) error = {errno, "fcntl O_DIRECT"};
  }
  bool ready() const { return file.fd && !error.error; }
  Outcome outcome() const { return file.fd ? error : file.outcome(); }
  Open file;
  Buffer data;
  Outcome error;
};

Outcome direct_write(const Subject& s) {
  const DirectWrite write(s);
  if (!write.ready()) return write.outcome();
  return from_call(s.calls->pwrite(write.file.get(), write.data.get(), s.unit, static_cast<off_t>(s.offset)), "pwrite, O_DIRECT");
}

Outcome direct_write_vector(const Subject& s) {
  const DirectWrite write(s);
  if (!write.ready()) return write.outcome();
  const iovec part{write.data.get(), s.unit};
  return from_libc(pwritev2(write.file.get(), &part, 1, static_cast<off_t>(s.offset), RWF_DSYNC), "pwritev2, O_DIRECT");
}

/// Linux AIO: io_submit(2).
Outcome direct_write_aio(const Subject& s) {
  const DirectWrite write(s);
  if (!write.ready()) return write.outcome();
  aio_context_t context = 0;
  if (syscall(SYS_io_setup, 1, &context) < 0) return {errno, "io_setup"};
  iocb request{};
  request.aio_lio_opcode = IOCB_CMD_PWRITE;
  request.aio_fildes = static_cast<__u32>(write.file.get());
  request.aio_buf = reinterpret_cast<__u64>(write.data.get());
  request.aio_nbytes = s.unit;
  request.aio_offset = static_cast<__s64>(s.offset);
  iocb* requests[] = {&request};
  Outcome outcome = from_libc(syscall(SYS_io_submit, context, 1, requests), "io_submit, O_DIRECT");
  io_event event{};
  if (!outcome.error && syscall(SYS_io_getevents, context, 1, 1, &event, nullptr) == 1 && event.res < 0)
    outcome = {static_cast<int>(-event.res), "io_getevents"};
  syscall(SYS_io_destroy, context);
  return outcome;
}

/// The pages of a pipe, written directly.
Outcome direct_splice(const Subject& s) {
  const DirectWrite write(s);
  if (!write.ready()) return write.outcome();
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return {errno, "pipe2"};
  const hf::Fd out(ends[0]), in(ends[1]);
  iovec part{write.data.get(), s.unit};
  if (vmsplice(in.get(), &part, 1, 0) < 0) return {errno, "vmsplice"};
  auto at = static_cast<loff_t>(s.offset);
  return from_libc(splice(out.get(), nullptr, write.file.get(), &at, s.unit, 0), "splice, O_DIRECT");
}

Outcome direct_read(const Subject& s) {
  const DirectWrite write(s);
  if (!write.ready()) return write.outcome();
  return from_libc(pread(write.file.get(), write.data.get(), s.unit, static_cast<off_t>(s.offset)), "pread, O_DIRECT");
}

/// Buffered, but the pages leave the cache when they are written back: RWF_DONTCACHE, from 6.14.
Outcome uncached_write(const Subject& s) {
  const Open file(s, s.file, O_RDWR);
  if (!file.fd) return file.outcome();
  std::vector<char> data(s.unit);
  if (pread(file.get(), data.data(), data.size(), static_cast<off_t>(s.offset)) < 0) return {errno, "pread"};
  const iovec part{data.data(), data.size()};
  if (pwritev2(file.get(), &part, 1, static_cast<off_t>(s.offset), 0x80) < 0) return {errno, "pwritev2, RWF_DONTCACHE"};
  return from_libc(fsync(file.get()), "fsync");
}

Outcome advise_away(const Subject& s) {
  const Open file(s, s.file, O_RDONLY);
  if (!file.fd) return file.outcome();
  return {posix_fadvise(file.get(), static_cast<off_t>(s.offset), static_cast<off_t>(s.length), POSIX_FADV_DONTNEED), "posix_fadvise"};
}

Outcome drop_caches(const Subject&) {
  const hf::Fd file(open("/proc/sys/vm/drop_caches", O_WRONLY | O_CLOEXEC));
  if (!file) return {errno, "open /proc/sys/vm/drop_caches"};
  return from_libc(write(file.get(), "3", 1), "write drop_caches");
}

struct Mapping {
  Mapping(const Subject& s, int protection) : file(s, s.file, O_RDWR), bytes(s.length) {
    if (file.fd) memory = mmap(nullptr, bytes, protection, MAP_SHARED | MAP_POPULATE, file.get(), static_cast<off_t>(s.offset));
    if (file.fd && memory == MAP_FAILED) error = errno;
  }
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;
  ~Mapping() {
    if (ready()) munmap(memory, bytes);
  }
  bool ready() const { return memory != MAP_FAILED; }
  Outcome outcome() const { return file.fd ? Outcome{error, "mmap"} : file.outcome(); }
  Open file;
  std::size_t bytes;
  void* memory = MAP_FAILED;
  int error = 0;
};

template <int advice>
Outcome advise(const Subject& s) {
  const Mapping mapping(s, PROT_READ | PROT_WRITE);
  if (!mapping.ready()) return mapping.outcome();
  const int result = madvise(mapping.memory, mapping.bytes, advice);
  // Of pages that someone has pinned the kernel says so: it leaves them where they are.
  if (result < 0 && (errno == EBUSY || errno == EAGAIN || errno == EIO)) return {0, "madvise: the pages are in use and stay"};
  return from_libc(result, "madvise");
}

/// Asks the kernel to move each page to another place of the same node's memory: what compaction and memory hot-remove do by themselves.
Outcome move_pages(const Subject& s) {
  const Mapping mapping(s, PROT_READ | PROT_WRITE);
  if (!mapping.ready()) return mapping.outcome();
  void* pages[] = {mapping.memory};
  int nodes[] = {0}, status[] = {0};
  return from_libc(syscall(SYS_move_pages, 0, 1, pages, nodes, status, MPOL_MF_MOVE), "move_pages");
}

Outcome compact(const Subject&) {
  const hf::Fd file(open("/proc/sys/vm/compact_memory", O_WRONLY | O_CLOEXEC));
  if (!file) return {errno, "open /proc/sys/vm/compact_memory"};
  return from_libc(write(file.get(), "1", 1), "write compact_memory");
}

/// A header as mkswap writes it, over the file's first page, which is outside the leased range; then swapon and swapoff.
Outcome swap_on(const Subject& s) {
  {
    const Open file(s, s.file, O_RDWR);
    if (!file.fd) return file.outcome();
    char page[4096] = {};
    const std::uint32_t header[] = {1, static_cast<std::uint32_t>(s.end() / sizeof page - 1), 0};
    std::memcpy(page + 1024, header, sizeof header);
    std::memcpy(page + sizeof page - 10, "SWAPSPACE2", 10);
    if (pwrite(file.get(), page, sizeof page, 0) != static_cast<ssize_t>(sizeof page)) return {errno, "pwrite"};
    if (fsync(file.get()) != 0) return {errno, "fsync"};
  }
  if (::swapon(s.file.c_str(), 0) != 0) return {errno, "swapon"};
  return from_libc(::swapoff(s.file.c_str()), "swapoff");
}

/// What the kernel says of the page of a file that is mapped here: its frame, and the bits of /proc/kpageflags.
struct Frame {
  std::uint64_t number = 0;
  std::uint64_t flags = 0;
};

Frame frame_of(const char* memory) {
  constexpr std::uint64_t kPresent = 1ull << 63, kNumber = (1ull << 55) - 1;
  const hf::Fd map(open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC)), flags(open("/proc/kpageflags", O_RDONLY | O_CLOEXEC));
  std::uint64_t entry = 0;
  Frame frame;
  const auto at = static_cast<off_t>(reinterpret_cast<std::uintptr_t>(memory) / 4096 * sizeof entry);
  if (pread(map.get(), &entry, sizeof entry, at) != sizeof entry || !(entry & kPresent)) return {};
  frame.number = entry & kNumber;
  if (pread(flags.get(), &frame.flags, sizeof frame.flags, static_cast<off_t>(frame.number * sizeof frame.flags)) != sizeof frame.flags) return {};
  return frame;
}

/// Are the last page of the range and the next one of the file in one folio?
bool one_folio(int fd, std::uint64_t end) {
  constexpr std::uint64_t kPage = 4096, kTail = 1ull << 16;  // KPF_COMPOUND_TAIL
  void* memory = mmap(nullptr, 2 * kPage, PROT_READ, MAP_SHARED, fd, static_cast<off_t>(end - kPage));
  if (memory == MAP_FAILED) return false;
  const char* page = static_cast<const char*>(memory);
  const volatile char touched[] = {page[0], page[kPage]};
  static_cast<void>(touched);
  const Frame last = frame_of(page), next = frame_of(page + kPage);
  munmap(memory, 2 * kPage);
  return last.number && next.number == last.number + 1 && (next.flags & kTail);
}

/// One write of the whole file: the filesystem makes its folios as large as it can. They are clean then.
Outcome large_folio(Subject& s) {
  const Open file(s, s.file, O_RDWR);
  if (!file.fd) return file.outcome();
  struct stat status {};
  if (fstat(file.get(), &status) != 0) return {errno, "fstat"};
  std::vector<char> content(static_cast<std::size_t>(status.st_size));
  const auto size = static_cast<ssize_t>(content.size());
  if (pread(file.get(), content.data(), content.size(), 0) != size) return {EIO, "pread"};
  if (fsync(file.get()) != 0 || posix_fadvise(file.get(), 0, 0, POSIX_FADV_DONTNEED) != 0) return {errno, "fsync"};
  if (pwrite(file.get(), content.data(), content.size(), 0) != size) return {EIO, "pwrite"};
  if (fsync(file.get()) != 0) return {errno, "fsync"};
  return one_folio(file.get(), s.end()) ? Outcome{} : Outcome{EOPNOTSUPP, "no folio with pages of the range and of what follows"};
}

/// The next block after the range, which is in a folio with blocks of it.
Outcome punch_next(const Subject& s) {
  const Open file(s, s.file, O_RDWR);
  if (!file.fd) return file.outcome();
  return from_call(s.calls->fallocate(file.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(s.end()), static_cast<off_t>(s.unit)),
                   "fallocate");
}

Outcome truncate_next(const Subject& s) {
  const Open file(s, s.file, O_RDWR);
  if (!file.fd) return file.outcome();
  return from_call(s.calls->ftruncate(file.get(), static_cast<off_t>(s.end())), "ftruncate");
}

}  // namespace

std::vector<Action> cache_actions() {
  constexpr unsigned cached = kPageCached, own = kOwnCalls;
  const auto direct = [](std::string_view name, std::string_view call, unsigned flags, Outcome (*perform)(const Subject&)) {
    return Action{name, "direct-write", call, Kind::breaks, cached, 0, cached, cached, flags, Needs::nothing, perform, nullptr};
  };
  // Of pages that someone has pinned the kernel moves and drops none: these are controls, and the probe proves it.
  const auto control = [](std::string_view name, std::string_view source, std::string_view call, unsigned runs, unsigned flags, Needs needs,
                          Outcome (*perform)(const Subject&)) {
    return Action{name, source, call, Kind::control, runs, 0, kNowhere, kNowhere, flags, needs, perform, nullptr};
  };
  const auto folio = [](std::string_view name, std::string_view call, Outcome (*perform)(const Subject&)) {
    return Action{name,           "large-folio", call,       Kind::breaks, cached, 0, cached, cached, kNeedsRoot | kBefore | kNoOverlay | kPerhaps,
                  Needs::nothing, perform,       large_folio};
  };
  return {
      direct("direct-write", "pwrite(2), O_DIRECT", kByRing, direct_write),
      direct("direct-write-vector", "pwritev2(2), O_DIRECT", own, direct_write_vector),
      direct("direct-write-aio", "io_submit(2), O_DIRECT", own, direct_write_aio),
      direct("direct-splice", "splice(2), O_DIRECT", own | kNoOverlay, direct_splice),
      {"overlay-splice", "overlay-splice", "splice(2), O_DIRECT", Kind::breaks, cached, 0, kNowhere, cached, own | kOnlyOverlay, Needs::backing_files,
       direct_splice, nullptr},
      control("direct-read", "control", "pread(2), O_DIRECT", cached, own, Needs::nothing, direct_read),
      control("fadvise", "reclaim", "posix_fadvise(2) DONTNEED", kEverywhere, own, Needs::nothing, advise_away),
      control("drop-caches", "reclaim", "/proc/sys/vm/drop_caches", kEverywhere, own | kNeedsRoot | kInPlace, Needs::nothing, drop_caches),
      control("pageout", "reclaim", "madvise(2) MADV_PAGEOUT", kWritable, own, Needs::nothing, advise<MADV_PAGEOUT>),
      control("move-pages", "migration", "move_pages(2)", kWritable, own, Needs::nothing, move_pages),
      control("compaction", "migration", "/proc/sys/vm/compact_memory", kEverywhere, own | kNeedsRoot | kInPlace, Needs::nothing, compact),
      {"uncached-write", "reclaim", "pwritev2(2), RWF_DONTCACHE", Kind::control, 0, cached, kNowhere, kNowhere, own, Needs::nothing, uncached_write, nullptr},
      folio("punch-next", "fallocate(2), the next block", punch_next),
      folio("truncate-next", "ftruncate(2) to the range's end", truncate_next),
      {"swapon", "swap", "swapon(2)", Kind::breaks, cached, 0, kNowhere, kNowhere, own | kNeedsRoot | kNoOverlay, Needs::nothing, swap_on, nullptr},
  };
}

}  // namespace hf::actions
