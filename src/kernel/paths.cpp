// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "kernel/paths.hpp"

#include <fcntl.h>
#include <poll.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <climits>

namespace hf {
namespace {

constexpr std::size_t kMapsLimitBytes = 64 << 20;

/// Takes the next word off the front; fields of /proc are separated by runs of blanks.
std::string_view next_word(std::string_view& text) {
  text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
  const auto word = text.substr(0, text.find(' '));
  text.remove_prefix(word.size());
  return word;
}

/// Takes the next line off the front, without its newline.
std::string_view next_line(std::string_view& text) {
  const auto line = text.substr(0, text.find('\n'));
  text.remove_prefix(std::min(line.size() + 1, text.size()));
  return line;
}

template <class T>
bool to_number(std::string_view text, T& number, int base = 10) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, base);
  return error == std::errc{} && end == text.data() + text.size();
}

bool is_octal(char c) { return c >= '0' && c <= '7'; }

/// Undoes the kernel's mangle(): blank, tab, newline and backslash are written "\ooo".
std::string unmangle(std::string_view text) {
  std::string plain;
  plain.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); i++) {
    if (text[i] == '\\' && i + 3 < text.size() && is_octal(text[i + 1]) && is_octal(text[i + 2]) && is_octal(text[i + 3])) {
      plain += static_cast<char>((text[i + 1] - '0') << 6 | (text[i + 2] - '0') << 3 | (text[i + 3] - '0'));
      i += 3;
    } else {
      plain += text[i];
    }
  }
  return plain;
}

std::optional<Mount> parse_mount(std::string_view line) {
  next_word(line);  // mount id
  next_word(line);  // parent
  const auto numbers = next_word(line);
  const auto colon = numbers.find(':');
  std::uint32_t major = 0;
  std::uint32_t minor = 0;
  if (colon == std::string_view::npos || !to_number(numbers.substr(0, colon), major) || !to_number(numbers.substr(colon + 1), minor)) return {};
  Mount mount{.device = kernel_device(major, minor)};
  mount.root = unmangle(next_word(line));
  mount.point = unmangle(next_word(line));
  mount.flags = next_word(line);
  // Optional fields follow, as many as there are, up to a lone hyphen.
  for (auto word = next_word(line); word != "-"; word = next_word(line))
    if (word.empty()) return {};
  mount.type = unmangle(next_word(line));
  mount.source = unmangle(next_word(line));
  mount.options = unmangle(next_word(line));
  return mount;
}

/// @return the path relative to the mount's root, or none where the mount doesn't show it.
std::optional<std::string> below(const std::string& root, const std::string& inside) {
  if (root == "/") return inside;
  if (inside.compare(0, root.size(), root) != 0) return {};
  if (inside.size() != root.size() && inside[root.size()] != '/') return {};
  return inside.substr(root.size());
}

std::string join(const std::string& point, const std::string& path) {
  return point == "/" ? (path.empty() ? "/" : path) : (path == "/" ? point : point + path);
}

}  // namespace

std::string forward_path(std::string_view reversed, bool cut) {
  std::string path = cut ? "..." : "";
  for (bool more = true; more;) {
    const auto slash = reversed.rfind('/');
    more = slash != std::string_view::npos;
    const auto component = more ? reversed.substr(slash + 1) : reversed;
    if (!component.empty()) path.append("/").append(component);
    if (more) reversed = reversed.substr(0, slash);
  }
  return path.empty() ? "/" : path;
}

std::vector<Mount> parse_mountinfo(std::string_view text) {
  std::vector<Mount> mounts;
  while (!text.empty())
    if (auto mount = parse_mount(next_line(text))) mounts.push_back(std::move(*mount));
  return mounts;
}

MountTable::MountTable(std::string file) : file_(std::move(file)) {}

bool MountTable::changed() const {
  // mounts_poll() of the kernel: POLLERR | POLLPRI after any mount or unmount in this namespace.
  pollfd request{.fd = watch_.get(), .events = POLLPRI, .revents = 0};
  return ::poll(&request, 1, 0) > 0 && (request.revents & (POLLERR | POLLPRI));
}

const std::vector<Mount>& MountTable::mounts() {
  if (!watch_) watch_ = Fd(::open(file_.c_str(), O_RDONLY | O_CLOEXEC));
  if (!mounts_.empty() && !changed()) return mounts_;
  if (auto text = read_text(file_, kMapsLimitBytes)) mounts_ = parse_mountinfo(*text);
  return mounts_;
}

std::optional<Mount> MountTable::of_device(std::uint32_t device) {
  const Mount* best = nullptr;
  for (const auto& mount : mounts())
    if (mount.device == device && (!best || mount.root.size() < best->root.size())) best = &mount;
  return best ? std::optional(*best) : std::nullopt;
}

std::string MountTable::absolute(std::uint32_t device, const std::string& inside) {
  if (inside.empty() || inside[0] != '/') return inside;
  const Mount* best = nullptr;
  for (const auto& mount : mounts()) {
    if (mount.device != device || !below(mount.root, inside)) continue;
    if (!best || mount.root.size() < best->root.size()) best = &mount;
  }
  return best ? join(best->point, *below(best->root, inside)) : inside;
}

std::optional<Mapping> parse_mapping(std::string_view line) {
  Mapping mapping;
  const auto range = next_word(line);
  const auto hyphen = range.find('-');
  if (hyphen == std::string_view::npos) return {};
  if (!to_number(range.substr(0, hyphen), mapping.start, 16) || !to_number(range.substr(hyphen + 1), mapping.end, 16)) return {};
  const auto access = next_word(line);
  if (access.size() < 4) return {};
  mapping.writable = access[1] == 'w';
  mapping.executable = access[2] == 'x';
  mapping.shared = access[3] == 's';
  if (!to_number(next_word(line), mapping.offset_bytes, 16)) return {};
  next_word(line);  // st_dev, which is not s_dev on every filesystem
  if (!to_number(next_word(line), mapping.inode)) return {};
  line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
  mapping.path = unmangle(line);
  return mapping;
}

Result<std::vector<Mapping>> mappings_of(pid_t pid, std::uint64_t address, std::uint64_t length_bytes, const std::string& proc) {
  HF_TRY_ASSIGN(const std::string text, read_text(fmt::format("{}/{}/maps", proc, pid), kMapsLimitBytes));
  std::vector<Mapping> found;
  std::string_view rest = text;
  while (!rest.empty()) {
    auto mapping = parse_mapping(next_line(rest));
    if (!mapping || mapping->end <= address) continue;
    if (mapping->start >= address && mapping->start - address >= length_bytes) break;
    found.push_back(std::move(*mapping));
  }
  return found;
}

Result<Fd> open_mapping(pid_t pid, const Mapping& mapping, const std::string& proc) {
  const auto path = fmt::format("{}/{}/map_files/{:x}-{:x}", proc, pid, mapping.start, mapping.end);
  // O_NONBLOCK: another process's fcntl() lease on the file must not hold the daemon up.
  Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!fd) return sys_error(errno, "open", path);
  return fd;
}

Result<std::string> path_of_fd(int fd) {
  // Kept open: the way to it takes longer than the last step. Of this process: a child of fork() would see its parent's.
  static const Fd own(::open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC));
  const auto link = fmt::format_int(fd);
  std::array<char, PATH_MAX> target;
  const auto length = ::readlinkat(own.get(), link.c_str(), target.data(), target.size());
  if (length < 0) return sys_error(errno, "readlink", fmt::format("/proc/self/fd/{}", fd));
  return std::string(target.data(), static_cast<std::size_t>(length));
}

Result<std::string> read_text(const std::string& path, std::size_t limit_bytes) {
  Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return sys_error(errno, "open", path);
  std::string text;
  std::array<char, 16384> block;
  while (text.size() < limit_bytes) {
    const auto count = ::read(fd.get(), block.data(), std::min(block.size(), limit_bytes - text.size()));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return sys_error(errno, "read", path);
    if (count == 0) break;
    text.append(block.data(), static_cast<std::size_t>(count));
  }
  return text;
}

}  // namespace hf
