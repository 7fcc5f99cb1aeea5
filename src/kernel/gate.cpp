// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "kernel/gate.hpp"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <map>

#include "base/crash_point.hpp"
#include "decide.h"
#include "kernel/gate_arm.hpp"
#include "kernel/gate_pins.hpp"
#include "kernel/kallsyms.hpp"
#include "kernel/map_view.hpp"
#include "kernel/pin_device.hpp"
#include "kernel/probes.hpp"

namespace hf {
namespace {

constexpr std::uint64_t kTickNs = 10'000'000;  // of hf_windows

/// Every key of a hash map; one that goes while it is walked restarts the walk, so that others may come twice.
template <class Key>
std::vector<Key> keys_of(int map) {
  std::vector<Key> keys;
  Key key{}, next{};
  for (int error = bpf_map_get_next_key(map, nullptr, &next); error == 0; error = bpf_map_get_next_key(map, &key, &next)) keys.push_back(key = next);
  return keys;
}

std::string text_of(const hf_device& device) { return {device.name, ::strnlen(device.name, sizeof device.name)}; }

struct RingDelete {
  void operator()(ring_buffer* ring) const { ring_buffer__free(ring); }
};

}  // namespace

struct Gate::Impl {
  std::map<std::string, Fd, std::less<>> maps;
  Fd call;
  // Shared with the BPF programs.
  MapView<hf_control> control;
  MapView<hf_facts> facts;
  MapView<hf_call> request;
  MapView<hf_meta> meta;
  std::unique_ptr<ring_buffer, RingDelete> rings;
  Handlers* handlers = nullptr;  // while consume() runs
  int denials_left = 0;
  std::string version;  // of this Holdfast
  Armed armed = Armed::kAnew;
  bool looked = false;  // for the offsets of fields
  std::optional<Kallsyms> symbols;

  int map(std::string_view name) const { return maps.find(name)->second.get(); }

  Status open_maps();
  Status open_call();
  Status open_views();
  Status open_rings();
  /// Has the gate's call program answer; one at a time, by the one daemon.
  Status run(hf_call& asked) const;
  Status trace(hf_call_op op, const hf_file_key& file) const;
  /// @return of HF_CALL_SWEEP
  Result<int> sweep(const hf_file_key& file) const;
  /// Nothing where the lease has ended since.
  std::optional<KernelLease> whole(std::uint64_t id, const hf_lease& record) const;
  const std::string& device_name(std::uint32_t number) const;
  mutable std::map<std::uint32_t, std::string> device_names;  // the kernel never changes one
};

Status Gate::Impl::open_maps() {
  for (const char* name : kPinnedMaps) {
    auto path = fmt::format("{}/{}", kMapsDirectory, name);
    Fd fd(bpf_obj_get(path.c_str()));
    if (!fd) return sys_error(errno, "open", path, kDetachHint);
    maps[name] = std::move(fd);
  }
  return open_call();
}

Status Gate::Impl::open_call() {
  call = Fd(bpf_obj_get(kCallPin));
  if (!call) return sys_error(errno, "open", kCallPin, kDetachHint);
  return {};
}

/// offsetof(struct TYPE, FIELD) in a module or in the kernel itself; 0 where the module is not loaded
static std::uint32_t field_offset(const btf* base, const char* module, const char* structure, std::string_view field) {
  std::unique_ptr<btf, BtfDelete> own(btf__load_module_btf(module, const_cast<btf*>(base)));
  const btf* of = own ? own.get() : base;
  int id = btf__find_by_name_kind(of, structure, BTF_KIND_STRUCT);
  if (id < 0) return 0;
  const auto* type = btf__type_by_id(of, static_cast<__u32>(id));
  const auto* members = btf_members(type);
  for (__u32 i = 0; i < btf_vlen(type); i++)
    if (std::string_view(btf__name_by_offset(of, members[i].name_off)) == field) return btf_member_bit_offset(type, i) / 8;
  return 0;
}

Status Gate::Impl::open_views() {
  HF_TRY_ASSIGN(control, MapView<hf_control>::open(map("hf_control"), "hf_control"));
  HF_TRY_ASSIGN(facts, MapView<hf_facts>::open(map("hf_facts"), "hf_facts"));
  HF_TRY_ASSIGN(request, MapView<hf_call>::open(map("hf_request"), "hf_request"));
  HF_TRY_ASSIGN(meta, MapView<hf_meta>::open(map("hf_meta"), "hf_meta"));
  std::atomic_ref(control->daemon_tgid).store(static_cast<__u32>(::getpid()));
  return {};
}

Status Gate::Impl::open_rings() {
  auto on_denial = [](void* self, void* data, std::size_t size) {
    auto* to = static_cast<Impl*>(self)->handlers;
    if (to && to->denial && size >= sizeof(hf_denial)) to->denial(*static_cast<const hf_denial*>(data));
    // An error ends the reading, behind this one.
    return --static_cast<Impl*>(self)->denials_left > 0 ? 0 : -ECANCELED;
  };
  auto on_lifecycle = [](void* self, void* data, std::size_t size) {
    auto* to = static_cast<Impl*>(self)->handlers;
    if (to && to->lifecycle && size >= sizeof(hf_lifecycle_event)) to->lifecycle(*static_cast<const hf_lifecycle_event*>(data));
    return 0;
  };
  auto on_escape = [](void* self, void* data, std::size_t size) {
    auto* to = static_cast<Impl*>(self)->handlers;
    if (to && to->escape && size >= sizeof(hf_escape)) to->escape(*static_cast<const hf_escape*>(data));
    return 0;
  };
  // Lifecycle first: a denial is told of a lease that the table knows by then. Denials last: only they can be too many to be read at once.
  rings.reset(ring_buffer__new(map("hf_lifecycle"), on_lifecycle, this, nullptr));
  if (!rings) return sys_error(errno, "open", "ring buffer hf_lifecycle");
  if (int error = ring_buffer__add(rings.get(), map("hf_escapes"), on_escape, this); error) return sys_error(-error, "open", "ring buffer hf_escapes");
  if (int error = ring_buffer__add(rings.get(), map("hf_denials"), on_denial, this); error) return sys_error(-error, "open", "ring buffer hf_denials");
  return {};
}

Status Gate::Impl::run(hf_call& asked) const {
  *request = asked;
  bpf_test_run_opts options{};
  options.sz = sizeof options;
  // A system call is a barrier for the compiler: it writes before, and reads after it.
  if (int error = bpf_prog_test_run_opts(call.get(), &options); error) return sys_error(-error, "run", "the gate's call program");
  asked = *request;
  return {};
}

Status Gate::Impl::trace(hf_call_op op, const hf_file_key& file) const {
  hf_call asked{};
  asked.op = op;
  asked.part.file = file;
  HF_TRY(run(asked));
  if (asked.result == -EAGAIN) return fail(ENOSPC, "as many files are traced as can be", "Wait until another trace ends.");
  if (asked.result) return sys_error(-asked.result, "trace", "the file");
  return {};
}

Result<int> Gate::Impl::sweep(const hf_file_key& file) const {
  hf_call asked{};
  asked.op = HF_CALL_SWEEP;
  asked.part.file = file;
  HF_TRY(run(asked));
  return asked.result;
}

std::optional<KernelLease> Gate::Impl::whole(std::uint64_t id, const hf_lease& record) const {
  KernelLease lease{.record = {record, id, device_name(record.device)}, .parts = std::vector<hf_part>(record.parts)};
  if (record.parts) lease.parts[0] = record.first;
  for (__u32 i = 1; i < record.parts; i++) {
    const hf_part_key key{id, i, 0};
    if (bpf_map_lookup_elem(map("hf_parts"), &key, &lease.parts[i]) != 0) return std::nullopt;
  }
  return lease;
}

const std::string& Gate::Impl::device_name(std::uint32_t number) const {
  static const std::string none;
  if (!number) return none;
  if (const auto known = device_names.find(number); known != device_names.end()) return known->second;
  hf_device device{};
  if (bpf_map_lookup_elem(map("hf_devices"), &number, &device) != 0) return none;
  return device_names[number] = text_of(device);
}

Gate::Gate(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Gate::~Gate() = default;

Result<std::unique_ptr<Gate>> Gate::arm(const std::string& version) {
  KernelFunctions kernel;
  HF_TRY_ASSIGN(const auto armed, arm_or_take(version, kernel));
  // An upgrade that was cut off has left a second set of links, which would decide, and observe, everything twice.
  HF_TRY(remove_new_pins());
  auto impl = std::make_unique<Impl>();
  impl->version = version;
  impl->armed = armed;
  HF_TRY(impl->open_maps());
  HF_TRY(impl->open_views());
  HF_TRY(impl->open_rings());
  auto gate = std::unique_ptr<Gate>(new Gate(std::move(impl)));
  gate->forget_traces();
  if (gate->incomplete()) return gate;
  gate->learn_offsets(kernel);
  gate->impl_->symbols = kernel.take_symbols();
  std::atomic_ref(gate->impl_->control->complete).store(pins_and_modules());
  return gate;
}

bool Gate::incomplete() const { return impl_->armed == Armed::kStanding; }

Result<Gate::Completion> Gate::complete() const {
  HF_TRY_ASSIGN(const auto before, pinned_meta());
  KernelFunctions kernel;
  HF_TRY_ASSIGN(const bool replaced, complete_gate(impl_->version, kernel));
  Completion done;
  if (replaced && before) done.replaced = std::string(before->version, ::strnlen(before->version, sizeof before->version));
  done.symbols = kernel.take_symbols();
  return done;
}

Status Gate::adopt() {
  HF_TRY(impl_->open_call());
  learn_offsets();
  std::atomic_ref(impl_->control->complete).store(pins_and_modules());
  impl_->armed = Armed::kKept;
  return {};
}

std::optional<Kallsyms> Gate::take_symbols() { return std::exchange(impl_->symbols, std::nullopt); }

void Gate::learn_offsets() {
  KernelFunctions kernel;
  learn_offsets(kernel);
}

void Gate::learn_offsets(KernelFunctions& kernel) {
  std::atomic_ref(impl_->control->pin_device).store(pin_device());
  auto device_name = std::atomic_ref(impl_->control->device_name_offset);
  auto xfs_inode = std::atomic_ref(impl_->control->xfs_inode_offset);
  // What is built in has no folder there, and is found the first time: by the daemon that has armed it, before it said that the gate is complete.
  const bool first = !std::exchange(impl_->looked, true) && !std::atomic_ref(impl_->control->complete).load();
  const bool want_device = device_name.load() == 0 && (first || ::access("/sys/module/ib_core", F_OK) == 0);
  const bool want_xfs = xfs_inode.load() == 0 && (first || ::access("/sys/module/xfs", F_OK) == 0);
  if (!want_device && !want_xfs) return;
  const auto btf = kernel.btf();
  if (!btf) return;
  if (want_device) device_name.store(field_offset(*btf, "ib_core", "ib_device", "name"));
  if (want_xfs) xfs_inode.store(field_offset(*btf, "xfs", "xfs_inode", "i_vnode"));
}

/// Those who asked were connected to an earlier daemon.
void Gate::forget_traces() {
  hf_file_key key{};
  while (bpf_map_get_next_key(impl_->map("hf_traced"), nullptr, &key) == 0)
    if (!trace_end(key)) return;
}

Status Gate::trace_begin(const hf_file_key& file) { return impl_->trace(HF_CALL_TRACE_BEGIN, file); }
Status Gate::trace_end(const hf_file_key& file) { return impl_->trace(HF_CALL_TRACE_END, file); }

Result<std::uint64_t> Gate::tripwire_missed() const { return probes_missed(); }

bool Gate::took_over() const { return impl_->armed != Armed::kAnew; }

Result<hf_meta> Gate::meta() const { return *impl_->meta; }

Result<hf_facts> Gate::facts(int fd) const {
  *impl_->facts = {};
  // The gate answers this ioctl itself: it sees the same inode as it will when it decides.
  if (::ioctl(fd, HF_IOCTL_FACTS, 0) == 0 || errno != EUCLEAN)
    return sys_error(errno == EBADF ? EBADF : EIO, "ask the gate about", "the descriptor", "open the file for reading or writing, not with O_PATH");
  if (!impl_->facts->valid) return fail(EIO, "the gate did not answer for this descriptor", "holdfast gate status");
  return *impl_->facts;
}

Result<std::uint64_t> Gate::lease_begin(const LeaseRecord& record) {
  hf_call request{};
  request.op = HF_CALL_LEASE_BEGIN;
  request.record = record;
  record.device_name.copy(request.device.name, sizeof request.device.name - 1);
  HF_TRY(impl_->run(request));
  if (request.result) return sys_error(-request.result, "begin", "a lease", "the table of leases is full");
  crash_point("lease.begun");
  return request.id;
}

/// Of LEASE_PART and LEASE_OPEN.
static Result<PartOutcome> part_outcome(const hf_call& answered) {
  if (answered.result && answered.part.reasons == 0) return sys_error(-answered.result, "lease", "a part of the file");
  crash_point("lease.part");
  return PartOutcome{answered.part.slot, answered.part.reasons, answered.part.flags, answered.raced != 0};
}

Result<PartOutcome> Gate::lease_part(std::uint64_t lease, const hf_part& part, std::uint32_t holder, std::uint32_t page_shift) {
  hf_call request{};
  request.op = HF_CALL_LEASE_PART;
  request.id = lease;
  request.part = part;
  request.part.slot = HF_NO_SLOT;
  request.record.tgid = holder;
  request.page_shift = page_shift;
  // A sweep holds lease calls up for about a microsecond.
  for (int tries = 0; tries < 100; tries++) {
    HF_TRY(impl_->run(request));
    if (request.result != -EBUSY) break;
  }
  return part_outcome(request);
}

Result<OpenOutcome> Gate::lease_open(const LeaseRecord& record, const hf_part& first, std::uint32_t page_shift) {
  hf_call request{};
  request.op = HF_CALL_LEASE_OPEN;
  request.record = record;
  record.device_name.copy(request.device.name, sizeof request.device.name - 1);
  request.part = first;
  request.part.slot = HF_NO_SLOT;
  request.page_shift = page_shift;
  HF_TRY(impl_->run(request));
  if (!request.id) return sys_error(-request.result, "begin", "a lease", "the table of leases is full");
  crash_point("lease.begun");
  const auto id = request.id;
  if (request.result == -EBUSY) return OpenOutcome{id, lease_part(id, first, record.tgid, page_shift)};
  return OpenOutcome{id, part_outcome(request)};
}

Result<bool> Gate::raced(const hf_part& part) const {
  hf_call request{};
  request.op = HF_CALL_RACED;
  request.part = part;
  HF_TRY(impl_->run(request));
  return request.raced != 0;
}

Status Gate::lease_commit(std::uint64_t lease, hf_lease_state state, std::uint32_t reasons) {
  hf_call request{};
  request.op = HF_CALL_LEASE_COMMIT;
  request.id = lease;
  request.record.state = static_cast<__u8>(state);
  request.record.reasons = reasons;
  HF_TRY(impl_->run(request));
  if (request.result) return sys_error(-request.result, "commit", "the lease");
  crash_point("lease.committed");
  return {};
}

Status Gate::lease_end(std::uint64_t lease) {
  hf_call request{};
  request.op = HF_CALL_LEASE_END;
  request.id = lease;
  crash_point("lease.ending");
  HF_TRY(impl_->run(request));
  if (request.result) return sys_error(-request.result, "end", "the lease");
  crash_point("lease.ended");
  return {};
}

Result<int> Gate::sweep(const std::function<bool(const hf_file_key&)>& leased) {
  // Only keys: a lookup would have probes of this processor skipped (bpf_disable_instrumentation()), which the walk does not (map_get_next_key()).
  int swept = 0;
  for (const auto& key : keys_of<hf_file_key>(impl_->map("hf_files"))) {
    if (leased(key)) continue;
    HF_TRY_ASSIGN(const auto result, impl_->sweep(key));
    swept += result == 0;
  }
  return swept;
}

Result<bool> Gate::sweep(const hf_file_key& file) {
  HF_TRY_ASSIGN(const auto result, impl_->sweep(file));
  return result != -EBUSY;
}

Result<std::optional<KernelLease>> Gate::lease(std::uint64_t id) const {
  // By the call program and not by a look into the map: during one, kprobe programs of this processor are skipped (bpf_disable_instrumentation()), and this is
  // asked for every registration.
  KernelLease lease{};
  do {
    hf_call request{};
    request.op = HF_CALL_LEASE_READ;
    request.id = id;
    request.index = static_cast<__u32>(lease.parts.size());
    HF_TRY(impl_->run(request));
    if (request.result == -ENOENT) return std::nullopt;
    if (request.result) return sys_error(-request.result, "read", "a lease");
    lease.record = {request.record, id, text_of(request.device)};
    if (lease.parts.size() < request.record.parts) lease.parts.push_back(request.part);
  } while (lease.parts.size() < lease.record.parts);
  return lease;
}

Result<std::vector<KernelLease>> Gate::leases() const {
  // In batches, which the kernel takes bucket by bucket: an entry that stays meanwhile comes once (__htab_map_lookup_and_delete_batch()).
  std::vector<hf_lease> records;
  std::vector<std::uint64_t> ids;
  std::size_t taken = 0;
  std::array<std::uint32_t, 2> at{};
  for (__u32 room = 4096;;) {
    ids.resize(taken + room);
    records.resize(taken + room);
    __u32 count = room;
    const int error = bpf_map_lookup_batch(impl_->map("hf_leases"), taken ? at.data() : nullptr, at.data(), &ids[taken], &records[taken], &count, nullptr);
    // Only where a single bucket has more is there no room.
    if (error && errno == ENOSPC && room < 1u << 20) {
      room *= 2;
      continue;
    }
    if (error && errno != ENOENT) return sys_error(errno, "read", "hf_leases");
    taken += count;
    if (error) break;
  }
  std::vector<KernelLease> leases;
  leases.reserve(taken);
  for (std::size_t i = 0; i < taken; i++)
    if (auto lease = impl_->whole(ids[i], records[i])) leases.push_back(std::move(*lease));
  std::sort(leases.begin(), leases.end(), [](const KernelLease& a, const KernelLease& b) { return a.record.id < b.record.id; });
  return leases;
}

Result<std::optional<KernelFile>> Gate::file(const hf_file_key& key) const {
  hf_file file{};
  if (bpf_map_lookup_elem(impl_->map("hf_files"), &key, &file) != 0) {
    if (errno == ENOENT) return std::nullopt;
    return sys_error(errno, "read", "hf_files");
  }
  KernelFile result{key, file.merged, {}};
  auto take = [&](const hf_slot& slot) {
    if (slot.state && !(slot.state & HF_SLOT_FILLING)) result.slots.push_back(slot);
  };
  for (const auto& slot : file.slots) take(slot);
  for (__u32 c = 0; c < file.chunks; c++) {
    hf_chunk_key chunk_key{key, c, 0};
    hf_chunk chunk{};
    if (bpf_map_lookup_elem(impl_->map("hf_chunks"), &chunk_key, &chunk) != 0) continue;
    for (const auto& slot : chunk.slots) take(slot);
  }
  std::sort(result.slots.begin(), result.slots.end(), [](const hf_slot& a, const hf_slot& b) { return a.first < b.first; });
  return result;
}

Result<int> Gate::would_refuse(const hf_file_key& key, hf_op op, std::uint64_t first, std::uint64_t end, std::uint32_t task) const {
  HF_TRY_ASSIGN(auto found, file(key));
  HF_TRY_ASSIGN(const auto policy, mount(key.device));
  const hf_question question{.op = static_cast<__u32>(op), .task = task, .first = first, .end = end, .window = 0, .flags = policy.flags};
  hf_answer answer{};
  if (found)
    for (const auto& slot : found->slots) hf_decide_slot(&question, &slot, &answer);
  hf_decide_seals(&question, policy.window ? ~0u : policy.seals, &answer);
  return static_cast<int>(answer.error);
}

Status Gate::set_mount(std::uint32_t device, const hf_mount& policy) {
  hf_call request{};
  request.op = HF_CALL_MOUNT;
  request.id = device;
  request.mount = policy;
  HF_TRY(impl_->run(request));
  if (request.result) return sys_error(-request.result, "set", "the policy of a filesystem");
  return {};
}

Result<hf_mount> Gate::mount(std::uint32_t device) const {
  hf_mount found{};
  if (bpf_map_lookup_elem(impl_->map("hf_mounts"), &device, &found) == 0) return found;
  if (errno != ENOENT) return sys_error(errno, "read", "hf_mounts");
  found.flags = std::atomic_ref(impl_->control->default_flags).load();
  return found;
}

namespace {

bool same(const hf_listed& a, const hf_listed& b) { return std::memcmp(&a, &b, sizeof a) == 0; }

}  // namespace

Result<std::vector<std::pair<std::uint32_t, hf_mount>>> Gate::mounts() const {
  std::vector<std::pair<std::uint32_t, hf_mount>> all;
  for (const auto device : keys_of<std::uint32_t>(impl_->map("hf_mounts"))) {
    HF_TRY_ASSIGN(const auto found, mount(device));
    all.emplace_back(device, found);
  }
  return all;
}

Status Gate::set_listed(const std::vector<hf_listed>& wanted) {
  const int fd = impl_->map("hf_listed");
  const __u32 listed = 1;
  for (const auto& each : wanted)
    if (bpf_map_update_elem(fd, &each, &listed, BPF_ANY) != 0) return sys_error(errno, "write", "hf_listed");
  for (const auto& each : keys_of<hf_listed>(fd))
    if (std::none_of(wanted.begin(), wanted.end(), [&](const hf_listed& other) { return same(each, other); })) bpf_map_delete_elem(fd, &each);
  return {};
}

void Gate::set_defaults(std::uint32_t flags, std::uint64_t user_registrations) {
  std::atomic_ref(impl_->control->default_flags).store(flags);
  std::atomic_ref(impl_->control->user_registrations).store(user_registrations);
}

Status Gate::open_window(std::uint32_t tgid, std::uint64_t start_ns) {
  const std::uint64_t ticks = start_ns / kTickNs;
  if (bpf_map_update_elem(impl_->map("hf_windows"), &tgid, &ticks, BPF_ANY) != 0) return sys_error(errno, "write", "hf_windows");
  crash_point("window.opening");
  std::atomic_ref(impl_->control->windows).store(static_cast<__u32>(keys_of<std::uint32_t>(impl_->map("hf_windows")).size()));
  return {};
}

Status Gate::close_window(std::uint32_t tgid) {
  if (bpf_map_delete_elem(impl_->map("hf_windows"), &tgid) != 0 && errno != ENOENT) return sys_error(errno, "write", "hf_windows");
  crash_point("window.closing");
  std::atomic_ref(impl_->control->windows).store(static_cast<__u32>(keys_of<std::uint32_t>(impl_->map("hf_windows")).size()));
  return {};
}

Result<std::vector<std::pair<std::uint32_t, std::uint64_t>>> Gate::windows() const {
  std::vector<std::pair<std::uint32_t, std::uint64_t>> open;
  for (const auto tgid : keys_of<std::uint32_t>(impl_->map("hf_windows"))) {
    std::uint64_t ticks = 0;
    if (bpf_map_lookup_elem(impl_->map("hf_windows"), &tgid, &ticks) == 0) open.emplace_back(tgid, ticks * kTickNs);
  }
  return open;
}

namespace {

/// The page of a ring buffer that begins with a position.
std::uint64_t ring_position(int map, off_t page_offset) {
  const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  void* at = ::mmap(nullptr, page, PROT_READ, MAP_SHARED, map, page_offset);
  if (at == MAP_FAILED) return 0;
  const auto position = __atomic_load_n(static_cast<const std::uint64_t*>(at), __ATOMIC_ACQUIRE);
  ::munmap(at, page);
  return position;
}

}  // namespace

std::vector<Gate::RingFill> Gate::ring_fill() const {
  std::vector<RingFill> fills;
  for (const char* name : {"hf_denials", "hf_escapes", "hf_lifecycle"}) {
    struct bpf_map_info info {};
    __u32 size = sizeof info;
    const int fd = impl_->map(name);
    if (bpf_obj_get_info_by_fd(fd, &info, &size) != 0) continue;
    // The consumer's page comes first, then the producer's.
    const auto read = ring_position(fd, 0);
    const auto written = ring_position(fd, ::sysconf(_SC_PAGESIZE));
    fills.push_back({name, written > read ? written - read : 0, info.max_entries});
  }
  return fills;
}

std::vector<Gate::ProgramTime> Gate::program_times() const {
  std::vector<ProgramTime> times;
  for (const auto& hook : list_directory(kLinksDirectory)) {
    const Fd link(bpf_obj_get(fmt::format("{}/{}", kLinksDirectory, hook).c_str()));
    struct bpf_link_info link_info {};
    __u32 size = sizeof link_info;
    if (!link || bpf_obj_get_info_by_fd(link.get(), &link_info, &size) != 0) continue;
    const Fd program(bpf_prog_get_fd_by_id(link_info.prog_id));
    struct bpf_prog_info info {};
    size = sizeof info;
    if (program && bpf_obj_get_info_by_fd(program.get(), &info, &size) == 0) times.push_back({hook, info.run_cnt, info.run_time_ns});
  }
  return times;
}

int Gate::event_fd() const { return ring_buffer__epoll_fd(impl_->rings.get()); }

Result<bool> Gate::consume(const Handlers& handlers) {
  Handlers current = handlers;
  impl_->handlers = &current;
  impl_->denials_left = kDenialsAtOnce;
  int count = ring_buffer__consume(impl_->rings.get());
  impl_->handlers = nullptr;
  if (count == -ECANCELED) return true;
  if (count < 0) return sys_error(-count, "read", "the gate's events");
  return false;
}

}  // namespace hf
