// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// What this kernel lets Holdfast do, asked of the kernel and not of its version.
#include <linux/magic.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <fstream>
#include <sstream>

#include "kernel/gate.hpp"

namespace hf {
namespace {

std::string first_line(const char* path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

bool is_filesystem(const char* path, long magic) {
  struct statfs fs {};
  return ::statfs(path, &fs) == 0 && static_cast<long>(fs.f_type) == magic;
}

/// "none [integrity] confidentiality" → "integrity"
std::string chosen(const std::string& line) {
  auto open = line.find('['), close = line.find(']');
  return open == std::string::npos || close == std::string::npos ? std::string{} : line.substr(open + 1, close - open - 1);
}

bool has_word(const std::string& list, const std::string& word) {
  std::istringstream words(list);
  for (std::string each; std::getline(words, each, ',');)
    if (each == word) return true;
  return false;
}

}  // namespace

KernelSupport probe_kernel_support() {
  KernelSupport support;
  support.root = ::geteuid() == 0;
  support.btf = ::access("/sys/kernel/btf/vmlinux", R_OK) == 0;
  support.lsm_list = first_line("/sys/kernel/security/lsm");
  support.bpf_lsm = has_word(support.lsm_list, "bpf");
  support.lockdown = chosen(first_line("/sys/kernel/security/lockdown"));
  support.bpffs = is_filesystem("/sys/fs/bpf", BPF_FS_MAGIC);
  support.tracefs = is_filesystem("/sys/kernel/tracing", TRACEFS_MAGIC);
  struct utsname name {};
  if (::uname(&name) == 0) support.release = name.release;
  return support;
}

Status KernelSupport::usable() const {
  if (!root) return fail(EPERM, "the gate needs root", "run holdfastd as root (sudo holdfastd, or systemctl start holdfastd)");
  if (!btf)
    return fail(ENOTSUP, fmt::format("kernel {} has no type information (/sys/kernel/btf/vmlinux)", release),
                "use a kernel built with CONFIG_DEBUG_INFO_BTF=y; distribution kernels are");
  if (lsm_list.empty())
    return fail(ENOTSUP, "the list of security modules can't be read (/sys/kernel/security/lsm)", "mount -t securityfs securityfs /sys/kernel/security");
  if (!bpf_lsm)
    return fail(ENOTSUP, fmt::format("BPF is not among this kernel's active security modules ({}), so nothing can be refused", lsm_list),
                fmt::format("boot with lsm={},bpf (in GRUB_CMDLINE_LINUX of /etc/default/grub, then update-grub and reboot)", lsm_list));
  if (lockdown == "confidentiality")
    return fail(EPERM, "kernel lockdown is at 'confidentiality', which keeps BPF from reading kernel memory", "boot with lockdown=integrity or without it");
  if (!bpffs) return fail(ENOTSUP, "/sys/fs/bpf is not a BPF filesystem, so the gate could not outlive the daemon", "mount -t bpf bpf /sys/fs/bpf");
  if (!tracefs)
    return fail(ENOTSUP, "/sys/kernel/tracing is not mounted, so RDMA registrations can't be observed", "mount -t tracefs tracefs /sys/kernel/tracing");
  return {};
}

}  // namespace hf
