// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// Looks whether what was qualified is still so, whenever the kernel says that something of it may have changed: mounts, swap, modules and devices (uevents),
// files of configuration and of neighbours (inotify), the gate's pins. At rest nothing wakes: there is no clock in it.
#pragma once

#include <asio/awaitable.hpp>
#include <asio/io_context.hpp>
#include <asio/posix/stream_descriptor.hpp>
#include <asio/thread_pool.hpp>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/fd.hpp"
#include "daemon/drift.hpp"
#include "daemon/escape_log.hpp"

namespace hf {

/// What this machine is now, as far as the mount is concerned. Reads many small files: beside the event loop.
/// @param root in whose place / stands, for tests
Sample sample(const std::string& mount, const std::string& configuration, const std::string& root = "");

class DriftWatch {
 public:
  struct Outside {
    std::function<void(const std::string& mount, const std::vector<std::string>& changes)> tell;
    std::function<void(const Error&)> report;
  };
  DriftWatch(asio::io_context& io, asio::thread_pool& pool, std::string file, std::string configuration, Outside outside);

  /// Reads the record, and looks whether it still holds; then follows the kernel.
  void start();
  /// Something may have changed: looks, once, soon; calls while it looks are one more look.
  void look_soon();
  void escaped(const Escape& escape);

  asio::awaitable<Status> qualified(std::string mount, std::vector<std::string> failed);
  Json list(const std::vector<std::string>& points) const { return drift_.list(points); }

 private:
  using Descriptor = asio::posix::stream_descriptor;

  asio::awaitable<void> look();
  asio::awaitable<void> follow_swaps();
  asio::awaitable<void> follow_devices();
  asio::awaitable<void> follow_files();
  void watch_folders();
  void told(const std::string& mount, const Result<std::vector<std::string>>& changes);

  asio::io_context& io_;
  asio::thread_pool& pool_;
  Drift drift_;
  std::string configuration_;
  Outside outside_;
  Fd notify_;
  Fd ftrace_switch_;  ///< open, so that the inode which inotify watches stays the one that is written
  bool looking_ = false, again_ = false;
  bool following_ = false;
};

}  // namespace hf
