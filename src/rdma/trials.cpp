// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "rdma/trials.hpp"

#include <fcntl.h>
#include <linux/udmabuf.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include <chrono>
#include <cstring>
#include <functional>

#include "base/fd.hpp"
#include "rdma/fence.hpp"
#include "rdma/loopback.hpp"

namespace hf::rdma {
namespace {

constexpr std::size_t kScratchBytes = 65536;
constexpr std::uint32_t kMessageBytes = 4096;   // whole pages: see the README of the lab on rxe's ODP
constexpr std::uint32_t kDatagramBytes = 1024;  // fits every path MTU that there is
constexpr std::uint32_t kDatagramHeader = 40;
constexpr int kAll = IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_READ;

// Newer than Debian 12's libibverbs: IB_UVERBS_ACCESS_FLUSH_GLOBAL, _PERSISTENT, IB_UVERBS_DEVICE_ATOMIC_WRITE.
constexpr int kAccessFlushGlobal = 1 << 8;
constexpr int kAccessFlushPersistent = 1 << 9;
constexpr std::uint64_t kDeviceAtomicWrite = 1ull << 40;

std::string errno_word(int error) {
  const char* name = ::strerrorname_np(error);
  return name ? name : std::to_string(error);
}

/// The value of a thing tried: or a word why it could not be.
Verdict verdict_of(const Error& error) { return error.code == ENETDOWN || error.code == EADDRNOTAVAIL ? Verdict::untried : Verdict::fails; }

struct Bench {
  ibv_context* context;
  ProtectionDomain domain;
  Scratch near, far;  ///< `near` is registered plainly, `far` as the trial has it
  MemoryRegion near_region;

  Piece here(std::uint32_t length = kMessageBytes) const { return {near.data(), length, near_region->lkey}; }
  void prepare() const {
    std::memset(near.data(), 0x5a, near.size());
    std::memset(far.data(), 0, far.size());
  }
};

/// Datagrams and unreliable writes arrive a while after they were sent.
bool arrives(const unsigned char* at, std::size_t length) {
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(2);
  do {
    bool all = true;
    for (std::size_t i = 0; i < length; ++i) all = all && static_cast<const volatile unsigned char*>(at)[i] == 0x5a;
    if (all) return true;
    ::poll(nullptr, 0, 1);
  } while (std::chrono::steady_clock::now() < until);
  return false;
}

using Operation = std::function<Result<ibv_wc_status>(Loopback&, const Bench&, ibv_mr*)>;

/// One operation on a region, and whether its bytes came.
Trial try_operation(std::string id, const Bench& bench, Transport transport, int access, const Operation& operation,
                    const std::function<bool(const Bench&)>& came) {
  Trial trial{.id = std::move(id)};
  bench.prepare();
  const MemoryRegion region(ibv_reg_mr(bench.domain.get(), bench.far.data(), bench.far.size(), access));
  if (!region) {
    trial.verdict = Verdict::fails;
    trial.detail = "ibv_reg_mr: " + errno_word(errno);
    return trial;
  }
  auto loop = Loopback::make(bench.domain.get(), transport);
  if (!loop) {
    trial.verdict = verdict_of(loop.error());
    trial.detail = loop.error().message;
    return trial;
  }
  const auto done = operation(**loop, bench, region.get());
  trial.verdict = Verdict::fails;
  if (!done)
    trial.detail = done.error().message;
  else if (*done != IBV_WC_SUCCESS)
    trial.detail = ibv_wc_status_str(*done);
  else if (!came(bench))
    trial.detail = "completed, but the bytes did not arrive";
  else
    trial.verdict = Verdict::works;
  return trial;
}

bool far_has_it(const Bench& bench) { return arrives(bench.far.data(), kMessageBytes); }
bool near_is_cleared(const Bench& bench) { return bench.near.data()[0] == 0 && bench.near.data()[kMessageBytes - 1] == 0; }

Result<ibv_wc_status> write_far(Loopback& loop, const Bench& bench, ibv_mr* region) {
  return loop.write(bench.here(), {bench.far.data(), kMessageBytes, region->rkey});
}

/// Every operation that may touch a region, by transport. `prefix` "odp" and the access flag, or "plain" and 0: the positive control.
void try_operations(const std::string& prefix, int flag, const Bench& bench, std::vector<Trial>& trials) {
  const auto add = [&](const char* id, Transport transport, int access, const Operation& operation, const std::function<bool(const Bench&)>& came) {
    trials.push_back(try_operation(prefix + "." + id, bench, transport, access | flag, operation, came));
  };
  const Operation send = [](Loopback& loop, const Bench& b, ibv_mr* region) {
    std::memset(b.far.data(), 0x5a, kMessageBytes);
    std::memset(b.near.data(), 0, kMessageBytes);
    return loop.send({b.far.data(), kMessageBytes, region->lkey}, b.here());
  };
  const auto near_has_it = [](const Bench& b) { return arrives(b.near.data(), kMessageBytes); };
  const Operation receive = [](Loopback& loop, const Bench& b, ibv_mr* region) { return loop.send(b.here(), {b.far.data(), kMessageBytes, region->lkey}); };
  add("rc.send", Transport::rc, kAll, send, near_has_it);
  add("rc.receive", Transport::rc, kAll, receive, far_has_it);
  add("rc.write", Transport::rc, kAll, write_far, far_has_it);
  add(
      "rc.read", Transport::rc, kAll,
      [](Loopback& loop, const Bench& b, ibv_mr* region) {
        return loop.read(b.here(), {b.far.data(), kMessageBytes, region->rkey});
      },
      near_is_cleared);
  add(
      "rc.atomic", Transport::rc, kAll | IBV_ACCESS_REMOTE_ATOMIC,
      [](Loopback& loop, const Bench& b, ibv_mr* region) {
        return loop.fetch_add(b.here(8), {b.far.data(), 8, region->rkey}, 7);
      },
      [](const Bench& b) { return b.far.data()[0] == 7; });
  add("uc.send", Transport::uc, kAll, send, near_has_it);
  add("uc.receive", Transport::uc, kAll, receive, far_has_it);
  add("uc.write", Transport::uc, kAll, write_far, far_has_it);
  add(
      "ud.send", Transport::ud, kAll,
      [](Loopback& loop, const Bench& b, ibv_mr* region) {
        std::memset(b.far.data(), 0x5a, kMessageBytes);
        std::memset(b.near.data(), 0, kMessageBytes);
        return loop.send({b.far.data(), kDatagramBytes, region->lkey}, b.here(kDatagramBytes + kDatagramHeader));
      },
      [](const Bench& b) { return arrives(b.near.data() + kDatagramHeader, kDatagramBytes); });
  add(
      "ud.receive", Transport::ud, kAll,
      [](Loopback& loop, const Bench& b, ibv_mr* region) {
        return loop.send(b.here(kDatagramBytes), {b.far.data(), kDatagramBytes + kDatagramHeader, region->lkey});
      },
      [](const Bench& b) { return arrives(b.far.data() + kDatagramHeader, kDatagramBytes); });
}

Trial registration(std::string id, const Bench& bench, int access) {
  Trial trial{.id = std::move(id)};
  const MemoryRegion region(ibv_reg_mr(bench.domain.get(), bench.far.data(), bench.far.size(), access));
  trial.verdict = region ? Verdict::works : Verdict::fails;
  if (!region) trial.detail = "ibv_reg_mr: " + errno_word(errno);
  return trial;
}

void try_odp(const Bench& bench, std::vector<Trial>& trials) {
  trials.push_back(registration("odp.register", bench, kAll | IBV_ACCESS_ON_DEMAND));
  if (trials.back().verdict != Verdict::works) return;
  {
    const MemoryRegion implicit(ibv_reg_mr(bench.domain.get(), nullptr, SIZE_MAX, kAll | IBV_ACCESS_ON_DEMAND));
    trials.push_back({"odp.implicit", implicit ? Verdict::works : Verdict::fails, implicit ? "" : "ibv_reg_mr: " + errno_word(errno)});
  }
  try_operations("odp", IBV_ACCESS_ON_DEMAND, bench, trials);
}

/// Each way to fence, done and proved on scratch memory.
void try_fences(const Bench& bench, std::vector<Trial>& trials) {
  for (const auto kind : {FenceKind::rereg_domain, FenceKind::rereg_access, FenceKind::dereg}) {
    Trial trial{.id = fmt::format("fence.{}", fence_word(kind))};
    constexpr int access = kAll;
    ibv_mr* region = ibv_reg_mr(bench.domain.get(), bench.far.data(), bench.far.size(), access);
    if (!region) {
      trial.detail = "ibv_reg_mr: " + errno_word(errno);
      trials.push_back(std::move(trial));
      continue;
    }
    Fence fence({.region = region, .address = bench.far.data(), .length = bench.far.size(), .access = access});
    const auto done = fence.raise(kind);
    trial.verdict = done ? Verdict::works : verdict_of(done.error());
    trial.detail = done ? done->proof : done.error().message;
    if (!fence.gone()) ibv_dereg_mr(region);
    trials.push_back(std::move(trial));
  }
}

void try_windows(const Bench& bench, std::vector<Trial>& trials) {
  for (const auto type : {IBV_MW_TYPE_1, IBV_MW_TYPE_2}) {
    Trial trial{.id = type == IBV_MW_TYPE_1 ? "window.type1" : "window.type2"};
    MemoryWindow window(ibv_alloc_mw(bench.domain.get(), type));
    trial.verdict = window ? Verdict::works : Verdict::fails;
    if (!window) trial.detail = "ibv_alloc_mw: " + errno_word(errno);
    if (!window || type == IBV_MW_TYPE_1) {
      if (window) trial.detail = "allocated";
      trials.push_back(std::move(trial));
      continue;
    }
    bench.prepare();
    const MemoryRegion region(
        ibv_reg_mr(bench.domain.get(), bench.far.data(), bench.far.size(), IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_MW_BIND));
    auto loop = Loopback::make(bench.domain.get(), Transport::rc);
    if (!region || !loop) {
      trial.verdict = loop ? Verdict::fails : verdict_of(loop.error());
      trial.detail = loop ? "a region to bind to was refused" : loop.error().message;
    } else {
      const auto key = (*loop)->bind(window.get(), region.get(), {bench.far.data(), kMessageBytes, 0}, IBV_ACCESS_REMOTE_WRITE);
      const auto done = key ? (*loop)->write(bench.here(), {bench.far.data(), kMessageBytes, *key}) : Result<ibv_wc_status>(tl::unexpected(key.error()));
      const bool good = done && *done == IBV_WC_SUCCESS && far_has_it(bench);
      trial.verdict = good ? Verdict::works : Verdict::fails;
      trial.detail = good ? "bound and written through" : done ? ibv_wc_status_str(*done) : done.error().message;
      // Before its region and its queue pair: rxe waits 50 s for a window to let go of a queue pair that is destroyed.
      window.reset();
    }
    trials.push_back(std::move(trial));
  }
}

Trial try_dmabuf(const Bench& bench) {
  Trial trial{.id = "dma-buf"};
  const Fd maker(::open("/dev/udmabuf", O_RDWR | O_CLOEXEC));
  const Fd memory(::memfd_create("holdfast scratch", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  Fd buffer;
  if (maker && memory && ::ftruncate(memory.get(), kScratchBytes) == 0 && ::fcntl(memory.get(), F_ADD_SEALS, F_SEAL_SHRINK) == 0) {
    udmabuf_create create{.memfd = static_cast<__u32>(memory.get()), .flags = UDMABUF_FLAGS_CLOEXEC, .offset = 0, .size = kScratchBytes};
    buffer = Fd(::ioctl(maker.get(), UDMABUF_CREATE, &create));
  }
  // A driver that has it complains about the descriptor, one that has not about the call.
  const MemoryRegion region(ibv_reg_dmabuf_mr(bench.domain.get(), 0, kScratchBytes, 0, buffer ? buffer.get() : memory.get(), IBV_ACCESS_LOCAL_WRITE));
  const int error = region ? 0 : errno;
  if (region)
    trial.verdict = Verdict::works;
  else if (error == EOPNOTSUPP || error == ENOSYS || buffer)
    trial.verdict = Verdict::fails;
  trial.detail = region ? "" : "ibv_reg_dmabuf_mr: " + errno_word(error);
  if (!buffer && trial.verdict == Verdict::untried) trial.detail += " without a buffer to try with (modprobe udmabuf)";
  return trial;
}

void try_durability(const Bench& bench, std::vector<Trial>& trials) {
  for (const auto& [id, flag] : {std::pair{"flush.global", kAccessFlushGlobal}, std::pair{"flush.persistent", kAccessFlushPersistent}}) {
    auto trial = registration(id, bench, kAll | flag);
    if (trial.verdict == Verdict::fails && flag == kAccessFlushPersistent) trial.detail += " on memory that is not persistent";
    if (trial.verdict == Verdict::works) trial.detail = "the kernel registers memory for it; IBV_WR_FLUSH itself was not tried";
    trials.push_back(std::move(trial));
  }
  Trial atomic{.id = "atomic-write"};
  ibv_device_attr_ex attributes{};
  if (ibv_query_device_ex(bench.context, nullptr, &attributes) == 0) {
    const bool claimed = attributes.device_cap_flags_ex & kDeviceAtomicWrite;
    ibv_qp_init_attr_ex init{};
    const CompletionQueue completions(ibv_create_cq(bench.context, 4, nullptr, nullptr, 0));
    init.qp_type = IBV_QPT_RC;
    init.send_cq = init.recv_cq = completions.get();
    init.cap = {.max_send_wr = 1, .max_recv_wr = 1, .max_send_sge = 1, .max_recv_sge = 1, .max_inline_data = 0};
    init.comp_mask = IBV_QP_INIT_ATTR_PD | IBV_QP_INIT_ATTR_SEND_OPS_FLAGS;
    init.pd = bench.domain.get();
    init.send_ops_flags = IBV_QP_EX_WITH_ATOMIC_WRITE;
    const QueuePair pair(completions ? ibv_create_qp_ex(bench.context, &init) : nullptr);
    atomic.verdict = pair && claimed ? Verdict::works : Verdict::fails;
    atomic.detail = !claimed ? "the adapter does not claim it" : pair ? "a queue pair that posts it was made" : "ibv_create_qp_ex: " + errno_word(errno);
  }
  trials.push_back(std::move(atomic));
}

}  // namespace

std::vector<Trial> try_adapter(ibv_context* context) {
  std::vector<Trial> trials;
  Bench bench{.context = context,
              .domain = ProtectionDomain(ibv_alloc_pd(context)),
              .near = Scratch::anonymous(kScratchBytes),
              .far = Scratch::anonymous(kScratchBytes),
              .near_region = {}};
  if (!bench.domain || !bench.near || !bench.far) return {{"plain.register", Verdict::fails, "no protection domain, or no memory"}};
  bench.near_region.reset(ibv_reg_mr(bench.domain.get(), bench.near.data(), bench.near.size(), kAll));
  if (!bench.near_region) return {{"plain.register", Verdict::fails, "ibv_reg_mr: " + errno_word(errno)}};
  trials.push_back({"plain.register", Verdict::works, ""});
  try_operations("plain", 0, bench, trials);
  try_odp(bench, trials);
  try_fences(bench, trials);
  try_windows(bench, trials);
  trials.push_back(try_dmabuf(bench));
  try_durability(bench, trials);
  return trials;
}

std::vector<const Trial*> trials_of(const std::vector<Trial>& trials, const std::string& subject) {
  std::vector<const Trial*> found;
  for (const auto& trial : trials)
    if (trial.id == subject || trial.id.starts_with(subject + ".")) found.push_back(&trial);
  return found;
}

bool works(const std::vector<Trial>& trials, const std::string& id) {
  for (const auto& trial : trials)
    if (trial.id == id) return trial.verdict == Verdict::works;
  return false;
}

}  // namespace hf::rdma
