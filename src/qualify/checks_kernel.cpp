// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// Kernel: can it refuse at all, does it let the gate's programs run, and what does it break that nothing refuses?
#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "qualify/checks.hpp"

namespace hf::qualify {

namespace {

Finding bpf_lsm(const Facts& facts) {
  const auto& support = facts.kernel.support;
  Finding finding{
      .id = "kernel.bpf-lsm", .what = "BPF is among the active security modules", .evidence = {"/sys/kernel/security/lsm: " + support.lsm_list}, .mends = {}};
  if (support.bpf_lsm) return finding;
  finding.mark = Mark::fail;
  if (support.lsm_list.empty()) {
    finding.evidence = {"/sys/kernel/security/lsm can't be read"};
    finding.mends = {"mount -t securityfs securityfs /sys/kernel/security"};
  } else {
    finding.mends = {fmt::format("boot with lsm={},bpf: add it to GRUB_CMDLINE_LINUX in /etc/default/grub, then update-grub && reboot", support.lsm_list)};
  }
  return finding;
}

Finding btf(const Facts& facts) {
  Finding finding{.id = "kernel.btf", .what = "the kernel has type information for BPF", .evidence = {"/sys/kernel/btf/vmlinux"}, .mends = {}};
  if (facts.kernel.support.btf) return finding;
  finding.mark = Mark::fail;
  finding.evidence = {"/sys/kernel/btf/vmlinux is not there"};
  finding.mends = {"boot a kernel with CONFIG_DEBUG_INFO_BTF=y; those of distributions have it"};
  return finding;
}

Finding trampolines(const Facts& facts) {
  const auto enabled = facts.kernel.ftrace_enabled;
  Finding finding{.id = "kernel.trampolines", .what = "BPF programs may be attached to kernel functions", .evidence = {}, .mends = {}};
  if (!enabled) {
    finding.mark = Mark::risk;
    finding.evidence = {"this kernel has no kernel.ftrace_enabled: whether programs can be attached shows when the gate is armed"};
    return finding;
  }
  finding.evidence = {fmt::format("kernel.ftrace_enabled = {}", *enabled ? 1 : 0)};
  if (*enabled) return finding;
  finding.mark = Mark::fail;
  finding.evidence.push_back("with 0 the kernel calls no program at its functions: hooks that are attached stay silent");
  finding.mends = {"sysctl -w kernel.ftrace_enabled=1"};
  finding.fixes = {{Fix::Kind::sysctl, "kernel.ftrace_enabled", "1"}};
  return finding;
}

Finding lockdown(const Facts& facts) {
  const auto& mode = facts.kernel.support.lockdown;
  Finding finding{.id = "kernel.lockdown",
                  .what = "lockdown lets BPF read kernel memory",
                  .evidence = {"lockdown: " + (mode.empty() ? "not in this kernel" : mode)},
                  .mends = {}};
  if (mode != "confidentiality") return finding;
  finding.mark = Mark::fail;
  finding.mends = {"boot with lockdown=integrity, or without it"};
  return finding;
}

Finding filesystems(const Facts& facts) {
  const auto& support = facts.kernel.support;
  Finding finding{.id = "kernel.bpffs",
                  .what = "the gate can outlive its daemon, and registrations can be observed",
                  .evidence = {"/sys/fs/bpf, /sys/kernel/tracing"},
                  .mends = {}};
  if (!support.bpffs) finding.mends.emplace_back("mount -t bpf bpf /sys/fs/bpf");
  if (!support.tracefs) finding.mends.emplace_back("mount -t tracefs tracefs /sys/kernel/tracing");
  if (finding.mends.empty()) return finding;
  finding.mark = Mark::fail;
  finding.evidence.clear();
  if (!support.bpffs) finding.evidence.emplace_back("/sys/fs/bpf is not mounted");
  if (!support.tracefs) finding.evidence.emplace_back("/sys/kernel/tracing is not mounted");
  return finding;
}

/// Of Linux X.Y: what is known to go wrong there, and was seen in the lab.
struct KnownKernel {
  int first, end;  ///< versions as major * 1000 + minor: from `first`, before `end`
  Mark mark;
  std::string_view what, mend;
  std::uint8_t kinds;
};
constexpr int kOldest = 6001;
constexpr std::array kKnownKernels{
    KnownKernel{0, kOldest, Mark::fail, "Holdfast does not know kernels before 6.1", "boot Linux 6.1 or later", kAllKinds},
    KnownKernel{kOldest, 6002, Mark::risk, "before 6.2 a region over a read-only mapping of a file is refused with EFAULT",
                "map files writable where they are registered, or boot Linux 6.2 or later", kDax | kPageCache},
    KnownKernel{6005, 9999, Mark::risk, "from 6.5 on a writable region over the page cache is refused without ODP",
                "use an adapter with ODP, or DAX, tmpfs or hugetlbfs for files that are written by adapters", kPageCache},
};

int version_of(std::string_view release) {
  int major = 0, minor = 0;
  const auto* end = release.data() + release.size();
  const auto [dot, error] = std::from_chars(release.data(), end, major);
  if (error != std::errc{} || dot == end || *dot != '.' || std::from_chars(dot + 1, end, minor).ec != std::errc{}) return 0;
  return major * 1000 + minor;
}

Finding version(const Facts& facts) {
  Finding finding{.id = "kernel.version",
                  .what = "nothing is known against this kernel",
                  .evidence = {"Linux " + facts.kernel.support.release + " " + facts.kernel.version},
                  .mends = {}};
  const int version = version_of(facts.kernel.support.release);
  for (const auto& known : kKnownKernels) {
    if (version < known.first || version >= known.end || !(known.kinds & (facts.filesystem.kind ? facts.filesystem.kind : kAllKinds))) continue;
    if (finding.mark != Mark::fail) finding.mark = known.mark;
    finding.evidence.emplace_back(known.what);
    finding.mends.emplace_back(known.mend);
  }
  return finding;
}

Finding catalogue(const Facts& facts) {
  const auto& wrong = facts.kernel.wrong_functions;
  Finding finding{.id = "kernel.catalogue", .what = "every function that the catalogue names is in this kernel", .evidence = {}, .mends = {}};
  const auto here = std::count_if(facts.kernel.sources.begin(), facts.kernel.sources.end(), [](const SourceHere& one) { return one.here; });
  finding.evidence = {fmt::format("{} of {} break sources exist here", here, facts.kernel.sources.size())};
  if (wrong.empty()) return finding;
  finding.mark = Mark::fail;
  finding.evidence.push_back(fmt::format("not there: {}", fmt::join(wrong, ", ")));
  finding.mends = {"holdfast sources --kernel-check says more; use a Holdfast that knows this kernel, or a kernel that this one knows"};
  return finding;
}

/// Sources that no hook can refuse and that have a check of their own, which says whether their cause is here.
constexpr std::array<std::string_view, 7> kCheckedApart{"zone-gc",     "loop-discard", "overlay-splice", "target-unmap", "stacked-attributes",
                                                        "pnfs-layout", "online-repair"};

Finding open_sources(const Facts& facts) {
  Finding finding{.id = "kernel.open-sources", .what = "no source that exists here is beyond refusal", .evidence = {}, .mends = {}};
  for (const auto& [source, here] : facts.kernel.sources) {
    if (!here || source->verdict != hf::Verdict::observed || !(source->kinds & facts.filesystem.kind)) continue;
    if (std::find(kCheckedApart.begin(), kCheckedApart.end(), source->id) != kCheckedApart.end()) continue;
    if (source->id == "device-write" && !facts.kernel.bdev_write_mounted) continue;
    finding.mark = Mark::risk;
    finding.evidence.push_back(fmt::format("{}: {}", source->id, source->description));
    if (source->administrator != "none needed") finding.mends.push_back(fmt::format("{}: {}", source->id, source->administrator));
  }
  if (finding.evidence.empty()) finding.evidence = {"none that touches files of this filesystem"};
  return finding;
}

constexpr std::array kChecks{Check{bpf_lsm},     Check{btf},     Check{trampolines}, Check{lockdown},
                             Check{filesystems}, Check{version}, Check{catalogue},   Check{open_sources}};

}  // namespace

std::span<const Check> kernel_checks() { return kChecks; }

}  // namespace hf::qualify
