// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "qualify/soak.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/falloc.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstring>

#include "rdma/loopback.hpp"

namespace hf::qualify {

namespace {

constexpr std::uint32_t kFileBytes = 4 << 20;
constexpr std::uint32_t kPieceBytes = 4096;
constexpr useconds_t kBreakerPauseUs = 20000;

/// What the child says through its pipe, as it is.
struct Told {
  std::uint64_t writes = 0, lost = 0;
  char error[240] = {};
};

/// The breaker: until it is killed. Not at full speed: the kernel's buffer of refusals, and what the daemon keeps for the probe to read, would be full of its
/// own.
[[noreturn]] void break_on(int fd) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  for (unsigned i = 0;; i++) {
    const off_t offset = static_cast<off_t>(i * 4 % (kFileBytes / kPieceBytes)) * kPieceBytes;
    switch (i % 3) {
      case 0:
        (void)!fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, kPieceBytes);
        break;
      case 1:
        (void)!ftruncate(fd, offset);
        break;
      default:
        (void)!fallocate(fd, FALLOC_FL_ZERO_RANGE, offset, kPieceBytes);
    }
    ::usleep(kBreakerPauseUs);
  }
}

struct Registered {
  rdma::Context context;
  rdma::ProtectionDomain domain;
  void* file = MAP_FAILED;
  void* local = MAP_FAILED;
  rdma::MemoryRegion file_region, local_region;
  std::unique_ptr<rdma::Loopback> loop;
};

Result<Registered> connect_all(int fd, const AdapterFacts& adapter) {
  Registered all;
  HF_TRY_ASSIGN(all.context, rdma::open_adapter(adapter.name));
  all.domain.reset(ibv_alloc_pd(all.context.get()));
  if (!all.domain) return sys_error(errno, "ibv_alloc_pd", adapter.name);
  all.file = mmap(nullptr, kFileBytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  all.local = mmap(nullptr, kPieceBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (all.file == MAP_FAILED || all.local == MAP_FAILED) return sys_error(errno, "mmap", "the scratch file");
  const int access = IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE | (adapter.writer.plan == "odp" ? static_cast<int>(IBV_ACCESS_ON_DEMAND) : 0);
  all.file_region.reset(ibv_reg_mr(all.domain.get(), all.file, kFileBytes, access));
  if (!all.file_region) return sys_error(errno, "ibv_reg_mr", "the scratch file");
  all.local_region.reset(ibv_reg_mr(all.domain.get(), all.local, kPieceBytes, IBV_ACCESS_LOCAL_WRITE));
  if (!all.local_region) return sys_error(errno, "ibv_reg_mr", "a page");
  HF_TRY_ASSIGN(all.loop, rdma::Loopback::make(all.domain.get(), rdma::Transport::rc));
  return all;
}

bool asked_to_stop(int stop) {
  pollfd one{.fd = stop, .events = POLLIN, .revents = 0};
  return ::poll(&one, 1, 0) != 0;
}

/// Each piece gets a mark by RDMA, which must then be in the file, as read(2) sees it.
Status write_on(int fd, int stop, Registered& all, Told& told) {
  std::vector<char> back(kPieceBytes);
  for (std::uint64_t n = 1; !asked_to_stop(stop); n++) {
    const std::uint64_t offset = n * 7919 % (kFileBytes / kPieceBytes) * kPieceBytes;
    for (std::size_t at = 0; at < kPieceBytes; at += sizeof n) std::memcpy(static_cast<char*>(all.local) + at, &n, sizeof n);
    const rdma::Piece from{all.local, kPieceBytes, all.local_region->lkey}, to{static_cast<char*>(all.file) + offset, kPieceBytes, all.file_region->rkey};
    HF_TRY_ASSIGN(const auto done, all.loop->write(from, to));
    if (done != IBV_WC_SUCCESS) return fail(EIO, fmt::format("a remote write failed: {}", ibv_wc_status_str(done)));
    told.writes++;
    const bool same = ::pread(fd, back.data(), back.size(), static_cast<off_t>(offset)) == static_cast<ssize_t>(kPieceBytes) &&
                      std::memcmp(back.data(), all.local, kPieceBytes) == 0;
    if (!same) told.lost++;
  }
  return {};
}

Status soak(const std::string& path, const AdapterFacts& adapter, int stop, Told& told) {
  const Fd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!fd) return sys_error(errno, "open", path);
  // It has no name from here on: it goes with this process, however that ends.
  ::unlink(path.c_str());
  std::vector<char> zeroes(1 << 20);
  for (std::size_t at = 0; at < kFileBytes; at += zeroes.size())
    if (::pwrite(fd.get(), zeroes.data(), zeroes.size(), static_cast<off_t>(at)) != static_cast<ssize_t>(zeroes.size())) return sys_error(errno, "write", path);
  ::fsync(fd.get());
  HF_TRY_ASSIGN(auto all, connect_all(fd.get(), adapter));
  const pid_t breaker = ::fork();
  if (breaker == 0) break_on(fd.get());
  const auto done = write_on(fd.get(), stop, all, told);
  if (breaker > 0) {
    ::kill(breaker, SIGKILL);
    ::waitpid(breaker, nullptr, 0);
  }
  return done;
}

}  // namespace

Soak Soak::start(const std::string& mount, const std::vector<AdapterFacts>& adapters) {
  Soak soak_of;
  const auto adapter = std::find_if(adapters.begin(), adapters.end(), [](const AdapterFacts& one) { return one.writer.tried && one.writer.plan != "refused"; });
  if (adapter == adapters.end()) {
    soak_of.trouble_ = "no adapter can register files of this mount to be written";
    return soak_of;
  }
  int stop[2], result[2];
  if (::pipe2(stop, O_CLOEXEC) != 0) {
    soak_of.trouble_ = std::generic_category().message(errno);
    return soak_of;
  }
  const Fd stop_read(stop[0]);
  soak_of.stop_ = Fd(stop[1]);
  if (::pipe2(result, O_CLOEXEC) != 0) {
    soak_of.trouble_ = std::generic_category().message(errno);
    return soak_of;
  }
  soak_of.result_ = Fd(result[0]);
  const Fd result_write(result[1]);
  soak_of.process_ = ::fork();
  if (soak_of.process_ < 0) soak_of.trouble_ = std::generic_category().message(errno);
  if (soak_of.process_ != 0) return soak_of;

  prctl(PR_SET_PDEATHSIG, SIGKILL);
  soak_of.stop_.reset();
  Told told;
  if (const auto done = soak(fmt::format("{}/.holdfast-soak-{}", mount, ::getpid()), *adapter, stop_read.get(), told); !done)
    std::strncpy(told.error, done.error().message.c_str(), sizeof told.error - 1);
  (void)!::write(result_write.get(), &told, sizeof told);
  _exit(0);
}

SoakResult Soak::finish() {
  if (process_ <= 0) return {.error = trouble_};
  stop_.reset();
  Told told;
  const ssize_t got = ::read(result_.get(), &told, sizeof told);
  ::waitpid(process_, nullptr, 0);
  if (got != static_cast<ssize_t>(sizeof told)) return {.error = "the process that wrote has died"};
  return {.writes = told.writes, .lost = told.lost, .error = told.error};
}

}  // namespace hf::qualify
