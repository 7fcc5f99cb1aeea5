// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "run.hpp"

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <system_error>

namespace lab {

const char* name_of(Verdict verdict) {
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

User find_user(const std::string& name) {
  const passwd* entry = getpwnam(name.c_str());
  if (!entry) throw std::runtime_error("no user " + name);
  return {name, entry->pw_uid, entry->pw_gid};
}

namespace {

struct Answer {
  int error;
  char detail[124];
};

[[noreturn]] void perform_in_child(const Operation& operation, const Subject& subject, const std::optional<User>& user, int answer_to) {
  alarm(60);
  Outcome outcome;
  if (user && (setgroups(0, nullptr) != 0 || setgid(user->gid) != 0 || setuid(user->uid) != 0)) {
    outcome = {errno, "becoming the user"};
  } else {
    outcome = operation.perform(subject);
  }
  Answer answer{outcome.error, {}};
  std::strncpy(answer.detail, outcome.detail.c_str(), sizeof answer.detail - 1);
  _exit(write(answer_to, &answer, sizeof answer) == sizeof answer ? 0 : 2);
}

}  // namespace

Attempt attempt(const Operation& operation, const Subject& subject, const std::optional<User>& user) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) throw std::system_error(errno, std::generic_category(), "pipe2");
  const hf::Fd reading(ends[0]);
  hf::Fd writing(ends[1]);
  const pid_t pid = fork();
  if (pid < 0) throw std::system_error(errno, std::generic_category(), "fork");
  if (pid == 0) perform_in_child(operation, subject, user, writing.get());
  writing.reset();
  Answer answer{};
  const bool answered = read(reading.get(), &answer, sizeof answer) == sizeof answer;
  int status = 0;
  waitpid(pid, &status, 0);
  if (answered) return {pid, {answer.error, answer.detail}};
  if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM) return {pid, {ETIMEDOUT, "it did not end within a minute"}};
  return {pid, {EPROTO, "the process ended without an answer"}};
}

void make_copy(const std::string& source, const std::string& destination) {
  const auto check = [](bool fine, const std::string& what) {
    if (!fine) throw std::system_error(errno, std::generic_category(), what);
  };
  const Open from(source, O_RDONLY);
  check(static_cast<bool>(from.fd), "open " + source);
  unlink(destination.c_str());
  const Open to(destination, O_RDWR | O_CREAT | O_EXCL, 0666);
  check(static_cast<bool>(to.fd), "create " + destination);
  check(fchmod(to.get(), 0666) == 0, "fchmod " + destination);
  struct stat status {};
  check(fstat(from.get(), &status) == 0, "fstat " + source);
  check(ftruncate(to.get(), status.st_size) == 0, "ftruncate " + destination);
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

}  // namespace lab
