// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// A file that is replaced whole, or stays as it was.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <string>
#include <string_view>

#include "base/fd.hpp"
#include "base/result.hpp"

namespace hf {

/// Puts the text where path says, on the disk when it returns. Beside it stands PATH.new for that time; what stood there goes.
/// @param mode of the new file, whatever the umask
inline Status replace_file(const std::string& path, std::string_view text, mode_t mode) {
  const auto draft = path + ".new";
  const auto failed = [&](const char* what) {
    const int code = errno;
    ::unlink(draft.c_str());
    return sys_error(code, what, draft);
  };
  ::unlink(draft.c_str());
  const Fd fd(::open(draft.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode));
  if (!fd) return sys_error(errno, "open", draft);
  if (::fchmod(fd.get(), mode) != 0) return failed("chmod");
  while (!text.empty()) {
    const auto count = ::write(fd.get(), text.data(), text.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return failed("write");
    text.remove_prefix(static_cast<std::size_t>(count));
  }
  if (::fsync(fd.get()) != 0) return failed("fsync");
  if (std::rename(draft.c_str(), path.c_str()) != 0) return failed("rename");
  const auto parent = std::filesystem::path(path).parent_path();
  const Fd folder(::open(parent.empty() ? "." : parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (folder) (void)::fsync(folder.get());
  return {};
}

}  // namespace hf
