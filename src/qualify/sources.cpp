// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "qualify/sources.hpp"

#include <bpf/btf.h>
#include <sys/utsname.h>

#include <algorithm>
#include <fstream>
#include <memory>
#include <sstream>

namespace hf::qualify {

namespace {

/// "a.cold", "a.isra.0": the compiler's parts of a.
std::string base_of(const std::string& function) { return function.substr(0, function.find('.')); }

/// The names of "kernel/fs/xfs/xfs.ko.xz: ..." lines, with '_' for '-' as in the kernel.
void read_module_list(const std::string& path, std::unordered_set<std::string>& modules) {
  std::ifstream file(path);
  std::string line;
  while (std::getline(file, line)) {
    std::string file_name = line.substr(0, line.find(':'));
    file_name = file_name.substr(file_name.rfind('/') + 1);
    std::string module = file_name.substr(0, file_name.find(".ko"));
    std::ranges::replace(module, '-', '_');
    modules.insert(std::move(module));
  }
}

void read_btf(const std::string& path, std::unordered_set<std::string>& functions) {
  const std::unique_ptr<btf, decltype(&btf__free)> kernel(btf__parse(path.c_str(), nullptr), btf__free);
  if (!kernel) return;
  const __u32 count = btf__type_cnt(kernel.get());
  for (__u32 id = 1; id < count; id++) {
    const btf_type* type = btf__type_by_id(kernel.get(), id);
    if (btf_is_func(type)) functions.insert(btf__name_by_offset(kernel.get(), type->name_off));
  }
}

// Hooks of the gate. It does without those that a kernel has not, where another one sees the same.
struct Hook {
  std::string_view function;
  bool required;
};
constexpr Hook kHooks[] = {
    {"bpf_lsm_inode_setattr", true},       {"bpf_lsm_file_permission", true}, {"bpf_lsm_file_ioctl", true},   {"bpf_lsm_file_ioctl_compat", false},
    {"bpf_lsm_inode_file_setattr", false}, {"vfs_fallocate", true},           {"vfs_clone_file_range", true}, {"vfs_dedupe_file_range_one", true},
    {"vfs_copy_file_range", true},         {"notify_change", true},
};

}  // namespace

std::string_view name(Presence presence) {
  switch (presence) {
    case Presence::here:
      return "here";
    case Presence::not_loaded:
      return "module not loaded";
    case Presence::absent:
      return "not in this kernel";
    case Presence::unknown:
      return "cannot be asked";
  }
  return "?";
}

Result<KernelView> KernelView::read(const std::string& root) {
  KernelView view;
  utsname kernel{};
  uname(&kernel);
  view.release_ = kernel.release;
  const std::string path = root + "/proc/kallsyms";
  std::ifstream symbols(path);
  if (!symbols) return sys_error(errno, "open", path);
  std::string line, address, kind, function, module;
  while (std::getline(symbols, line)) {
    std::istringstream words(line);
    module.clear();
    words >> address >> kind >> function >> module;
    if (kind.empty() || std::string_view("tTwW").find(kind[0]) == std::string_view::npos) continue;
    if (module.size() > 2) module = module.substr(1, module.size() - 2);  // "[xfs]"
    view.functions_[module].insert(base_of(function));
  }
  if (view.functions_.empty()) return fail(ENODATA, fmt::format("{} lists no functions", path));
  const std::string modules = fmt::format("{}/lib/modules/{}/", root, view.release_);
  read_module_list(modules + "modules.dep", view.modules_);
  read_module_list(modules + "modules.builtin", view.modules_);
  read_btf(root + "/sys/kernel/btf/vmlinux", view.btf_functions_);
  return view;
}

Presence KernelView::presence(std::string_view part) const {
  // The best of the alternatives.
  Presence best = Presence::unknown;
  bool first = true;
  while (!part.empty()) {
    const auto bar = part.find('|');
    const Presence found = presence_of_one(part.substr(0, bar));
    if (first || found < best) best = found;
    first = false;
    part = bar == std::string_view::npos ? std::string_view() : part.substr(bar + 1);
  }
  return best;
}

Presence KernelView::presence_of_one(std::string_view part) const {
  if (part.starts_with('?')) return Presence::unknown;
  const auto colon = part.find(':');
  const std::string module(colon == std::string_view::npos ? "" : part.substr(0, colon));
  const std::string function(colon == std::string_view::npos ? part : part.substr(colon + 1));
  // What is a module here can be part of the kernel elsewhere.
  for (const std::string& where : {module, std::string()}) {
    const auto functions = functions_.find(where);
    if (functions != functions_.end() && functions->second.contains(function)) return Presence::here;
  }
  if (module.empty() || functions_.contains(module)) return Presence::absent;
  return modules_.contains(module) ? Presence::not_loaded : Presence::absent;
}

bool KernelView::has_module_of(std::string_view part) const {
  const auto colon = part.find(':');
  if (colon == std::string_view::npos) return true;
  const std::string module(part.substr(0, colon));
  return functions_.contains(module) || modules_.contains(module);
}

Presence presence(const BreakSource& source, const KernelView& kernel) { return source.needs.empty() ? Presence::here : kernel.presence(source.needs); }

std::vector<KernelFinding> check_kernel(const KernelView& kernel) {
  std::vector<KernelFinding> findings;
  for (const BreakSource& source : break_sources()) {
    if (presence(source, kernel) != Presence::here) continue;
    for (std::string_view part : source.functions) {
      const Presence found = kernel.presence(part);
      findings.push_back({fmt::format("{}: {}", source.id, part), found, found == Presence::absent && kernel.has_module_of(part)});
    }
  }
  for (const Hook& hook : kHooks) {
    const bool there = kernel.presence(hook.function) == Presence::here && (!kernel.has_btf() || kernel.in_btf(hook.function));
    findings.push_back({fmt::format("gate: {}", hook.function), there ? Presence::here : Presence::absent, !there && hook.required});
  }
  return findings;
}

}  // namespace hf::qualify
