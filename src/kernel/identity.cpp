// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "kernel/identity.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>

#include "kernel/syscalls.hpp"

namespace hf {
namespace {

constexpr std::uint32_t kFlagIoWorker = 0x10;          // PF_IO_WORKER
constexpr std::uint32_t kFlagKernelThread = 0x200000;  // PF_KTHREAD
constexpr std::uint32_t kNoLogin = ~0u;
constexpr const char* kGone = "the kernel side could not read it and the process is gone";
constexpr const char* kKernelThreadHasNone = "a kernel thread has none";

/// A string of at most N bytes, ended by NUL or by the array.
template <std::size_t N>
std::string bounded(const char (&text)[N]) {
  return {text, ::strnlen(text, N)};
}

TaskKind kind_of(const hf_denial& denial) {
  if (denial.task_flags & kFlagIoWorker) return TaskKind::kIoUringWorker;
  return denial.task_flags & kFlagKernelThread ? TaskKind::kKernelThread : TaskKind::kUser;
}

Known<std::uint32_t> login_of(const hf_denial& denial) {
  if (denial.loginuid == kNoLogin) return Known<std::uint32_t>::not_known("not started from a login");
  return Known<std::uint32_t>::is(denial.loginuid);
}

std::vector<Ancestor> parents_of(const hf_denial& denial) {
  std::vector<Ancestor> parents;
  for (std::uint32_t i = 0; i < std::min<std::uint32_t>(denial.ancestors, HF_ANCESTORS); i++)
    parents.push_back({denial.ancestor[i].tgid, denial.ancestor[i].uid, bounded(denial.ancestor[i].comm)});
  return parents;
}

Known<SystemCall> system_call_of(const hf_denial& denial, TaskKind kind, const std::vector<std::string>& stack) {
  if (kind == TaskKind::kKernelThread) return Known<SystemCall>::not_known("a kernel thread makes no system calls");
  const auto opcode = kind == TaskKind::kIoUringWorker ? io_uring_opcode(static_cast<hf_op>(denial.op), stack) : std::string();
  if (kind == TaskKind::kIoUringWorker)
    return Known<SystemCall>::is({.number = -1, .name = "io_uring", .text = opcode.empty() ? "io_uring request" : opcode, .opcode = opcode});
  if (denial.syscall_nr < 0) return Known<SystemCall>::not_known("the kernel side saw no system call number");
  SystemCall call{.number = denial.syscall_nr, .compat = denial.compat != 0};
  std::array<std::uint64_t, 6> arguments;
  std::copy(std::begin(denial.syscall_args), std::end(denial.syscall_args), arguments.begin());
  call.name = syscall_name(call.number, call.compat);
  call.text = syscall_text(call.number, call.compat, arguments);
  if (call.name == "io_uring_enter") call.opcode = io_uring_opcode(static_cast<hf_op>(denial.op), stack);
  return Known<SystemCall>::is(std::move(call));
}

std::string works_for(const Breaker& breaker) {
  static const std::vector<std::string> kNone;
  if (breaker.kind == TaskKind::kIoUringWorker) return io_worker_work(breaker.thread_comm, breaker.pid, breaker.comm);
  if (breaker.kind == TaskKind::kKernelThread) return kernel_thread_work(breaker.comm, breaker.stack.value.value_or(kNone));
  return {};
}

/// The gate's programs, and the trampolines that lead to them, say nothing about the breaker.
bool is_gates_own(std::string_view frame) { return frame.starts_with("bpf_prog_") || frame.starts_with("bpf_trampoline_"); }

template <class T>
bool settled(const Known<T>& field, TaskKind kind) {
  return field.value || kind == TaskKind::kKernelThread;
}

std::int64_t modified_ns(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status)) return -1;
  return std::int64_t{status.st_mtim.tv_sec} * 1'000'000'000 + status.st_mtim.tv_nsec;
}

/// "name:password:uid:..." for every user.
std::map<std::uint32_t, std::string> parse_users(std::string_view text) {
  std::map<std::uint32_t, std::string> users;
  while (!text.empty()) {
    const auto line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    const auto name_end = line.find(':');
    const auto password_end = name_end == std::string_view::npos ? name_end : line.find(':', name_end + 1);
    if (password_end == std::string_view::npos) continue;
    std::uint32_t uid = 0;
    const auto [end, error] = std::from_chars(line.data() + password_end + 1, line.data() + line.size(), uid);
    if (error == std::errc{} && end != line.data() + line.size() && *end == ':') users.emplace(uid, line.substr(0, name_end));
  }
  return users;
}

}  // namespace

std::vector<std::string> split_arguments(std::string_view text) {
  std::vector<std::string> arguments;
  while (!text.empty()) {
    const auto argument = text.substr(0, text.find('\0'));
    arguments.emplace_back(argument);
    text.remove_prefix(std::min(argument.size() + 1, text.size()));
  }
  return arguments;
}

IdentityReader::IdentityReader(ProcessTable processes, std::string passwd_file) : processes_(std::move(processes)), passwd_file_(std::move(passwd_file)) {}

Breaker IdentityReader::complete(const hf_denial& denial) {
  Breaker breaker{
      .pid = denial.tgid, .tid = denial.tid, .uid = denial.uid, .gid = denial.gid, .euid = denial.euid, .start_ns = denial.start_ns, .kind = kind_of(denial)};
  const bool alive = processes_.is(static_cast<pid_t>(denial.tgid), denial.start_ns);
  breaker.thread_comm = bounded(denial.comm);
  breaker.comm = denial.leader_comm[0] ? bounded(denial.leader_comm) : breaker.thread_comm;
  breaker.user = user_name(denial.uid);
  breaker.login_uid = login_of(denial);
  breaker.executable = executable(denial, alive);
  breaker.command_line = command_line(denial, alive);
  breaker.parents = parents_of(denial);
  breaker.cgroup = cgroup(denial, alive);
  if (breaker.cgroup.value) breaker.owner = cgroup_owner(*breaker.cgroup.value);
  breaker.stack = stack(denial);
  breaker.system_call = system_call_of(denial, breaker.kind, breaker.stack.value.value_or(std::vector<std::string>{}));
  breaker.works_for = works_for(breaker);
  breaker.complete = settled(breaker.executable, breaker.kind) && settled(breaker.command_line, breaker.kind) && settled(breaker.system_call, breaker.kind) &&
                     breaker.cgroup.value && breaker.stack.value;
  return breaker;
}

Known<std::string> IdentityReader::user_name(std::uint32_t uid) {
  const auto modified = modified_ns(passwd_file_);
  if (modified != users_modified_ns_) {
    const auto text = read_text(passwd_file_);
    users_ = text ? parse_users(*text) : std::map<std::uint32_t, std::string>{};
    users_modified_ns_ = modified;
  }
  const auto found = users_.find(uid);
  if (found != users_.end()) return Known<std::string>::is(found->second);
  return Known<std::string>::not_known(fmt::format("no user {} in {}", uid, passwd_file_));
}

Known<std::string> IdentityReader::executable(const hf_denial& denial, bool alive) const {
  if (denial.task_flags & kFlagKernelThread) return Known<std::string>::not_known(kKernelThreadHasNone);
  const auto seen = bounded(denial.exe_path);
  const bool cut = denial.cut & HF_CUT_EXE;
  const auto captured = seen.empty() ? std::string() : forward_path(seen, cut);
  // /proc adds what the kernel side leaves out, the mount point, but only to the same executable: the process may have run another since.
  if (const auto link = alive ? processes_.link(static_cast<pid_t>(denial.tgid), "exe") : fail(ESRCH, "")) {
    constexpr std::string_view kDeleted = " (deleted)";
    const auto plain = link->ends_with(kDeleted) ? link->substr(0, link->size() - kDeleted.size()) : *link;
    const auto tail = std::string_view(captured).substr(cut && !captured.empty() ? std::string_view("...").size() : 0);
    if (plain.ends_with(tail)) return Known<std::string>::is(*link);
  }
  return captured.empty() ? Known<std::string>::not_known(kGone) : Known<std::string>::is(captured);
}

Known<std::vector<std::string>> IdentityReader::command_line(const hf_denial& denial, bool alive) const {
  using Line = Known<std::vector<std::string>>;
  if (denial.task_flags & kFlagKernelThread) return Line::not_known(kKernelThreadHasNone);
  const std::string captured(denial.argv, std::min<std::size_t>(denial.argv_bytes, sizeof(denial.argv)));
  const bool whole = !captured.empty() && !(denial.cut & HF_CUT_ARGV);
  if (!whole && alive) {
    const auto text = processes_.text(static_cast<pid_t>(denial.tgid), "cmdline");
    if (text && !text->empty() && text->compare(0, captured.size(), captured) == 0) return Line::is(split_arguments(*text));
  }
  if (captured.empty()) return Line::not_known(alive ? "the process has an empty command line" : kGone);
  auto arguments = split_arguments(captured);
  if (!whole && !arguments.empty()) arguments.back() += "...";
  return Line::is(std::move(arguments));
}

Known<std::string> IdentityReader::cgroup(const hf_denial& denial, bool alive) const {
  const auto captured = bounded(denial.cgroup_path);
  const bool cut = denial.cut & HF_CUT_CGROUP;
  // The path of the root cgroup is empty, so the id tells whether anything was captured.
  if (!cut && (!captured.empty() || denial.cgroup_id)) return Known<std::string>::is(forward_path(captured, false));
  if (const auto text = alive ? processes_.text(static_cast<pid_t>(denial.tgid), "cgroup") : fail(ESRCH, "")) {
    const auto at = text->compare(0, 3, "0::") == 0 ? 0 : text->find("\n0::");
    if (at != std::string::npos) {
      const auto first = text->find("::", at) + 2;
      return Known<std::string>::is(text->substr(first, text->find('\n', first) - first));
    }
  }
  return captured.empty() ? Known<std::string>::not_known(kGone) : Known<std::string>::is(forward_path(captured, cut));
}

Known<std::vector<std::string>> IdentityReader::stack(const hf_denial& denial) const {
  const auto depth = std::min<std::size_t>(denial.stack_bytes / sizeof(denial.stack[0]), HF_STACK_DEPTH);
  std::vector<std::string> frames;
  for (std::size_t i = 0; i < depth && denial.stack[i]; i++) {
    auto frame = symbols_.describe(denial.stack[i]);
    if (!is_gates_own(frame)) frames.push_back(std::move(frame));
  }
  if (frames.empty()) return Known<std::vector<std::string>>::not_known("the kernel side could not walk the call stack");
  return Known<std::vector<std::string>>::is(std::move(frames));
}

}  // namespace hf
