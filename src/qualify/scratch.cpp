// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "qualify/scratch.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>

namespace hf::qualify {

namespace {

namespace fs = std::filesystem;

constexpr std::string_view kPrefix = ".holdfast-probe-";

void remove_folder(const std::string& path) {
  std::error_code ignored;
  // A swap file can't be unlinked for good while it is in use.
  for (const auto& entry : fs::recursive_directory_iterator(path, ignored))
    if (entry.is_regular_file(ignored)) swapoff(entry.path().c_str());
  fs::remove_all(path, ignored);
}

Fd lock_folder(const std::string& path) {
  Fd fd(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (fd && flock(fd.get(), LOCK_EX | LOCK_NB) != 0) fd.reset();
  return fd;
}

/// A folder that nobody has locked has lost its maker.
void remove_left_overs(const std::string& parent) {
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(parent, ignored)) {
    if (!entry.path().filename().string().starts_with(kPrefix)) continue;
    if (const Fd lock = lock_folder(entry.path())) remove_folder(entry.path());
  }
}

[[noreturn]] void guard(int alive, const std::string& path) {
  // Out of reach of what ends the probe: its terminal's signals and those to its group.
  setsid();
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE}) std::signal(signal, SIG_IGN);
  for (int fd = 0; fd < 3; fd++) close(fd);
  char order = 0;
  // One byte: keep it. The end, without a byte: the maker and all its children are gone, or have said that they are done.
  if (read(alive, &order, 1) != 1) remove_folder(path);
  _exit(0);
}

}  // namespace

Result<Scratch> Scratch::make(const std::string& parent) {
  remove_left_overs(parent);
  std::string path = parent + "/" + std::string(kPrefix) + "XXXXXX";
  if (!mkdtemp(path.data())) return sys_error(errno, "cannot make a folder in", parent, errno == EACCES ? "Next: run it as someone who may write there" : "");
  Fd lock = lock_folder(path);
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return sys_error(errno, "pipe2", path);
  Fd reading(ends[0]), writing(ends[1]);
  const pid_t guardian = fork();
  if (guardian < 0) return sys_error(errno, "fork", "of the guardian");
  if (guardian == 0) {
    writing.reset();
    lock.reset();
    guard(reading.get(), path);
  }
  return Scratch(std::move(path), std::move(lock), std::move(writing), guardian);
}

Scratch::Scratch(std::string path, Fd lock, Fd alive, pid_t guardian)
    : path_(std::move(path)), lock_(std::move(lock)), alive_(std::move(alive)), guardian_(guardian) {}

Scratch::Scratch(Scratch&& other) noexcept
    : path_(std::move(other.path_)), lock_(std::move(other.lock_)), alive_(std::move(other.alive_)), guardian_(std::exchange(other.guardian_, -1)) {}

Scratch::~Scratch() {
  if (guardian_ < 0) return;
  lock_.reset();
  alive_.reset();
  waitpid(guardian_, nullptr, 0);
}

void Scratch::keep() {
  const char order = 'k';
  if (write(alive_.get(), &order, 1) != 1) return;
}

}  // namespace hf::qualify
