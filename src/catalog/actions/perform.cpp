// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "catalog/actions/perform.hpp"

#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <system_error>

namespace hf::actions {

namespace {

constexpr std::array kRoutes{Route::user,   Route::root,     Route::early,   Route::reopen,  Route::ring,  Route::ring_worker,
                             Route::compat, Route::mount_ns, Route::user_ns, Route::overlay, Route::holder};

std::string folder_of(const std::string& path) { return path.substr(0, path.rfind('/')); }
std::string base_of(const std::string& path) { return path.substr(path.rfind('/') + 1); }

// ---- what a route does to the acting process

Status become(const User& user) {
  if (setgroups(0, nullptr) != 0 || setgid(user.gid) != 0 || setuid(user.uid) != 0) return sys_error(errno, "becoming", user.name);
  return {};
}

Status own_mounts() {
  if (unshare(CLONE_NEWNS) != 0) return sys_error(errno, "unshare", "CLONE_NEWNS");
  if (mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return sys_error(errno, "mount", "private /");
  return {};
}

/// The same files below another mount point.
void move_to(Subject& subject, const std::string& mount_point) {
  subject.file = mount_point + "/" + base_of(subject.file);
  if (!subject.donor.empty()) subject.donor = mount_point + "/" + base_of(subject.donor);
}

std::string mount_point_of(const Subject& subject) { return subject.scratch + "/mount"; }

Status bind(Subject& subject) {
  const std::string point = mount_point_of(subject);
  if (mount(folder_of(subject.file).c_str(), point.c_str(), nullptr, MS_BIND, nullptr) != 0) return sys_error(errno, "bind mount", point);
  move_to(subject, point);
  return {};
}

Status write_text(const char* path, const std::string& text) {
  const hf::Fd fd(open(path, O_WRONLY | O_CLOEXEC));
  if (!fd || write(fd.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) return sys_error(errno, "write", path);
  return {};
}

Status own_users() {
  const uid_t uid = geteuid();
  const gid_t gid = getegid();
  // A process that has changed its user may not write its own maps otherwise.
  prctl(PR_SET_DUMPABLE, 1);
  if (unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) return sys_error(errno, "unshare", "CLONE_NEWUSER");
  HF_TRY(write_text("/proc/self/setgroups", "deny"));
  HF_TRY(write_text("/proc/self/uid_map", fmt::format("0 {} 1", uid)));
  HF_TRY(write_text("/proc/self/gid_map", fmt::format("0 {} 1", gid)));
  return {};
}

Status overlay(Subject& subject) {
  const std::string point = mount_point_of(subject);
  const std::string options = fmt::format("lowerdir={0}/lower,upperdir={1},workdir={0}/work", subject.scratch, folder_of(subject.file));
  if (mount("overlay", point.c_str(), "overlay", 0, options.c_str()) != 0) return sys_error(errno, "mount overlay", point);
  move_to(subject, point);
  return {};
}

Status reopen(Subject& subject) {
  const int fd = open(subject.file.c_str(), O_PATH | O_CLOEXEC);
  if (fd < 0) return sys_error(errno, "open O_PATH", subject.file);
  subject.file = fmt::format("/proc/self/fd/{}", fd);  // stays open for as long as this process lives
  return {};
}

Status take_route(const Task& task, Subject& subject) {
  const bool as_user = task.user && !task.action.is(kNeedsRoot) && task.route != Route::root && task.route != Route::holder;
  switch (task.route) {
    case Route::mount_ns:
      HF_TRY(own_mounts());
      HF_TRY(bind(subject));
      break;
    case Route::overlay:
      HF_TRY(own_mounts());
      HF_TRY(overlay(subject));
      break;
    case Route::compat:
      subject.calls = &compat_calls();
      break;
    case Route::ring:
    case Route::ring_worker:
      subject.calls = &ring_calls(task.route == Route::ring_worker);
      break;
    default:
      break;
  }
  if (task.route != Route::early) subject.early = -1;
  if (as_user) HF_TRY(become(*task.user));
  if (task.route == Route::reopen) HF_TRY(reopen(subject));
  if (task.route == Route::user_ns) {
    HF_TRY(own_users());
    HF_TRY(bind(subject));
  }
  return {};
}

struct Answer {
  int error;
  bool reached;
  char detail[123];
};

[[noreturn]] void perform_in_child(const Task& task, int answer_to) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  Answer answer{};
  std::string detail;
  Subject subject = task.subject;
  Status ready = task.first ? task.first() : Status();
  if (ready) ready = take_route(task, subject);
  if (!ready) {
    answer.error = ready.error().code;
    detail = ready.error().message;
  } else {
    const Outcome outcome = task.action.perform(subject);
    answer.reached = true;
    answer.error = outcome.error;
    detail = outcome.detail;
  }
  std::strncpy(answer.detail, detail.c_str(), sizeof answer.detail - 1);
  _exit(write(answer_to, &answer, sizeof answer) == sizeof answer ? 0 : 2);
}

/// Waits for the end of a child that should be at its end, and then kills it. A task that the kernel does not let go stays.
int reap(pid_t pid, int bound_ms) {
  int status = 0;
  const hf::Fd process(static_cast<int>(syscall(434, pid, 0)));  // pidfd_open(2)
  pollfd ended{process.get(), POLLIN, 0};
  if (poll(&ended, 1, bound_ms) == 0) {
    kill(pid, SIGKILL);
    if (poll(&ended, 1, 5000) == 0) return -1;
  }
  waitpid(pid, &status, 0);
  return status;
}

}  // namespace

std::span<const Route> routes() { return kRoutes; }

std::string_view name(Route route) {
  switch (route) {
    case Route::user:
      return "user";
    case Route::root:
      return "root";
    case Route::early:
      return "early";
    case Route::reopen:
      return "reopen";
    case Route::ring:
      return "io_uring";
    case Route::ring_worker:
      return "io_uring-worker";
    case Route::compat:
      return "compat";
    case Route::mount_ns:
      return "mount-ns";
    case Route::user_ns:
      return "user-ns";
    case Route::overlay:
      return "overlay";
    case Route::holder:
      return "holder";
  }
  return "?";
}

std::string_view description(Route route) {
  switch (route) {
    case Route::user:
      return "another user with write permission";
    case Route::root:
      return "root";
    case Route::early:
      return "by a descriptor opened before the lease";
    case Route::reopen:
      return "by /proc/self/fd of an O_PATH descriptor";
    case Route::ring:
      return "through io_uring";
    case Route::ring_worker:
      return "through io_uring, by a worker thread";
    case Route::compat:
      return "as a 32-bit program";
    case Route::mount_ns:
      return "by a bind mount in another mount namespace";
    case Route::user_ns:
      return "as root of a user namespace";
    case Route::overlay:
      return "through overlayfs above the file";
    case Route::holder:
      return "the process that holds the lease";
  }
  return "?";
}

bool applies(Route route, const Action& action) {
  // What must stay legal is tried once, and by the holder.
  if (action.kind == Kind::control) return route == (action.is(kNeedsRoot) ? Route::root : Route::user) || route == Route::holder;
  if (action.is(kOnlyOverlay)) return route == Route::overlay;
  switch (route) {
    case Route::user:
      return !action.is(kNeedsRoot);
    case Route::root:
      return true;
    case Route::early:
      return !action.is(kByPath) && !action.is(kInPlace) && !action.is(kNoWriter);
    case Route::reopen:
    case Route::mount_ns:
      return !action.is(kInPlace);
    case Route::ring:
    case Route::ring_worker:
      return action.is(kByRing);
    case Route::compat:
#if defined(__x86_64__)
      return !action.is(kOwnCalls) && !action.is(kNoCompat);
#else
      return false;
#endif
    case Route::user_ns:
      return !action.is(kInPlace) && !action.is(kNeedsRoot);
    case Route::overlay:
      return !action.is(kInPlace) && !action.is(kNoOverlay);
    case Route::holder:
      return !action.is(kBefore);
  }
  return false;
}

Needs needs(Route route, const Action& action) {
  const bool ring = route == Route::ring || route == Route::ring_worker;
  return action.needs == Needs::ring_ftruncate && !ring ? Needs::nothing : action.needs;
}

std::string_view name(Verdict verdict) {
  switch (verdict) {
    case Verdict::allowed:
      return "allowed";
    case Verdict::refused:
      return "refused";
    case Verdict::cannot_run:
      return "cannot run";
    case Verdict::failed:
      return "denied otherwise";
  }
  return "?";
}

Verdict judge(const Outcome& outcome) {
  switch (outcome.error) {
    case 0:
      return Verdict::allowed;
    case ETXTBSY:
    case EDEADLK:
      return Verdict::refused;
    case EOPNOTSUPP:
    case ENOTTY:
    case EINVAL:
    case ENOSYS:
      return Verdict::cannot_run;
    default:
      return Verdict::failed;
  }
}

Result<User> find_user(const std::string& name) {
  const passwd* entry = getpwnam(name.c_str());
  if (!entry) return fail(ENOENT, "no user " + name);
  return User{name, entry->pw_uid, entry->pw_gid};
}

Attempt attempt(const Task& task) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) throw std::system_error(errno, std::generic_category(), "pipe2");
  const hf::Fd reading(ends[0]);
  hf::Fd writing(ends[1]);
  const pid_t pid = fork();
  if (pid < 0) throw std::system_error(errno, std::generic_category(), "fork");
  if (pid == 0) perform_in_child(task, writing.get());
  writing.reset();
  pollfd interest{reading.get(), POLLIN, 0};
  Answer answer{};
  const bool in_time = poll(&interest, 1, task.bound_s * 1000) != 0;
  const bool answered = in_time && read(reading.get(), &answer, sizeof answer) == sizeof answer;
  const int status = reap(pid, in_time ? 5000 : 0);
  if (answered) return {pid, {answer.error, answer.detail}, answer.reached};
  if (!in_time) return {pid, {ETIMEDOUT, fmt::format("it did not end within {} s", task.bound_s)}};
  // int 0x80 where the kernel has no 32-bit programs.
  if (task.route == Route::compat && status >= 0 && WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV)
    return {pid, {ENOSYS, "this kernel runs no 32-bit programs"}, false};
  return {pid, {EPROTO, "the process ended without an answer"}};
}

void make_copy(const std::string& source, const std::string& destination) {
  const auto check = [](bool fine, const std::string& what) {
    if (!fine) throw std::system_error(errno, std::generic_category(), what);
  };
  const hf::Fd from(open(source.c_str(), O_RDONLY | O_CLOEXEC));
  check(static_cast<bool>(from), "open " + source);
  unlink(destination.c_str());
  const hf::Fd to(open(destination.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
  check(static_cast<bool>(to), "create " + destination);
  check(fchmod(to.get(), 0666) == 0, "fchmod " + destination);
  struct stat status {};
  check(fstat(from.get(), &status) == 0, "fstat " + source);
  // In one piece, where the filesystem can: XFS_IOC_SWAPEXT takes no donor with more extents than its target.
  if (status.st_size == 0 || fallocate(to.get(), 0, 0, status.st_size) != 0) check(ftruncate(to.get(), status.st_size) == 0, "ftruncate " + destination);
  const auto size = static_cast<std::size_t>(status.st_size);
  if (size == 0) return;
  // By mapping, because hugetlbfs has no write(2). MAP_POPULATE would allocate unwritten blocks only.
  void* in = mmap(nullptr, size, PROT_READ, MAP_SHARED, from.get(), 0);
  check(in != MAP_FAILED, "mmap " + source);
  void* out = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, to.get(), 0);
  check(out != MAP_FAILED, "mmap " + destination);
  std::memcpy(out, in, size);
  munmap(in, size);
  munmap(out, size);
  fsync(to.get());
}

}  // namespace hf::actions
