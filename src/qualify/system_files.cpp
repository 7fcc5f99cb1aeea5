// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "qualify/system_files.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "base/fd.hpp"

namespace hf::qualify {

namespace fs = std::filesystem;

std::optional<std::string> text_of_file(const std::string& path) {
  // A FIFO in such a folder must not stop the look.
  const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  struct stat st {};
  if (!fd || ::fstat(fd.get(), &st) != 0 || !S_ISREG(st.st_mode)) return {};
  std::string text;
  char buffer[16384];
  for (ssize_t got; text.size() < kSystemFileBytes && (got = ::read(fd.get(), buffer, sizeof buffer)) > 0;) text.append(buffer, static_cast<std::size_t>(got));
  return text;
}

std::string line_of_file(const std::string& path) {
  const auto text = text_of_file(path).value_or("");
  return text.substr(0, text.find('\n'));
}

std::string link_target(const std::string& path) {
  std::error_code error;
  const auto target = fs::read_symlink(path, error);
  return error ? std::string() : target.string();
}

std::vector<std::string> names_in(const std::string& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
    auto name = entry->path().filename().string();
    if (name.empty() || name.front() == '.' || name.back() == '~' || name.ends_with(".dpkg-old") || name.ends_with(".dpkg-dist")) continue;
    names.push_back(std::move(name));
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::vector<std::string> files_in(const std::string& folder, std::string_view suffix) {
  std::vector<std::string> files;
  for (const auto& name : names_in(folder)) {
    std::error_code error;
    if (name.ends_with(suffix) && fs::is_regular_file(folder + "/" + name, error)) files.push_back(folder + "/" + name);
  }
  return files;
}

std::vector<std::string> folders_in(const std::string& folder) {
  std::vector<std::string> folders;
  for (const auto& name : names_in(folder)) {
    std::error_code error;
    if (fs::is_directory(folder + "/" + name, error)) folders.push_back(folder + "/" + name);
  }
  return folders;
}

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r\n";
  text.remove_prefix(std::min(text.find_first_not_of(kBlanks), text.size()));
  return text.substr(0, text.find_last_not_of(kBlanks) + 1);
}

std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words;
  for (;;) {
    text.remove_prefix(std::min(text.find_first_not_of(" \t\r\n"), text.size()));
    if (text.empty()) return words;
    const auto end = std::min(text.find_first_of(" \t\r\n"), text.size());
    words.emplace_back(text.substr(0, end));
    text.remove_prefix(end);
  }
}

std::vector<std::string> plain_lines(std::string_view text) {
  std::vector<std::string> lines;
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    lines.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

std::vector<std::string> logical_lines(std::string_view text) {
  std::vector<std::string> lines;
  std::string open;
  for (const auto& line : plain_lines(text)) {
    auto part = trimmed(line);
    if (part.starts_with('#') || part.starts_with(';')) continue;
    const bool goes_on = part.ends_with('\\');
    if (goes_on) part.remove_suffix(1);
    open.append(open.empty() ? "" : " ").append(part);
    if (goes_on) continue;
    if (!open.empty()) lines.push_back(open);
    open.clear();
  }
  if (!open.empty()) lines.push_back(open);
  return lines;
}

std::vector<std::string> split_commands(std::string_view text) {
  std::vector<std::string> parts;
  std::size_t begin = 0;
  for (std::size_t i = 0; i <= text.size(); i++) {
    if (i < text.size() && std::string_view(";&|").find(text[i]) == std::string_view::npos) continue;
    const auto part = trimmed(text.substr(begin, i - begin));
    if (!part.empty()) parts.emplace_back(part);
    begin = i + 1;
  }
  return parts;
}

std::optional<std::string> option_value(std::string_view options, std::string_view name) {
  while (!options.empty()) {
    const auto comma = std::min(options.find(','), options.size());
    const auto option = options.substr(0, comma);
    if (option == name) return std::string();
    if (option.starts_with(name) && option.size() > name.size() && option[name.size()] == '=') return std::string(option.substr(name.size() + 1));
    options.remove_prefix(std::min(comma + 1, options.size()));
  }
  return {};
}

}  // namespace hf::qualify
