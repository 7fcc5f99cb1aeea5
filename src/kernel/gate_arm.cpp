// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "kernel/gate_arm.hpp"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "base/crash_point.hpp"
#include "base/fnv.hpp"
#include "holdfast.skel.h"
#include "kernel/map_view.hpp"
#include "kernel/probes.hpp"

namespace hf {
namespace {

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

  /// New links stand before the old ones go, and at no moment is there none: bpffs exchanges two folders in one step (simple_rename(), Linux 5.16).
  Status pin() {
    crash_point("arm.attached");
    HF_TRY(remove_new_pins());
    HF_TRY(make_directory(kNewLinksDirectory));
    for (auto& [name, link] : links_)
      if (int error = bpf_link__pin(link.get(), fmt::format("{}/{}", kNewLinksDirectory, name).c_str()); error) return sys_error(-error, "pin", name);
    crash_point("arm.new_links");
    if (int error = bpf_program__pin(skeleton_->progs.hf_call, kNewCallPin); error) return sys_error(-error, "pin", kNewCallPin);
    crash_point("arm.new_call");
    if (::rename(kNewCallPin, kCallPin) != 0) return sys_error(errno, "rename", kNewCallPin);
    crash_point("arm.call");
    const unsigned how = ::access(kLinksDirectory, F_OK) == 0 ? RENAME_EXCHANGE : RENAME_NOREPLACE;
    if (::renameat2(AT_FDCWD, kNewLinksDirectory, AT_FDCWD, kLinksDirectory, how) != 0) return sys_error(errno, "rename", kNewLinksDirectory);
    crash_point("arm.links");
    HF_TRY(remove_new_pins());
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
    HF_TRY_ASSIGN(const auto meta, MapView<hf_meta>::open(bpf_map__fd(skeleton_->maps.hf_meta), "hf_meta"));
    write(*meta);
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

/// Loads, attaches and pins; where that fails, nothing is left of the attempt.
Status arm_anew(const std::string& version, KernelFunctions& kernel, bool had_state) {
  Status outcome = [&]() -> Status {
    Loader loader(version, kernel);
    HF_TRY(loader.load());
    HF_TRY(loader.attach());
    return loader.pin();
  }();
  if (!outcome) (void)(had_state ? remove_new_pins() : gate_detach());
  return outcome;
}

/// Does a gate decide by maps of this layout, whosever its programs are?
bool stands(const std::optional<hf_meta>& meta) {
  return meta && meta->magic == HF_META_MAGIC && meta->abi_version == HF_ABI_VERSION && ::access(kCallPin, F_OK) == 0 &&
         !list_directory(kLinksDirectory).empty();
}

/// Is the gate as it was when a daemon, of whatever version, saw that no hook is missing? To look again at all of the kernel's functions is most of the time
/// that a takeover would take.
bool as_last_seen() {
  const Fd map(bpf_obj_get(fmt::format("{}/hf_control", kMapsDirectory).c_str()));
  hf_control control{};
  const __u32 zero = 0;
  return map && bpf_map_lookup_elem(map.get(), &zero, &control) == 0 && control.complete && control.complete == pins_and_modules();
}

bool own(const hf_meta& meta) { return meta.object_digest == object_digest() && !test_upgrade(); }

}  // namespace

Result<Armed> arm_or_take(const std::string& version, KernelFunctions& kernel) {
  HF_TRY_ASSIGN(const auto meta, pinned_meta());
  if (stands(meta)) {
    if (!as_last_seen()) {
      HF_TRY_ASSIGN(const auto state, gate_state(kernel));
      if (!state.armed) {
        // Nothing refuses what passes by a missing hook: nobody is served before it is back.
        HF_TRY(arm_anew(version, kernel, true));
        return Armed::kKept;
      }
    }
    return own(*meta) ? Armed::kKept : Armed::kStanding;
  }
  HF_TRY_ASSIGN(auto state, gate_state(kernel));
  if (state.other_version)
    return fail(EPROTONOSUPPORT,
                fmt::format("the pinned gate is of Holdfast {} with another layout (this is {}, layout {}); it goes on deciding", state.version, version,
                            HF_ABI_VERSION),
                kDetachHint);
  // An earlier daemon was killed while it armed the first gate: there are maps, and nothing that decides.
  if (state.unfinished) HF_TRY(gate_detach());
  HF_TRY(arm_anew(version, kernel, state.meta.has_value()));
  return Armed::kAnew;
}

Result<bool> complete_gate(const std::string& version, KernelFunctions& kernel) {
  HF_TRY_ASSIGN(const auto state, gate_state(kernel));
  if (state.armed && own(*state.meta)) return false;
  HF_TRY(arm_anew(version, kernel, true));
  return true;
}

}  // namespace hf
