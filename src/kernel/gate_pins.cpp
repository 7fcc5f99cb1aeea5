// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "kernel/gate_pins.hpp"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <limits>
#include <sstream>

#include "base/fd.hpp"
#include "base/fnv.hpp"
#include "kernel/gate.hpp"
#include "kernel/paths.hpp"
#include "kernel/probes.hpp"

namespace hf {
namespace fs = std::filesystem;

Result<BtfPtr> kernel_btf() {
  BtfPtr btf(btf__load_vmlinux_btf());
  if (!btf) return sys_error(errno, "read", "/sys/kernel/btf/vmlinux", "use a kernel built with CONFIG_DEBUG_INFO_BTF=y");
  return btf;
}

const std::vector<GateHook>& gate_hooks() {
  static const std::vector<GateHook> hooks = {
      {"hf_inode_setattr", "bpf_lsm_inode_setattr", 3, false},
      {"hf_inode_setattr_2", "bpf_lsm_inode_setattr", 2, false},
      {"hf_notify_change_return", "notify_change", -1, true},
      {"hf_fallocate", "vfs_fallocate", 4, true},
      {"hf_fallocate_return", "vfs_fallocate", 4, true},
      {"hf_clone", "vfs_clone_file_range", 6, true},
      {"hf_clone_return", "vfs_clone_file_range", 6, true},
      {"hf_clone_inner", "do_clone_file_range", 6, false},
      {"hf_clone_inner_return", "do_clone_file_range", 6, false},
      {"hf_dedupe_all", "vfs_dedupe_file_range", 2, true},
      {"hf_dedupe_all_return", "vfs_dedupe_file_range", 2, true},
      {"hf_dedupe", "vfs_dedupe_file_range_one", 6, true},
      {"hf_dedupe_return", "vfs_dedupe_file_range_one", 6, true},
      {"hf_copy", "vfs_copy_file_range", 6, true},
      {"hf_copy_return", "vfs_copy_file_range", 6, true},
      {"hf_remap_verify", "remap_verify_area", 4, false},
      {"hf_file_permission", "bpf_lsm_file_permission", 2, true},
      {"hf_file_ioctl", "bpf_lsm_file_ioctl", 3, true},
      {"hf_file_ioctl_compat", "bpf_lsm_file_ioctl_compat", 3, false},
      {"hf_ioctl_return", "__x64_sys_ioctl", -1, true},
      {"hf_ioctl_compat_return", "__ia32_compat_sys_ioctl", -1, false},
      {"hf_inode_file_setattr", "bpf_lsm_inode_file_setattr", 2, false},
  };
  return hooks;
}

namespace {

/// @return the function's number of arguments, -1 where the kernel doesn't have it
int arguments_of(const struct btf& btf, const char* function) {
  int id = btf__find_by_name_kind(&btf, function, BTF_KIND_FUNC);
  if (id < 0) return -1;
  const auto* type = btf__type_by_id(&btf, static_cast<__u32>(id));
  const auto* prototype = btf__type_by_id(&btf, type->type);
  return prototype ? static_cast<int>(btf_vlen(prototype)) : -1;
}

}  // namespace

Result<std::vector<GateHook>> hooks_of_kernel(const struct btf& btf) {
  std::vector<GateHook> hooks;
  bool truncate = false;
  for (const auto& hook : gate_hooks()) {
    int arguments = arguments_of(btf, hook.function);
    bool fits = arguments >= 0 && (hook.arguments < 0 || hook.arguments == arguments);
    if (!fits && hook.required)
      return fail(ENOTSUP, fmt::format("this kernel has no {} as the gate needs it, so some break sources could not be refused", hook.function),
                  "nothing was attached; report the kernel's version");
    if (!fits) continue;
    truncate |= std::string_view(hook.function) == "bpf_lsm_inode_setattr";
    hooks.push_back(hook);
  }
  if (!truncate)
    return fail(ENOTSUP, "this kernel's security_inode_setattr has an unknown form, so truncate could not be refused",
                "nothing was attached; report the kernel's version");
  return hooks;
}

std::vector<std::string> list_directory(const std::string& path) {
  std::vector<std::string> names;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(path, error)) names.push_back(entry.path().filename());
  std::sort(names.begin(), names.end());
  return names;
}

Result<int> remove_pins(const std::string& directory) {
  int removed = 0;
  for (const auto& name : list_directory(directory)) {
    auto path = directory + "/" + name;
    if (::unlink(path.c_str()) != 0 && errno != ENOENT) return sys_error(errno, "unlink", path);
    removed++;
  }
  if (::rmdir(directory.c_str()) != 0 && errno != ENOENT) return sys_error(errno, "rmdir", directory);
  return removed;
}

Result<int> remove_new_pins() {
  HF_TRY_ASSIGN(int removed, remove_pins(kNewLinksDirectory));
  if (::unlink(kNewCallPin) == 0)
    removed++;
  else if (errno != ENOENT)
    return sys_error(errno, "unlink", kNewCallPin);
  return removed;
}

Result<std::optional<hf_meta>> pinned_meta() {
  Fd fd(bpf_obj_get(fmt::format("{}/hf_meta", kMapsDirectory).c_str()));
  if (!fd) {
    if (errno == ENOENT) return std::nullopt;
    return sys_error(errno, "open", "the gate's pinned state", errno == EPERM || errno == EACCES ? "run as root" : "");
  }
  struct bpf_map_info info {};
  __u32 size = sizeof info;
  if (bpf_obj_get_info_by_fd(fd.get(), &info, &size) != 0) return sys_error(errno, "query", "hf_meta");
  hf_meta meta{};
  __u32 zero = 0;
  // Another version's record may have another size: its head is all that may be read, and a lookup copies value_size bytes.
  std::vector<char> value(std::max<std::size_t>(info.value_size, sizeof meta));
  if (bpf_map_lookup_elem(fd.get(), &zero, value.data()) != 0) return sys_error(errno, "read", "hf_meta");
  memcpy(&meta, value.data(), std::min<std::size_t>(info.value_size, sizeof meta));
  if (meta.magic != HF_META_MAGIC || info.value_size != sizeof meta) meta.abi_version = meta.magic == HF_META_MAGIC ? meta.abi_version : 0;
  if (info.value_size != sizeof meta && meta.abi_version == HF_ABI_VERSION) meta.abi_version = 0;
  return meta;
}

std::uint64_t pins_and_modules() {
  const auto modules = read_text("/proc/modules");
  if (!modules || ::access(kCallPin, F_OK) != 0) return 0;
  Fnv digest;
  for (const auto& link : list_directory(kLinksDirectory)) digest.add(link);
  std::istringstream lines(*modules);
  // "xfs 2093056 1 - Live 0xffffffffc0a00000": how many use it comes and goes.
  for (std::string name, size, users, by, state, address; lines >> name >> size >> users >> by >> state >> address;) {
    lines.ignore(std::numeric_limits<std::streamsize>::max(), '\n');
    for (const auto* part : {&name, &size, &state, &address}) digest.add(*part);
  }
  return digest.value();
}

Result<const struct btf*> KernelFunctions::btf() {
  if (!btf_) {
    HF_TRY_ASSIGN(btf_, kernel_btf());
  }
  return btf_.get();
}

Result<const Kallsyms*> KernelFunctions::symbols() {
  if (!symbols_) {
    HF_TRY_ASSIGN(symbols_, Kallsyms::read());
  }
  return &*symbols_;
}

Result<GateState> gate_state() {
  KernelFunctions kernel;
  return gate_state(kernel);
}

Result<GateState> gate_state(KernelFunctions& kernel) {
  GateState state;
  if (::geteuid() != 0) return fail(EPERM, "the gate's pins are readable by root only", "run as root: sudo holdfast gate status");
  HF_TRY_ASSIGN(auto meta, pinned_meta());
  state.hooks = list_directory(kLinksDirectory);
  if (!meta || (meta->magic == 0 && state.hooks.empty())) {
    state.unfinished = meta.has_value() || !list_directory(kMapsDirectory).empty();
    return state;
  }
  state.meta = meta;
  state.other_version = meta->magic != HF_META_MAGIC || meta->abi_version != HF_ABI_VERSION;
  state.version = meta->magic == HF_META_MAGIC ? std::string(meta->version, strnlen(meta->version, sizeof meta->version)) : "unknown";
  if (state.other_version) return state;

  HF_TRY_ASSIGN(const auto* btf, kernel.btf());
  HF_TRY_ASSIGN(auto hooks, hooks_of_kernel(*btf));
  HF_TRY_ASSIGN(const auto* kallsyms, kernel.symbols());
  HF_TRY_ASSIGN(auto probes, probes_of_kernel(*kallsyms));
  auto pinned = [&](const std::string& name) { return std::binary_search(state.hooks.begin(), state.hooks.end(), name); };
  for (const auto& hook : hooks)
    if (!pinned(hook.program)) state.missing.emplace_back(hook.program);
  // A module that was loaded since has armed its own probes; the ones that still wait are those of modules that never came.
  for (const auto& probe : probes)
    if (!pinned(probe.event)) state.missing.push_back(probe.event);
  state.waiting = waiting_probes(probes, *kallsyms);
  state.unwatched = absent_chokes(*kallsyms);
  state.armed = state.missing.empty() && ::access(kCallPin, F_OK) == 0;
  return state;
}

Result<int> gate_detach() {
  if (::geteuid() != 0) return fail(EPERM, "only root can detach the gate", "run as root: sudo holdfast gate detach");
  // Links first: nothing decides on half of its maps.
  HF_TRY_ASSIGN(int removed, remove_pins(kLinksDirectory));
  HF_TRY_ASSIGN(const int unfinished, remove_new_pins());
  removed += unfinished;
  if (::unlink(kCallPin) == 0)
    removed++;
  else if (errno != ENOENT)
    return sys_error(errno, "unlink", kCallPin);
  HF_TRY_ASSIGN(int maps, remove_pins(kMapsDirectory));
  removed += maps;
  if (::rmdir(kPinDirectory) != 0 && errno != ENOENT)
    return sys_error(errno, "rmdir", kPinDirectory, "something that is not Holdfast's is pinned there; move it away");
  if (::access("/sys/kernel/tracing/kprobe_events", W_OK) == 0) HF_TRY(remove_probes());
  return removed;
}

}  // namespace hf
