// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "daemon/static_holds.hpp"

#include <fcntl.h>
#include <glob.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstring>
#include <set>

namespace hf {
namespace {

constexpr std::size_t kFilesMax = 65536;

/// The folders that the administrator wrote out: up to the last '/' before the first wildcard.
std::string fixed_part(const std::string& pattern) { return pattern.substr(0, pattern.rfind('/', pattern.find_first_of("*?["))); }

Fd open_below(int folder, const std::string& rest, bool write) {
  open_how how{};
  // Settling writes; else the gate's view of the file needs no more than a reader's.
  how.flags = static_cast<__u64>(write ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  return Fd(static_cast<int>(::syscall(SYS_openat2, folder, rest.c_str(), &how, sizeof how)));
}

std::vector<std::string> names_of(const std::string& pattern) {
  std::vector<std::string> names;
  glob_t found{};
  if (::glob(pattern.c_str(), GLOB_NOSORT, nullptr, &found) == 0)
    for (std::size_t i = 0; i < found.gl_pathc && names.size() < kFilesMax; i++) names.emplace_back(found.gl_pathv[i]);
  ::globfree(&found);
  return names;
}

}  // namespace

std::vector<FoundFile> find_held_files(const std::vector<StaticHold>& holds) {
  std::vector<FoundFile> files;
  std::set<std::string> seen;
  for (const auto& hold : holds) {
    const auto fixed = fixed_part(hold.pattern);
    const Fd folder(::open(fixed.empty() ? "/" : fixed.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!folder) continue;
    for (const auto& path : names_of(hold.pattern)) {
      if (files.size() == kFilesMax || path.size() <= fixed.size() + 1 || !seen.insert(path).second) continue;
      auto file = open_below(folder.get(), path.substr(fixed.size() + 1), hold.settle);
      struct stat status {};
      if (!file || ::fstat(file.get(), &status) || !S_ISREG(status.st_mode)) continue;
      files.push_back({path, hold.settle, std::move(file)});
    }
  }
  return files;
}

}  // namespace hf
