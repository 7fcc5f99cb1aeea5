// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// The configuration's part that touches files; configuration.cpp has the meaning of what is in them.
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <map>
#include <memory>

#include "base/fd.hpp"
#include "base/write_file.hpp"
#include "daemon/configuration.hpp"

namespace hf {
namespace {

constexpr std::size_t kFileBytesMax = 1 << 20;
constexpr std::size_t kFilesMax = 256;

/// Whoever could have written it could have opened every seal.
Status check_owner(int fd, const std::string& path) {
  struct stat status {};
  if (::fstat(fd, &status)) return sys_error(errno, "stat", path);
  if (!S_ISREG(status.st_mode)) return fail(EINVAL, fmt::format("{} is not a file", path));
  const bool ours = status.st_uid == 0 || status.st_uid == ::geteuid();
  if (!ours || (status.st_mode & (S_IWGRP | S_IWOTH)))
    return fail(EPERM, fmt::format("{} could have been written by others than root", path), fmt::format("chown root {0}; chmod go-w {0}", path));
  return {};
}

Result<std::optional<SourceText>> read_source(const std::string& path) {
  const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!fd && errno == ENOENT) return std::nullopt;
  if (!fd) return sys_error(errno, "open", path);
  HF_TRY(check_owner(fd.get(), path));
  SourceText source{path, {}};
  std::array<char, 16384> block;
  for (ssize_t count; (count = ::read(fd.get(), block.data(), block.size())) != 0;) {
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return sys_error(errno, "read", path);
    source.text.append(block.data(), static_cast<std::size_t>(count));
    if (source.text.size() > kFileBytesMax) return fail(EFBIG, fmt::format("{} is larger than a configuration may be", path));
  }
  return source;
}

Result<std::vector<std::string>> drop_ins(const std::string& directory) {
  std::vector<std::string> names;
  const std::unique_ptr<DIR, int (*)(DIR*)> folder(::opendir(directory.c_str()), ::closedir);
  if (!folder && errno == ENOENT) return names;
  if (!folder) return sys_error(errno, "open", directory);
  while (const auto* entry = ::readdir(folder.get())) {
    const std::string name = entry->d_name;
    if (name[0] != '.' && name.ends_with(".toml")) names.push_back(directory + "/" + name);
  }
  if (names.size() > kFilesMax) return fail(E2BIG, fmt::format("{} has more than {} files", directory, kFilesMax));
  std::sort(names.begin(), names.end());
  return names;
}

/// "name:x:NUMBER:..." of a passwd(5) or group(5) file.
std::map<std::string, std::uint32_t, std::less<>> read_names(const std::string& file) {
  std::map<std::string, std::uint32_t, std::less<>> names;
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> stream(std::fopen(file.c_str(), "re"), std::fclose);
  if (!stream) return names;
  char* line = nullptr;
  std::size_t room = 0;
  while (::getline(&line, &room, stream.get()) > 0) {
    std::string_view rest = line;
    const auto name = rest.substr(0, rest.find(':'));
    rest.remove_prefix(std::min(name.size() + 1, rest.size()));
    rest.remove_prefix(std::min(rest.find(':') + 1, rest.size()));
    std::uint32_t number = 0;
    if (std::from_chars(rest.data(), rest.data() + rest.size(), number).ec == std::errc{}) names.emplace(name, number);
  }
  std::free(line);
  return names;
}

std::function<std::optional<std::uint32_t>(std::string_view)> lookup(const std::string& file) {
  return [names = read_names(file)](std::string_view name) -> std::optional<std::uint32_t> {
    std::uint32_t number = 0;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
    if (error == std::errc{} && end == name.data() + name.size()) return number;
    const auto found = names.find(name);
    return found == names.end() ? std::nullopt : std::optional(found->second);
  };
}

}  // namespace

Names Names::local(const std::string& passwd_file, const std::string& group_file) { return {lookup(passwd_file), lookup(group_file)}; }

Result<std::vector<SourceText>> read_sources(const std::string& directory) {
  std::vector<std::string> files{directory + "/holdfast.toml"};
  HF_TRY_ASSIGN(const auto more, drop_ins(directory + "/conf.d"));
  files.insert(files.end(), more.begin(), more.end());
  std::vector<SourceText> sources;
  for (const auto& file : files) {
    HF_TRY_ASSIGN(auto source, read_source(file));
    if (source) sources.push_back(std::move(*source));
  }
  return sources;
}

Status write_managed(const std::string& directory, const std::string& text) {
  const auto path = directory + "/" + kManagedFile;
  for (const auto& folder : {directory, directory + "/conf.d"})
    if (::mkdir(folder.c_str(), 0755) && errno != EEXIST) return sys_error(errno, "mkdir", folder);
  return replace_file(path, text, 0644);
}

}  // namespace hf
