// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "cli/target_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <cstdlib>
#include <memory>

namespace hf::cli {

namespace {

Status check_kind(mode_t mode, const std::string& path) {
  if (S_ISREG(mode)) return {};
  if (S_ISDIR(mode)) return fail(EISDIR, fmt::format("{} is a directory; leases are on files", path), "Next: name the file in it that is to be held");
  const char* kind = S_ISBLK(mode) || S_ISCHR(mode) ? "a device" : S_ISFIFO(mode) ? "a pipe" : S_ISSOCK(mode) ? "a socket" : "not a file";
  const char* next =
      S_ISCHR(mode) ? "Next: name a file; a DAX device (devdax) has no filesystem that could move it, and needs no lease" : "Next: name a regular file";
  return fail(EOPNOTSUPP, fmt::format("{} is {}; only regular files have a layout that can be held", path, kind), next);
}

}  // namespace

Result<TargetFile> open_target(const std::string& path, bool write) {
  struct stat facts {};
  // Looked at before it is opened: opening a device or a pipe can do something.
  if (stat(path.c_str(), &facts) != 0) {
    if (errno == ENOENT || errno == ENOTDIR)
      return fail(errno, fmt::format("there is no file {}", path), "Next: check the name; the file must exist before it can be held");
    return sys_error(errno, "cannot look at", path, errno == EACCES ? "Next: run it as a user who may reach the file" : "");
  }
  HF_TRY(check_kind(facts.st_mode, path));
  TargetFile target;
  // A writable descriptor proves the right to write; an owner without it still has the right to a lease, which the daemon judges.
  if (write) target.fd = Fd(open(path.c_str(), O_RDWR | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!target.fd) target.fd = Fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!target.fd) return sys_error(errno, "cannot open", path, errno == EACCES ? "Next: run it as the file's owner, or as a user who may write it" : "");
  if (fstat(target.fd.get(), &facts) != 0) return sys_error(errno, "cannot look at", path);
  HF_TRY(check_kind(facts.st_mode, path));
  target.size_bytes = static_cast<std::uint64_t>(facts.st_size);
  const std::unique_ptr<char, decltype(&std::free)> absolute(realpath(path.c_str(), nullptr), std::free);
  target.path = absolute ? absolute.get() : path;
  return target;
}

}  // namespace hf::cli
