// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// The readings of names that identity.hpp declares: cgroup paths, kernel threads, io_uring workers. Pure.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "kernel/identity.hpp"

namespace hf {
namespace {

constexpr std::size_t kContainerIdLength = 64;

bool is_hex(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

std::vector<std::string_view> components(std::string_view path) {
  std::vector<std::string_view> parts;
  while (!path.empty()) {
    const auto part = path.substr(0, path.find('/'));
    if (!part.empty()) parts.push_back(part);
    path.remove_prefix(std::min(part.size() + 1, path.size()));
  }
  return parts;
}

bool is_unit(std::string_view part) {
  constexpr std::string_view kSuffixes[] = {".service", ".scope", ".socket", ".mount", ".swap", ".timer"};
  return std::any_of(std::begin(kSuffixes), std::end(kSuffixes), [&](std::string_view suffix) { return part.ends_with(suffix); });
}

/// Kubernetes: "pod<uid>", or "kubepods-burstable-pod<uid with underscores>.slice" where systemd drives the cgroups.
std::string pod_uid(std::string_view part) {
  const bool slice = part.starts_with("kubepods") && part.ends_with(".slice");
  if (slice) part.remove_suffix(6);
  const auto at = slice ? part.rfind("-pod") : (part.starts_with("pod") ? 0 : std::string_view::npos);
  if (at == std::string_view::npos) return {};
  std::string uid(part.substr(at + (slice ? 4 : 3)));
  std::replace(uid.begin(), uid.end(), '_', '-');
  // "podman.service" is not a pod's.
  const bool is_uid = std::all_of(uid.begin(), uid.end(), [](char c) { return c == '-' || is_hex({&c, 1}); });
  return is_uid ? uid : std::string();
}

/// A container as its runtime names its cgroup: "docker-<id>.scope", "libpod-<id>.scope", "cri-containerd-<id>.scope", ...
std::optional<Container> container_scope(std::string_view part) {
  constexpr std::pair<std::string_view, std::string_view> kRuntimes[] = {
      {"docker-", "docker"},      {"libpod-payload-", "podman"}, {"libpod-", "podman"},   {"cri-containerd-", "containerd"}, {"crio-", "cri-o"},
      {"nerdctl-", "containerd"}, {"machine-", "nspawn"},        {"lxc.payload.", "lxc"}, {"lxc.monitor.", "lxc"},
  };
  for (const auto& [prefix, runtime] : kRuntimes) {
    if (!part.starts_with(prefix)) continue;
    auto id = part.substr(prefix.size());
    if (id.ends_with(".scope")) id.remove_suffix(6);
    const bool named = runtime == "nspawn" || runtime == "lxc";
    if (named || is_hex(id)) return Container{std::string(runtime), std::string(id), {}};
  }
  return {};
}

/// A bare 64-digit id under a folder of the runtime's: "/docker/<id>", "/kubepods/.../pod<uid>/<id>", "/system.slice/containerd/<id>".
std::optional<Container> container_folder(std::string_view part, std::string_view parent) {
  if (part.size() == kContainerIdLength && is_hex(part)) {
    if (parent == "docker") return Container{"docker", std::string(part), {}};
    if (parent == "libpod_parent" || parent.starts_with("libpod")) return Container{"podman", std::string(part), {}};
    return Container{"", std::string(part), {}};
  }
  if (parent == "lxc") return Container{"lxc", std::string(part), {}};
  return {};
}

}  // namespace

CgroupOwner cgroup_owner(std::string_view path) {
  CgroupOwner owner;
  std::string pod;
  std::string_view parent;
  for (const auto part : components(path)) {
    if (is_unit(part)) {
      // The system's manager owns the first unit on the way down; one below a user@.service belongs to that user's manager.
      if (owner.unit.empty())
        owner.unit = part;
      else if (owner.unit.starts_with("user@"))
        owner.user_unit = part;
    }
    if (auto uid = pod_uid(part); !uid.empty()) pod = std::move(uid);
    auto container = container_scope(part);
    if (!container) container = container_folder(part, parent);
    if (container) owner.container = std::move(container);
    parent = part;
  }
  if (!pod.empty() && !owner.container) owner.container = Container{};
  if (owner.container) owner.container->pod = pod;
  return owner;
}

std::string kernel_thread_work(std::string_view comm, const std::vector<std::string>& stack) {
  struct Work {
    std::string_view name;      // start of the thread's name
    std::string_view function;  // start of a function on its stack
    std::string_view words;
  };
  constexpr Work kWork[] = {
      {"nfsd", "nfsd", "the NFS server, for one of its clients"},
      {"ksmbd", "smb2_", "the SMB server (ksmbd), for one of its clients"},
      {"loop", "loop_", "a loop device whose backing file this is"},
      {"iscsi", "fd_execute_", "the SCSI target (LIO), for an initiator"},
      {"nvmet", "nvmet_", "the NVMe target, for a host"},
      {"vhost", "vhost_", "a virtual machine's device (vhost)"},
      {"jbd2", "jbd2_", "the ext4 journal"},
      {"xfs", "xfs_inodegc_", "XFS in the background"},
      {"kswapd", "shrink_node", "memory reclaim"},
      {"khugepaged", "khugepaged", "huge page collapse"},
      {"zloop", "zloop_", "a zoned loop device"},
      {"iou-sqp", "io_sq_thread", "the submission queue thread of an io_uring"},
      {"ovl", "ovl_", "overlayfs, for a task that uses it"},
  };
  // The stack says what it does now; a worker's name only what it is.
  for (const auto& frame : stack)
    for (const auto& work : kWork)
      if (frame.starts_with(work.function)) return std::string(work.words);
  for (const auto& work : kWork)
    if (comm.starts_with(work.name)) return std::string(work.words);
  if (comm.starts_with("kworker")) return "a work queue of the kernel; the call stack says whose";
  return {};
}

std::string io_worker_work(std::string_view comm, std::uint32_t pid, std::string_view process_comm) {
  const bool poller = comm.starts_with("iou-sqp-");
  if (!poller && !comm.starts_with("iou-wrk-")) return {};
  const auto id = comm.substr(8);
  if (poller) return fmt::format("process {} ({}): polls the submission queue of its io_uring", pid, process_comm);
  return fmt::format("process {} ({}): a request that its thread {} submitted to io_uring", pid, process_comm, id);
}

std::string io_uring_opcode(hf_op op, const std::vector<std::string>& stack) {
  constexpr std::pair<std::string_view, std::string_view> kHandlers[] = {
      {"io_fallocate", "IORING_OP_FALLOCATE"}, {"io_ftruncate", "IORING_OP_FTRUNCATE"},
      {"io_madvise", "IORING_OP_MADVISE"},     {"io_openat", "IORING_OP_OPENAT or IORING_OP_OPENAT2"},
      {"io_write", "IORING_OP_WRITE"},         {"io_splice", "IORING_OP_SPLICE"},
      {"io_uring_cmd", "IORING_OP_URING_CMD"},
  };
  for (const auto& frame : stack)
    for (const auto& [handler, opcode] : kHandlers)
      if (frame.starts_with(handler)) return std::string(opcode);
  switch (op) {
    case HF_OP_ZERO:
    case HF_OP_COLLAPSE:
    case HF_OP_INSERT:
    case HF_OP_UNSHARE:
    case HF_OP_WRITE_ZEROES:
    case HF_OP_FALLOCATE_NEW:
      return "IORING_OP_FALLOCATE";
    case HF_OP_PUNCH:
      return "IORING_OP_FALLOCATE or IORING_OP_MADVISE";
    case HF_OP_TRUNCATE:
      return "IORING_OP_FTRUNCATE or IORING_OP_OPENAT with O_TRUNC";
    default:
      return {};
  }
}

}  // namespace hf
