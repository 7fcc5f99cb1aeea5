// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "daemon/escape_log.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

namespace hf {

Status EscapeLog::open(const std::string& file) {
  if (file.empty()) return {};
  std::error_code error;
  std::filesystem::create_directories(std::filesystem::path(file).parent_path(), error);
  Fd fd(::open(file.c_str(), O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd) return sys_error(errno, "open", file, "Escapes are told but not kept; give holdfastd a folder that it can write: --state-dir PATH");
  struct stat status {};
  if (::fstat(fd.get(), &status) != 0) return sys_error(errno, "fstat", file);
  if (!S_ISREG(status.st_mode)) return fail(EINVAL, fmt::format("{} is no ordinary file, so escapes can't be kept there", file), "Move it away.");
  std::ifstream before(file);
  if (static_cast<std::uint64_t>(status.st_size) > kBytesReadBack) {
    before.seekg(-static_cast<std::streamoff>(kBytesReadBack), std::ios::end);
    std::string half;
    std::getline(before, half);
  }
  for (std::string line; std::getline(before, line);) {
    lines_.push_back(std::move(line));
    if (lines_.size() > kRemembered) lines_.pop_front();
  }
  // A line that was being written when the machine went down: the next one must not join it.
  if (status.st_size > 0) {
    char end = 0;
    if (::pread(fd.get(), &end, 1, status.st_size - 1) == 1 && end != '\n' && ::write(fd.get(), "\n", 1) != 1) return sys_error(errno, "write", file);
  }
  file_ = file;
  file_bytes_ = static_cast<std::uint64_t>(status.st_size);
  fd_ = std::move(fd);
  return {};
}

std::uint64_t EscapeLog::number(const hf_escape& event) {
  const auto& breaker = event.breaker;
  const bool same = total_ && breaker.tid == last_thread_ && breaker.file == last_file_ && breaker.time_ns - last_time_ns_ < kSameBreakNs;
  last_thread_ = breaker.tid;
  last_file_ = breaker.file;
  last_time_ns_ = breaker.time_ns;
  if (!same) total_++;
  return total_;
}

Status EscapeLog::add(const std::string& json) {
  lines_.push_back(json);
  if (lines_.size() > kRemembered) lines_.pop_front();
  if (!fd_) return {};
  const auto line = json + "\n";
  if (file_bytes_ + line.size() > kFileBytesMax) return fail(EFBIG, fmt::format("{} is full, an escape was not kept there", file_), "Move the file away.");
  const auto written = ::write(fd_.get(), line.data(), line.size());
  if (written != static_cast<ssize_t>(line.size())) return sys_error(written < 0 ? errno : ENOSPC, "write an escape to", file_, "Make room.");
  file_bytes_ += line.size();
  if (::fdatasync(fd_.get()) != 0) return sys_error(errno, "fdatasync", file_);
  return {};
}

std::vector<std::string> EscapeLog::last(std::size_t count) const {
  count = std::min(count, lines_.size());
  return {lines_.rbegin(), lines_.rbegin() + static_cast<std::ptrdiff_t>(count)};
}

}  // namespace hf
