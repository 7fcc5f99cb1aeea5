// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "kernel/gate.hpp"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <map>

#include "base/crash_point.hpp"
#include "decide.h"
#include "holdfast.skel.h"
#include "base/fnv.hpp"
#include "kernel/gate_pins.hpp"
#include "kernel/kallsyms.hpp"
#include "kernel/pin_device.hpp"
#include "kernel/probes.hpp"

namespace hf {
namespace {

constexpr std::uint64_t kTickNs = 10'000'000;  // of hf_windows

constexpr const char* kDetachHint =
    "holdfast gate detach, then start holdfastd again (registrations made before are protected again only once they are made anew)";

/// Functions through which file_permission is reached by an operation, and what the stack says where the hint is missing.
struct SpanOf {
  const char* function;
  hf_op op;
};
constexpr std::array kSpans = {
    SpanOf{"vfs_fallocate", HF_OP_LAYOUT_CALL},
    SpanOf{"vfs_clone_file_range", HF_OP_LAYOUT_CALL},
    SpanOf{"do_clone_file_range", HF_OP_LAYOUT_CALL},
    SpanOf{"vfs_dedupe_file_range", HF_OP_LAYOUT_CALL},
    SpanOf{"vfs_dedupe_file_range_one", HF_OP_LAYOUT_CALL},
    SpanOf{"remap_verify_area", HF_OP_LAYOUT_CALL},
    SpanOf{"vfs_copy_file_range", HF_OP_COPY},
};

struct SkeletonDelete {
  void operator()(hf_holdfast* skeleton) const { hf_holdfast__destroy(skeleton); }
};
using SkeletonPtr = std::unique_ptr<hf_holdfast, SkeletonDelete>;

struct LinkDelete {
  void operator()(bpf_link* link) const { bpf_link__destroy(link); }
};
using LinkPtr = std::unique_ptr<bpf_link, LinkDelete>;

struct RingDelete {
  void operator()(ring_buffer* ring) const { ring_buffer__free(ring); }
};

/// Tells an upgrade of the same ABI.
std::uint64_t object_digest() {
  std::size_t size = 0;
  const auto* bytes = static_cast<const char*>(hf_holdfast__elf_bytes(&size));
  Fnv digest;
  digest.add({bytes, size});
  return digest.value();
}

/// What libbpf and the verifier said of the last load, kept for the error message: the last lines say why.
thread_local std::string load_log;
int keep_log(libbpf_print_level level, const char* format, va_list arguments) {
  if (level == LIBBPF_DEBUG) return 0;
  char* text = nullptr;
  if (vasprintf(&text, format, arguments) < 0) return 0;
  load_log += text;
  if (load_log.size() > 16384) load_log.erase(0, load_log.size() - 16384);
  if (std::getenv("HOLDFAST_BPF_LOG")) fputs(text, stderr);
  free(text);
  return 0;
}
std::string last_lines(const std::string& text, std::size_t lines) {
  std::size_t at = text.size();
  while (at > 0 && lines > 0)
    if (text[--at] == '\n' && at + 1 < text.size()) lines--;
  return text.substr(at);
}

Status make_directory(const char* path) {
  if (::mkdir(path, 0700) != 0 && errno != EEXIST) return sys_error(errno, "mkdir", path, "mount -t bpf bpf /sys/fs/bpf");
  return {};
}

}  // namespace

struct Gate::Impl {
  std::map<std::string, Fd, std::less<>> maps;
  Fd call;
  hf_control* control = nullptr;  // mapped, shared with the BPF programs
  std::unique_ptr<ring_buffer, RingDelete> rings;
  Handlers* handlers = nullptr;  // while consume() runs
  int denials_left = 0;
  bool took_over = false;
  bool looked = false;  // for the offsets of fields
  std::optional<Kallsyms> symbols;

  ~Impl() {
    if (control) ::munmap(control, static_cast<std::size_t>(::sysconf(_SC_PAGESIZE)));
  }

  int map(std::string_view name) const { return maps.find(name)->second.get(); }

  Status open_maps();
  Status open_control();
  Status open_rings();
  Status run(hf_call& request) const;
  Status trace(hf_call_op op, const hf_file_key& file) const;
};

Status Gate::Impl::open_maps() {
  for (const char* name : kPinnedMaps) {
    auto path = fmt::format("{}/{}", kMapsDirectory, name);
    Fd fd(bpf_obj_get(path.c_str()));
    if (!fd) return sys_error(errno, "open", path, kDetachHint);
    maps[name] = std::move(fd);
  }
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

Status Gate::Impl::open_control() {
  void* page = ::mmap(nullptr, static_cast<std::size_t>(::sysconf(_SC_PAGESIZE)), PROT_READ | PROT_WRITE, MAP_SHARED, map("hf_control"), 0);
  if (page == MAP_FAILED) return sys_error(errno, "mmap", "hf_control");
  control = static_cast<hf_control*>(page);
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

Status Gate::Impl::run(hf_call& request) const {
  __u32 zero = 0;
  if (bpf_map_update_elem(map("hf_request"), &zero, &request, BPF_ANY) != 0) return sys_error(errno, "write", "hf_request");
  bpf_test_run_opts options{};
  options.sz = sizeof options;
  if (int error = bpf_prog_test_run_opts(call.get(), &options); error) return sys_error(-error, "run", "the gate's call program");
  if (bpf_map_lookup_elem(map("hf_request"), &zero, &request) != 0) return sys_error(errno, "read", "hf_request");
  return {};
}

Status Gate::Impl::trace(hf_call_op op, const hf_file_key& file) const {
  hf_call request{};
  request.op = op;
  request.part.file = file;
  HF_TRY(run(request));
  if (request.result == -EAGAIN) return fail(ENOSPC, "as many files are traced as can be", "Wait until another trace ends.");
  if (request.result) return sys_error(-request.result, "trace", "the file");
  return {};
}

namespace {

/// Loads and attaches everything, then pins it; nothing stays where any of it fails.
class Loader {
 public:
  Loader(std::string version, KernelFunctions& kernel) : version_(std::move(version)), kernel_(kernel) {}

  Status load() {
    libbpf_set_print(keep_log);
    load_log.clear();
    HF_TRY_ASSIGN(const auto* btf, kernel_.btf());
    HF_TRY_ASSIGN(hooks_, hooks_of_kernel(*btf));
    HF_TRY_ASSIGN(const auto* kallsyms, kernel_.symbols());
    HF_TRY_ASSIGN(probes_, probes_of_kernel(*kallsyms));
    skeleton_.reset(hf_holdfast__open());
    if (!skeleton_) return sys_error(errno, "open", "the gate's BPF object");
    configure(*kallsyms);
    for (const char* directory : {kPinDirectory, kMapsDirectory}) HF_TRY(make_directory(directory));
    HF_TRY(set_map_pins());
    if (int error = hf_holdfast__load(skeleton_.get()); error) return load_error(-error);
    crash_point("arm.loaded");
    return write_meta([](hf_meta& meta) {
      meta.magic = HF_META_MAGIC;
      meta.abi_version = HF_ABI_VERSION;
      // Which object decides is said when it does: an upgrade that is cut off before is made again.
      meta.object_digest = 0;
    });
  }

  Status attach() {
    for (const auto& hook : hooks_) {
      LinkPtr link(bpf_program__attach(program(hook.program)));
      if (!link) return attach_error(errno, hook.program);
      links_.emplace_back(hook.program, std::move(link));
    }
    crash_point("arm.hooks_attached");
    for (const auto& probe : probes_) {
      HF_TRY_ASSIGN(auto fd, open_probe(probe));
      LinkPtr link(bpf_program__attach_perf_event(program(probe.program), fd.get()));
      if (!link) return attach_error(errno, probe.event.c_str());
      (void)fd.release();  // the link closes it
      links_.emplace_back(probe.event, std::move(link));
    }
    return {};
  }

  /// New links stand before the old ones go.
  Status pin() {
    crash_point("arm.attached");
    HF_TRY(remove_pins(kNewLinksDirectory));
    HF_TRY(make_directory(kNewLinksDirectory));
    for (auto& [name, link] : links_)
      if (int error = bpf_link__pin(link.get(), fmt::format("{}/{}", kNewLinksDirectory, name).c_str()); error) return sys_error(-error, "pin", name);
    crash_point("arm.new_links");
    ::unlink(kCallPin);
    crash_point("arm.no_call");
    if (int error = bpf_program__pin(skeleton_->progs.hf_call, kCallPin); error) return sys_error(-error, "pin", kCallPin);
    crash_point("arm.call");
    HF_TRY(remove_pins(kOldLinksDirectory));
    if (::rename(kLinksDirectory, kOldLinksDirectory) != 0 && errno != ENOENT) return sys_error(errno, "rename", kLinksDirectory);
    crash_point("arm.no_links");
    if (::rename(kNewLinksDirectory, kLinksDirectory) != 0) return sys_error(errno, "rename", kNewLinksDirectory);
    crash_point("arm.links");
    HF_TRY(remove_pins(kOldLinksDirectory));
    return write_meta([this](hf_meta& meta) {
      std::memset(meta.version, 0, sizeof meta.version);
      std::strncpy(meta.version, version_.c_str(), sizeof meta.version - 1);
      std::atomic_ref(meta.object_digest).store(object_digest());
    });
  }

 private:
  bpf_program* program(const char* name) { return bpf_object__find_program_by_name(skeleton_->obj, name); }
  bpf_program* program(const std::string& name) { return program(name.c_str()); }

  void configure(const Kallsyms& kallsyms) {
    for (const auto& hook : gate_hooks()) bpf_program__set_autoload(program(hook.program), false);
    for (const auto& hook : hooks_) bpf_program__set_autoload(program(hook.program), true);
    // What only other kernels' probes run may not even load here.
    bpf_program* each_program = nullptr;
    bpf_object__for_each_program(each_program, skeleton_->obj) {
      const std::string_view name = bpf_program__name(each_program);
      const auto runs = [&](const Probe& probe) { return probe.program == name; };
      if (name.starts_with("hf_trip_")) bpf_program__set_autoload(each_program, std::any_of(probes_.begin(), probes_.end(), runs));
    }
    std::size_t at = 0;
    for (const auto& each : kSpans)
      if (auto span = kallsyms.span(each.function)) {
        auto& slot = skeleton_->rodata->hf_spans[at++];
        slot.first = span->first;
        slot.end = span->end;
        slot.op = each.op;
      }
    // For tests of the way without hints; see CONTRIBUTING.md.
    skeleton_->rodata->hf_drop_hints = std::getenv("HOLDFAST_TEST_DROP_HINTS") != nullptr;
  }

  Status set_map_pins() {
    for (const char* name : kPinnedMaps) {
      bpf_map* map = bpf_object__find_map_by_name(skeleton_->obj, name);
      if (int error = bpf_map__set_pin_path(map, fmt::format("{}/{}", kMapsDirectory, name).c_str()); error)
        return sys_error(-error, "set the pin path of", name);
    }
    return {};
  }

  /// In place: the programs of an earlier daemon count in it meanwhile.
  template <class Write>
  Status write_meta(Write&& write) {
    const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    void* at = ::mmap(nullptr, page, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(skeleton_->maps.hf_meta), 0);
    if (at == MAP_FAILED) return sys_error(errno, "mmap", "hf_meta");
    write(*static_cast<hf_meta*>(at));
    ::munmap(at, page);
    return {};
  }

  static tl::unexpected<Error> load_error(int code) {
    if (code == EPERM)
      return fail(
          code,
          "the kernel refuses to load the gate's BPF programs although BPF is among its security modules (some hardened kernels allow no BPF trampolines)",
          "check lockdown (cat /sys/kernel/security/lockdown) and the host's policy on BPF; without it nothing can be refused here");
    return fail(code, fmt::format("the kernel did not take the gate's BPF programs: {}\n{}", std::generic_category().message(code), last_lines(load_log, 12)),
                "report this with the kernel's version; HOLDFAST_BPF_LOG=1 shows the whole log");
  }

  static tl::unexpected<Error> attach_error(int code, const char* name) {
    auto hint = code == EPERM || code == ENOTSUP ? "this kernel allows no BPF trampolines; check lockdown and the host's policy on BPF"
                                                 : "report this with the kernel's version";
    return fail(code, fmt::format("hook {} could not be attached: {}; none were left attached", name, std::generic_category().message(code)), hint);
  }

  std::string version_;
  KernelFunctions& kernel_;
  std::vector<GateHook> hooks_;
  std::vector<Probe> probes_;
  SkeletonPtr skeleton_;
  std::vector<std::pair<std::string, LinkPtr>> links_;
};

/// Loads, attaches and pins; where that fails on a machine without an armed gate, nothing is left of the attempt.
Status arm_anew(const std::string& version, KernelFunctions& kernel, bool had_state) {
  Status outcome = [&]() -> Status {
    Loader loader(version, kernel);
    HF_TRY(loader.load());
    HF_TRY(loader.attach());
    return loader.pin();
  }();
  if (!outcome && !had_state) (void)gate_detach();
  return outcome;
}

/// Is the gate this Holdfast's own, and as it was when a daemon saw that no hook is missing? To look again at all of the kernel's functions is most of the time
/// that a takeover would take.
bool still_complete() {
  const auto meta = pinned_meta();
  if (!meta || !*meta || (*meta)->magic != HF_META_MAGIC || (*meta)->abi_version != HF_ABI_VERSION || (*meta)->object_digest != object_digest()) return false;
  const Fd map(bpf_obj_get(fmt::format("{}/hf_control", kMapsDirectory).c_str()));
  hf_control control{};
  const __u32 zero = 0;
  return map && bpf_map_lookup_elem(map.get(), &zero, &control) == 0 && control.complete && control.complete == pins_and_modules() && !test_upgrade();
}

/// Whether what is pinned stays, and just an armed gate is left where it does not.
Result<bool> arm_or_keep(const std::string& version, KernelFunctions& kernel) {
  if (still_complete()) return true;
  HF_TRY_ASSIGN(auto state, gate_state(kernel));
  if (state.other_version)
    return fail(EPROTONOSUPPORT,
                fmt::format("the pinned gate is of Holdfast {} with another layout (this is {}, layout {}); it goes on deciding", state.version, version,
                            HF_ABI_VERSION),
                kDetachHint);
  // An earlier daemon was killed while it armed the first gate: there are maps, and nothing that decides.
  if (state.unfinished) HF_TRY(gate_detach());
  const bool keep = state.armed && state.meta->object_digest == object_digest() && !test_upgrade();
  if (!keep) HF_TRY(arm_anew(version, kernel, state.meta.has_value()));
  return keep;
}

}  // namespace

Gate::Gate(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Gate::~Gate() = default;

Result<std::unique_ptr<Gate>> Gate::arm(const std::string& version) {
  KernelFunctions kernel;
  HF_TRY_ASSIGN(const bool take_over, arm_or_keep(version, kernel));
  // An upgrade that was cut off has left a second set of links, which would decide, and observe, everything twice.
  for (const char* directory : {kNewLinksDirectory, kOldLinksDirectory}) HF_TRY(remove_pins(directory));
  auto impl = std::make_unique<Impl>();
  impl->took_over = take_over;
  HF_TRY(impl->open_maps());
  HF_TRY(impl->open_control());
  HF_TRY(impl->open_rings());
  auto gate = std::unique_ptr<Gate>(new Gate(std::move(impl)));
  gate->learn_offsets(kernel);
  gate->forget_traces();
  gate->impl_->symbols = kernel.take_symbols();
  std::atomic_ref(gate->impl_->control->complete).store(pins_and_modules());
  return gate;
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

bool Gate::took_over() const { return impl_->took_over; }

Result<hf_meta> Gate::meta() const {
  hf_meta meta{};
  __u32 zero = 0;
  if (bpf_map_lookup_elem(impl_->map("hf_meta"), &zero, &meta) != 0) return sys_error(errno, "read", "hf_meta");
  return meta;
}

Result<hf_facts> Gate::facts(int fd) const {
  hf_facts facts{};
  __u32 zero = 0;
  if (bpf_map_update_elem(impl_->map("hf_facts"), &zero, &facts, BPF_ANY) != 0) return sys_error(errno, "write", "hf_facts");
  // The gate answers this ioctl itself: it sees the same inode as it will when it decides.
  if (::ioctl(fd, HF_IOCTL_FACTS, 0) == 0 || errno != EUCLEAN)
    return sys_error(errno == EBADF ? EBADF : EIO, "ask the gate about", "the descriptor", "open the file for reading or writing, not with O_PATH");
  if (bpf_map_lookup_elem(impl_->map("hf_facts"), &zero, &facts) != 0 || !facts.valid)
    return fail(EIO, "the gate did not answer for this descriptor", "holdfast gate status");
  return facts;
}

Result<std::uint64_t> Gate::lease_begin(const hf_lease& record) {
  hf_call request{};
  request.op = HF_CALL_LEASE_BEGIN;
  request.record = record;
  HF_TRY(impl_->run(request));
  if (request.result) return sys_error(-request.result, "begin", "a lease", "the table of leases is full");
  crash_point("lease.begun");
  return request.id;
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
  if (request.result && request.part.reasons == 0) return sys_error(-request.result, "lease", "a part of the file");
  crash_point("lease.part");
  return PartOutcome{request.part.slot, request.part.reasons, request.part.flags, request.raced != 0};
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

Result<int> Gate::sweep() {
  int fd = impl_->map("hf_files");
  std::vector<hf_file_key> empty;
  hf_file_key key{}, next{};
  for (int error = bpf_map_get_next_key(fd, nullptr, &next); error == 0; error = bpf_map_get_next_key(fd, &key, &next)) {
    key = next;
    hf_file file{};
    if (bpf_map_lookup_elem(fd, &key, &file) != 0) continue;
    bool used = std::any_of(std::begin(file.slots), std::end(file.slots), [](const hf_slot& slot) { return slot.state != 0; });
    if (!used) empty.push_back(key);  // a guess: the call looks again, with adders kept out
  }
  int swept = 0;
  for (const auto& each : empty) {
    hf_call request{};
    request.op = HF_CALL_SWEEP;
    request.part.file = each;
    HF_TRY(impl_->run(request));
    swept += request.result == 0;
  }
  return swept;
}

Result<std::optional<KernelLease>> Gate::lease(std::uint64_t id) const {
  KernelLease lease{};
  if (bpf_map_lookup_elem(impl_->map("hf_leases"), &id, &lease.record) != 0) {
    if (errno == ENOENT) return std::nullopt;
    return sys_error(errno, "read", "hf_leases");
  }
  for (__u32 i = 0; i < lease.record.parts; i++) {
    hf_part_key key{id, i, 0};
    hf_part part{};
    // A part that is gone: the lease ended while it was read.
    if (bpf_map_lookup_elem(impl_->map("hf_parts"), &key, &part) != 0) return std::nullopt;
    lease.parts.push_back(part);
  }
  return lease;
}

Result<std::vector<KernelLease>> Gate::leases() const {
  std::vector<std::uint64_t> ids;
  std::uint64_t id = 0, next = 0;
  int fd = impl_->map("hf_leases");
  for (int error = bpf_map_get_next_key(fd, nullptr, &next); error == 0; error = bpf_map_get_next_key(fd, &id, &next)) {
    id = next;
    ids.push_back(id);
  }
  // An entry that goes while the map is walked restarts the walk: the same id may come twice.
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  std::vector<KernelLease> leases;
  for (auto each : ids) {
    HF_TRY_ASSIGN(auto found, lease(each));
    if (found) leases.push_back(std::move(*found));
  }
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

/// Every key of a hash map; one that goes while it is walked restarts the walk, so that others may come twice.
template <class Key>
std::vector<Key> keys_of(int map) {
  std::vector<Key> keys;
  Key key{}, next{};
  for (int error = bpf_map_get_next_key(map, nullptr, &next); error == 0; error = bpf_map_get_next_key(map, &key, &next)) keys.push_back(key = next);
  return keys;
}

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
