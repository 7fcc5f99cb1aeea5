// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "daemon/acquire.hpp"

#include <sys/fsuid.h>

#include <asio/co_spawn.hpp>
#include <asio/redirect_error.hpp>
#include <asio/steady_timer.hpp>
#include <asio/this_coro.hpp>
#include <asio/use_awaitable.hpp>
#include <algorithm>
#include <chrono>
#include <cstring>

#include "daemon/frame.hpp"
#include "daemon/words.hpp"
#include "kernel/file_facts.hpp"
#include "kernel/pin_device.hpp"

namespace hf {
namespace {

static_assert(HF_WIRE_RANGES_MAX <= HF_PARTS_MAX, "a lease may have as many ranges as a request");

/// The file as it is now, as far as the event loop can tell without waiting.
struct Candidate {
  hf_facts seen{};
  FileFacts file;
  CallerFacts caller;
};

/// A lease that the kernel side has, not yet committed.
struct Standing {
  LeaseRecord record{};
  std::vector<hf_part> parts;
};

/// By name, which is more than being let like everybody: such a user needs no descriptor that can write.
bool names(const Holders& holders, const Peer& peer) {
  const auto listed = [](const std::vector<std::uint32_t>& list, std::uint32_t id) { return std::find(list.begin(), list.end(), id) != list.end(); };
  return listed(holders.users, peer.uid) ||
         std::any_of(peer.groups.begin(), peer.groups.end(), [&](std::uint32_t group) { return listed(holders.groups, group); });
}

Result<Candidate> examine(Core& core, const AcquireRequest& request) {
  const int fd = request.file.get();
  HF_TRY_ASSIGN(const auto mode, open_mode(fd));
  if (mode.path_only) return fail(EBADF, "the descriptor was opened with O_PATH", "Open the file for reading and writing (O_RDWR).");
  HF_TRY_ASSIGN(const auto seen, core.gate().facts(fd));
  Candidate candidate{.seen = seen, .file = file_facts(seen, path_of_fd(fd).value_or(std::string()))};
  // Before anything asks the filesystem: on others than the supported ones an answer can take for ever.
  HF_TRY(admit_file(candidate.file));
  candidate.caller.opened_for_writing = mode.writable;
  candidate.caller.root = request.peer.root();
  const auto& holders = core.guards().of(seen.file.device).holders;
  candidate.caller.allow_listed = names(holders, request.peer);
  if (request.peer.root() || (mode.writable && !holders.owner)) return candidate;
  HF_TRY_ASSIGN(const auto owner, file_owner(fd));
  candidate.caller.owner = owner == request.peer.uid;
  if (mode.writable) return candidate;
  candidate.caller.cap_lease = has_cap_lease(core.processes(), request.peer.pid) && core.processes().is(request.peer.pid, request.peer.start_ns);
  return candidate;
}

/// The administrator's policy for the filesystem.
Status check_policy(const Core& core, const Peer& peer, const Candidate& candidate) {
  const auto device = candidate.seen.file.device;
  if (core.recalled(candidate.seen.file))
    return fail(EBUSY, fmt::format("{} is being recalled by an administrator: nobody may begin to hold it now", candidate.file.path),
                "Try again when the recall is over.");
  const auto& policy = core.guards().of(device);
  HF_TRY(may_hold(policy, {.uid = peer.uid, .groups = peer.groups, .owner = candidate.caller.owner}, candidate.file.path));
  return within_quota(policy.quota, peer.uid, core.usage(peer.uid, device), 0);
}

Status check_bytes(const Core& core, const Peer& peer, const Candidate& candidate, const Admission& admission) {
  const auto device = candidate.seen.file.device;
  return within_quota(core.guards().of(device).quota, peer.uid, core.usage(peer.uid, device), admission.extents.total_bytes());
}

Extent window_of(const FileFacts& file, const std::vector<RangeRequest>& ranges) {
  const auto extents = normalise_ranges(file, ranges);
  return extents && !extents->empty() ? Extent{extents->front().first, extents->back().end} : Extent{0, 0};
}

/// This thread's file accesses are another user's: allocating for a user must not use up what is reserved for root.
class ActAs {
 public:
  explicit ActAs(const Peer& peer) : gid_(static_cast<gid_t>(::setfsgid(peer.gid))), uid_(static_cast<uid_t>(::setfsuid(peer.uid))) {}
  ~ActAs() {
    ::setfsuid(uid_);
    ::setfsgid(gid_);
  }
  ActAs(const ActAs&) = delete;
  ActAs& operator=(const ActAs&) = delete;

 private:
  gid_t gid_;
  uid_t uid_;
};

/// Reads the layout and, if asked, settles it first. Waits for the disk.
Result<FileFacts> read_layout(const AcquireRequest& request, FileFacts file, const std::stop_token& stop) {
  const auto window = window_of(file, request.ranges);
  if (window.empty()) return file;  // admission says what is wrong with the ranges
  HF_TRY(add_layout(file, request.file.get(), window));
  if (!request.settle && !(request.pin && reaches_beside(file))) return file;
  HF_TRY_ASSIGN(const auto extents, normalise_ranges(file, request.ranges));
  {
    const ActAs user(request.peer);
    if (request.settle) HF_TRY(settle_layout(request.file.get(), file, extents, stop));
    if (reaches_beside(file)) HF_TRY(drop_planned_places(request.file.get(), file, extents.front()));
  }
  HF_TRY(add_layout(file, request.file.get(), window));
  return file;
}

/// Runs work in a pool. By reference to a named object on purpose: GCC 12 destroys a closure twice when it is made inside a co_await
/// expression.
template <class Work>
asio::awaitable<std::invoke_result_t<Work&>> run_in(asio::thread_pool& pool, Work& work) {
  using Value = std::invoke_result_t<Work&>;
  co_return co_await asio::co_spawn(
      pool, [&work]() -> asio::awaitable<Value> { co_return work(); }, asio::use_awaitable);
}

asio::awaitable<Result<FileFacts>> with_layout(Pools& pools, const AcquireRequest& request, FileFacts file) {
  if (!has_layout(file.magic)) co_return file;
  auto& pool = request.settle ? pools.settle : pools.layout;
  const auto stop = pools.stopping.get_token();
  const auto read = [&] { return read_layout(request, file, stop); };
  co_return co_await run_in(pool, read);
}

LeaseRecord record_of(const AcquireRequest& request) {
  LeaseRecord record{};
  record.since_ns = boot_time_ns();
  record.holder_start = request.peer.start_ns;
  record.tgid = static_cast<std::uint32_t>(request.peer.pid);
  record.tid = record.tgid;
  record.uid = request.peer.uid;
  record.gid = request.peer.gid;
  record.kind = static_cast<__u8>(request.kind);
  record.state = HF_STATE_PINNING;
  request.peer.comm.copy(record.comm, sizeof(record.comm) - 1);
  return record;
}

tl::unexpected<Error> refused_part(const std::string& path, std::uint32_t reasons) {
  for (const auto& reason : reason_words(reasons)) {
    const int code = reasons & HF_REASON_NO_ROOM ? ENOSPC : reasons & HF_REASON_TOO_MANY_PARTS ? E2BIG : EOPNOTSUPP;
    return fail(code, fmt::format("{} could not be leased: {}", path, reason.text), std::string(reason.mend));
  }
  return fail(ENOSPC, fmt::format("{} could not be leased: the gate has no slot for it", path), "End leases of this file that are not needed.");
}

/// The lease begins with its first part.
Result<PartOutcome> put_under(GateLike& gate, Standing& standing, const hf_part& part, std::uint32_t page_shift) {
  if (standing.record.id) return gate.lease_part(standing.record.id, part, standing.record.tgid, page_shift);
  HF_TRY_ASSIGN(auto opened, gate.lease_open(standing.record, part, page_shift));
  standing.record.id = opened.id;
  return std::move(opened.part);
}

/// Puts every extent under the lease; for holdfast-pin, all of the file first. What was taken is in `standing` also where this fails.
Status take_parts(Core& core, const AcquireRequest& request, const Candidate& candidate, const Admission& admission, Standing& standing,
                  std::vector<hf_part>& raced) {
  const auto take = [&](const Extent& extent, std::uint32_t flags) -> Status {
    hf_part part{.file = candidate.seen.file,
                 .first = extent.first,
                 .end = extent.end,
                 .magic = candidate.seen.magic,
                 .reasons = 0,
                 .slot = HF_NO_SLOT,
                 .flags = static_cast<__u8>(candidate.seen.flags | flags)};
    HF_TRY_ASSIGN(const auto outcome, put_under(core.gate(), standing, part, admission.page_shift));
    part.slot = outcome.slot;
    part.reasons = outcome.reasons;
    part.flags |= outcome.flags;
    if (part.slot == HF_NO_SLOT) return refused_part(candidate.file.path, outcome.reasons);
    standing.parts.push_back(part);
    if (outcome.raced) raced.push_back(part);
    return {};
  };
  if (request.pin) HF_TRY(take(admission.extents.front(), HF_PART_WHOLE));
  for (const auto& extent : admission.extents) HF_TRY(take(extent, 0));
  return {};
}

/// Waits until the breaks that the gate let through before the lease stood have ended: what they do is seen by the second look at the file.
asio::awaitable<Status> wait_for_breaks(Core& core, std::vector<hf_part> raced, const std::string& path) {
  using namespace std::chrono;
  asio::steady_timer timer(co_await asio::this_coro::executor);
  const auto until = steady_clock::now() + milliseconds(kRaceWaitMs);
  for (auto pause = milliseconds(1); !raced.empty(); pause = std::min(2 * pause, milliseconds(100))) {
    const auto still = core.gate().raced(raced.back());
    if (!still) co_return tl::unexpected(still.error());
    if (!*still) {
      raced.pop_back();
      continue;
    }
    if (steady_clock::now() >= until)
      co_return fail(EAGAIN, fmt::format("an operation that changes the layout of {} has been under way for {} s", path, kRaceWaitMs / 1000),
                     "Try again when it has ended.");
    timer.expires_after(pause);
    asio::error_code error;
    co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, error));
  }
  co_return Status{};
}

/// The second look: is the file still what was admitted?
asio::awaitable<Status> look_again(Core& core, Pools& pools, const AcquireRequest& request, const Candidate& before, const Admission& admission) {
  const auto seen = core.gate().facts(request.file.get());
  if (!seen) co_return tl::unexpected(seen.error());
  const auto end = admission.extents.back().end;
  if (seen->size_bytes < end)
    co_return fail(EAGAIN, fmt::format("{} was cut to {} bytes while it was being leased", before.file.path, seen->size_bytes),
                   "Nothing was leased. Try again with the file as it is now.");
  // Lengths of 0 meant the end of the file as it was: the window is what was admitted, whatever the size is now.
  auto file = file_facts(*seen, before.file.path);
  if (!has_layout(file.magic)) co_return Status{};
  const Extent window{admission.extents.front().first, end};
  const auto look = [&] { return add_layout(file, request.file.get(), window); };
  if (auto read = co_await run_in(pools.layout, look); !read) co_return read;
  if (const auto admitted = admit_layout(file, admission.extents); !admitted)
    co_return fail(EAGAIN, "the layout changed while it was being leased: " + admitted.error().message, admitted.error().hint);
  co_return Status{};
}

asio::awaitable<Status> stand(Core& core, Pools& pools, const AcquireRequest& request, const Candidate& candidate, const Admission& admission,
                              Standing& standing) {
  std::vector<hf_part> raced;
  if (auto taken = take_parts(core, request, candidate, admission, standing, raced); !taken) co_return taken;
  if (auto over = co_await wait_for_breaks(core, std::move(raced), candidate.file.path); !over) co_return over;
  co_return co_await look_again(core, pools, request, candidate, admission);
}

/// Remembers the lease, then commits it: a daemon that dies in between ends it, since its holder was never answered.
Result<hf_wire_acquired> confirm(Core& core, LeaseOwner* owner, const AcquireRequest& request, const Candidate& candidate, const Admission& admission,
                                 Standing& standing) {
  standing.record.state = HF_STATE_PROTECTED;
  HF_TRY_ASSIGN(const auto token, core.adopt(standing.record, standing.parts, request.label, candidate.file.path, admission.page_shift, owner));
  if (auto committed = core.gate().lease_commit(standing.record.id, HF_STATE_PROTECTED, 0); !committed) {
    (void)core.release(standing.record.id, owner);
    return tl::unexpected(committed.error());
  }
  return hf_wire_acquired{.lease = standing.record.id, .token = token};
}

/// What can be told before the lease stands.
Status check_pin(Core& core, const Candidate& candidate) {
  core.gate().learn_offsets();
  if (!candidate.file.dax) return fail(EOPNOTSUPP, fmt::format("{} is not on FS-DAX: it can be registered without holdfast-pin", candidate.file.path));
  if (!pin_device()) return tl::unexpected(no_pin_device(candidate.file.path));
  return {};
}

/// The committed lease becomes one that lasts as long as the binding does.
asio::awaitable<Result<Acquired>> bind(Core& core, Pools& pools, const AcquireRequest& request, const Candidate& candidate, const Admission& admission,
                                       hf_wire_acquired lease) {
  constexpr std::uint64_t kPageMask = 4095;
  const auto& asked = admission.extents.front();
  const Extent pages{asked.first & ~kPageMask, (asked.end + kPageMask) & ~kPageMask};
  const auto work = [&] { return bind_pin(request.file.get(), pages, lease.lease, candidate.file.path); };
  auto bound = co_await run_in(pools.layout, work);
  if (!bound) {
    core.withdraw(lease.lease);
    co_return tl::unexpected(bound.error());
  }
  core.learn(lease.lease);
  co_return Acquired{.lease = lease, .pin = std::move(*bound)};
}

}  // namespace

Result<AcquireRequest> parse_acquire(const Peer& peer, std::string_view payload, std::vector<Fd> descriptors) {
  const auto head = take<hf_wire_acquire>(payload);
  if (!head || payload.size() != std::size_t{head->ranges} * sizeof(hf_wire_range))
    return fail(EPROTO, "ACQUIRE request of a wrong size", "Use the libholdfast that came with this holdfastd.");
  if (head->ranges > HF_WIRE_RANGES_MAX) return fail(E2BIG, fmt::format("more than {} ranges in one lease", HF_WIRE_RANGES_MAX), "Acquire several leases.");
  if (head->flags & ~(HF_WIRE_ACQUIRE_SETTLE | HF_WIRE_ACQUIRE_PIN))
    return fail(EINVAL, fmt::format("unknown flags {:#x}", head->flags), "Use a holdfastd as new as the library.");
  if (descriptors.size() != 1)
    return fail(EBADF, fmt::format("{} descriptors came with the request, and it takes one", descriptors.size()),
                "Send the file's descriptor with the first byte of the request.");
  AcquireRequest request{.peer = peer,
                         .file = std::move(descriptors.front()),
                         .settle = (head->flags & HF_WIRE_ACQUIRE_SETTLE) != 0,
                         .pin = (head->flags & HF_WIRE_ACQUIRE_PIN) != 0};
  request.label.assign(head->label, ::strnlen(head->label, sizeof(head->label)));
  while (const auto range = take<hf_wire_range>(payload)) request.ranges.push_back({range->offset_bytes, range->length_bytes});
  // No ranges: the whole file as it is now.
  if (request.ranges.empty()) request.ranges.push_back({});
  if (request.pin && request.ranges.size() != 1) return fail(EINVAL, "holdfast-pin binds one range", "Acquire a lease for each.");
  return request;
}

asio::awaitable<Result<Acquired>> acquire(Core& core, Pools& pools, LeaseOwner* owner, AcquireRequest request) {
  auto candidate = examine(core, request);
  if (!candidate) co_return tl::unexpected(candidate.error());
  if (request.pin) {
    if (auto fits = check_pin(core, *candidate); !fits) co_return tl::unexpected(fits.error());
  }
  // The caller first: settling writes to the file.
  if (auto admitted = admit_caller(candidate->file, candidate->caller); !admitted) co_return tl::unexpected(admitted.error());
  if (auto may = check_policy(core, request.peer, *candidate); !may) co_return tl::unexpected(may.error());
  auto file = co_await with_layout(pools, request, candidate->file);
  if (!file) co_return tl::unexpected(file.error());
  candidate->file = std::move(*file);
  const auto admission = admit(candidate->file, candidate->caller, request.ranges);
  if (!admission) co_return tl::unexpected(admission.error());
  if (auto room = check_bytes(core, request.peer, *candidate, *admission); !room) co_return tl::unexpected(room.error());

  Standing standing{.record = record_of(request)};
  auto stands = co_await stand(core, pools, request, *candidate, *admission, standing);
  if (!stands) {
    if (standing.record.id) core.withdraw(standing.record.id);
    co_return tl::unexpected(stands.error());
  }
  auto confirmed = confirm(core, owner, request, *candidate, *admission, standing);
  if (!confirmed) co_return tl::unexpected(confirmed.error());
  if (!request.pin) co_return Acquired{.lease = *confirmed, .pin = {}};
  co_return co_await bind(core, pools, request, *candidate, *admission, *confirmed);
}

}  // namespace hf
