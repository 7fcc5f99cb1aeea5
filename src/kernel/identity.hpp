// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// Who the breaker is: an hf_denial completed into everything that a person asks about it.
//
// What the kernel side captured wins; /proc fills what is missing, and only where the process there is still the breaker (its start is the same). Every
// field that can be missing says why it is.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kern.h"
#include "kernel/kallsyms.hpp"
#include "kernel/paths.hpp"
#include "kernel/process.hpp"

namespace hf {

/// A value, or why there is none.
template <class T>
struct Known {
  std::optional<T> value;
  std::string missing;  ///< empty where there is a value

  static Known is(T value) { return {std::move(value), {}}; }
  static Known not_known(std::string why) { return {std::nullopt, std::move(why)}; }
};

enum class TaskKind { kUser, kKernelThread, kIoUringWorker };

struct Container {
  std::string runtime;  ///< "docker", "podman", "containerd", "cri-o", "lxc", "nspawn", or "" where only an id is there
  std::string id;
  std::string pod;  ///< Kubernetes pod uid; may be empty
};

/// What a cgroup's path says about whose it is.
struct CgroupOwner {
  std::string unit;       ///< systemd system unit; may be empty
  std::string user_unit;  ///< unit of a user's manager; may be empty
  std::optional<Container> container;
};

struct SystemCall {
  std::int64_t number = 0;
  std::string name;
  std::string text;    ///< with its arguments
  std::string opcode;  ///< of io_uring, where known
  bool compat = false;
};

struct Ancestor {
  std::uint32_t pid = 0;
  std::uint32_t uid = 0;
  std::string comm;
};

struct Breaker {
  std::uint32_t pid = 0;
  std::uint32_t tid = 0;
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::uint32_t euid = 0;
  std::uint64_t start_ns = 0;
  TaskKind kind = TaskKind::kUser;
  std::string works_for;  ///< for a kernel thread or io_uring worker: whose work it does
  std::string comm;       ///< of the process
  std::string thread_comm;
  Known<std::string> user;
  Known<std::uint32_t> login_uid;
  Known<std::string> executable;
  Known<std::vector<std::string>> command_line;
  std::vector<Ancestor> parents;  ///< the parent first
  Known<std::string> cgroup;
  CgroupOwner owner;
  Known<SystemCall> system_call;
  Known<std::vector<std::string>> stack;  ///< innermost function first

  /// Every field is there, or is missing for a reason that lies in the breaker (a kernel thread has no executable).
  bool complete = false;
};

/// The parts that need no system: each a pure reading of text.
CgroupOwner cgroup_owner(std::string_view path);
/// Whose work a kernel thread does, from its name and its call stack. @return "" where neither tells
std::string kernel_thread_work(std::string_view comm, const std::vector<std::string>& stack);
/// "iou-wrk-1234": a worker of thread 1234. @return "" where the name isn't one
std::string io_worker_work(std::string_view comm, std::uint32_t pid, std::string_view process_comm);
/// The io_uring opcode whose handler is on the stack, or that the operation implies. @return "" where neither tells
std::string io_uring_opcode(hf_op op, const std::vector<std::string>& stack);
std::vector<std::string> split_arguments(std::string_view nul_separated);

class IdentityReader {
 public:
  explicit IdentityReader(ProcessTable processes = ProcessTable(), std::string passwd_file = "/etc/passwd");

  /// Functions of the kernel for call stacks; until they are set, stacks are bare addresses.
  void set_symbols(Kallsyms symbols) { symbols_ = std::move(symbols); }

  Breaker complete(const hf_denial& denial);

  /// @return the user's name as the local user database has it. Directory services are not asked: they can block.
  Known<std::string> user_name(std::uint32_t uid);

 private:
  Known<std::string> executable(const hf_denial& denial, bool alive) const;
  Known<std::vector<std::string>> command_line(const hf_denial& denial, bool alive) const;
  Known<std::string> cgroup(const hf_denial& denial, bool alive) const;
  Known<std::vector<std::string>> stack(const hf_denial& denial) const;

  ProcessTable processes_;
  std::string passwd_file_;
  std::map<std::uint32_t, std::string> users_;
  std::int64_t users_modified_ns_ = -1;
  Kallsyms symbols_;
};

}  // namespace hf
