// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "daemon/drift_watch.hpp"

#include <fcntl.h>
#include <sys/inotify.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/post.hpp>
#include <asio/redirect_error.hpp>
#include <asio/use_awaitable.hpp>
#include <array>
#include <filesystem>
#include <set>

#include "catalog/break_sources.hpp"
#include "daemon/beside.hpp"
#include "daemon/configuration.hpp"
#include "daemon/kernel_tells.hpp"
#include "daemon/words.hpp"
#include "kernel/gate_pins.hpp"
#include "kernel/paths.hpp"
#include "qualify/digest.hpp"
#include "qualify/neighbours.hpp"
#include "qualify/surroundings.hpp"
#include "qualify/system_files.hpp"

namespace hf {

namespace {

constexpr const char* kSwaps = "/proc/swaps";
constexpr const char* kFtrace = "/proc/sys/kernel/ftrace_enabled";
constexpr std::array<std::string_view, 3> kSubsystems = {"module", "infiniband", "block"};
constexpr std::uint32_t kFileChanges = IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_CLOSE_WRITE | IN_ATTRIB;

/// Modules that bring a source of the catalogue with them.
std::set<std::string> source_modules() {
  std::set<std::string> names;
  for (const auto& source : break_sources())
    if (const auto colon = source.needs.find(':'); colon != std::string_view::npos) names.emplace(source.needs.substr(0, colon));
  return names;
}

void put_modules(Sample& now, const std::string& root) {
  const auto names = source_modules();
  for (const auto& line : qualify::plain_lines(qualify::text_of_file(root + "/proc/modules").value_or("")))
    if (const auto name = line.substr(0, line.find(' ')); names.contains(name)) now["module " + name] = "loaded";
}

void put_mount(Sample& now, const std::string& point, const std::vector<Mount>& mounts) {
  const Mount* found = nullptr;
  for (const auto& mount : mounts)
    if (mount.point == point) found = &mount;
  if (!found) {
    now["mount"] = "not mounted";
    return;
  }
  now["mount"] = fmt::format("{} on {}", found->type, found->source);
  now["mount options"] = found->flags;
  now["filesystem options"] = found->options;
}

void put_adapters(Sample& now, const std::string& root) {
  for (const auto& folder : qualify::folders_in(root + "/sys/class/infiniband"))
    now["adapter " + folder.substr(folder.rfind('/') + 1)] = "firmware " + qualify::line_of_file(folder + "/fw_ver");
}

void put_configuration(Sample& now, const std::string& directory, const std::string& root) {
  std::vector<std::string> files{root + directory + "/holdfast.toml"};
  for (auto& file : qualify::files_in(root + directory + "/conf.d", ".toml")) files.push_back(std::move(file));
  for (const auto& file : files)
    if (const auto digest = qualify::sha256_of_file(file)) now["configuration " + file.substr(root.size())] = "sha256 " + digest->substr(0, 16);
}

}  // namespace

Sample sample(const std::string& mount, const std::string& configuration, const std::string& root) {
  Sample now;
  struct utsname name {};
  if (::uname(&name) == 0) now["kernel"] = name.release;
  if (const auto enabled = qualify::line_of_file(root + kFtrace); !enabled.empty()) now["kernel.ftrace_enabled"] = enabled;
  const auto mounts = parse_mountinfo(read_text(root + "/proc/self/mountinfo", 16 << 20).value_or(std::string()));
  put_mount(now, mount, mounts);
  put_modules(now, root);
  put_adapters(now, root);
  put_configuration(now, configuration, root);
  auto hooks = qualify::names_in(root + kLinksDirectory);
  now["gate"] = fmt::format("{} hooks", hooks.size());
  for (const auto& [key, line] : qualify::read_surroundings(mount, mounts, root).lines()) now[key] = line;
  for (const auto& [key, line] : qualify::read_neighbours(mount, root).lines()) now["neighbour " + key] = line;
  return now;
}

DriftWatch::DriftWatch(asio::io_context& io, asio::thread_pool& pool, std::string file, std::string configuration, Outside outside)
    : io_(io), pool_(pool), drift_(std::move(file)), configuration_(std::move(configuration)), outside_(std::move(outside)) {}

void DriftWatch::start() {
  if (const auto loaded = drift_.load(); !loaded) outside_.report(loaded.error());
  look_soon();
}

void DriftWatch::look_soon() {
  if (!drift_.watches()) return;
  if (!std::exchange(following_, true)) {
    notify_ = Fd(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
    ftrace_switch_ = Fd(::open(kFtrace, O_RDONLY | O_CLOEXEC));
    asio::co_spawn(io_, follow_swaps(), asio::detached);
    asio::co_spawn(io_, follow_devices(), asio::detached);
    asio::co_spawn(io_, follow_files(), asio::detached);
  }
  again_ = true;
  if (!std::exchange(looking_, true)) asio::co_spawn(io_, look(), asio::detached);
}

asio::awaitable<void> DriftWatch::look() {
  while (std::exchange(again_, false)) {
    // Before the look: what changes while it is under way is then told again.
    watch_folders();
    std::vector<std::string> points;
    for (const auto& [point, record] : drift_.mounts()) points.push_back(point);
    const auto read = [&points, this] {
      std::map<std::string, Sample> samples;
      for (const auto& point : points) samples[point] = sample(point, configuration_);
      return samples;
    };
    const auto samples = co_await beside(pool_, read);
    for (const auto& [point, now] : samples) told(point, drift_.look(point, now, wall_clock(boot_time_ns())));
  }
  looking_ = false;
}

void DriftWatch::told(const std::string& mount, const Result<std::vector<std::string>>& changes) {
  if (!changes)
    outside_.report(changes.error());
  else if (!changes->empty())
    outside_.tell(mount, *changes);
}

void DriftWatch::escaped(const Escape& escape) {
  // The probe's own scratch files break by sources that nothing can refuse: that is what it is for.
  if (escape.what.path.find("/.holdfast-probe-") != std::string::npos) return;
  for (const auto& [point, record] : drift_.mounts()) {
    if (!qualify::lies_in(escape.what.path, point)) continue;
    const auto time = wall_clock(escape.what.time_ns);
    told(point, drift_.escaped(
                    point, fmt::format("escape {}: {} by process {} ({})", time, escape.what.path, escape.what.breaker.pid, escape.what.breaker.comm), time));
    return;
  }
}

asio::awaitable<Status> DriftWatch::qualified(std::string mount, std::vector<std::string> failed) {
  const auto read = [&mount, this] { return sample(mount, configuration_); };
  auto now = co_await beside(pool_, read);
  if (const auto kept = drift_.qualified(mount, std::move(failed), std::move(now), wall_clock(boot_time_ns())); !kept) co_return kept;
  look_soon();
  co_return Status{};
}

asio::awaitable<void> DriftWatch::follow_swaps() {
  Descriptor swaps(io_);
  asio::error_code error;
  swaps.assign(::open(kSwaps, O_RDONLY | O_CLOEXEC), error);
  while (!error) {
    co_await swaps.async_wait(Descriptor::wait_error, asio::redirect_error(asio::use_awaitable, error));
    if (!error) look_soon();
  }
}

asio::awaitable<void> DriftWatch::follow_devices() {
  const auto ended = co_await follow_uevents(kSubsystems, [this] { look_soon(); });
  outside_.report({ended.error().code, "uevents can't be followed: new modules and adapters are seen with the next mount only", {}});
}

/// Adding a folder that is watched already changes nothing: new ones join as they come.
void DriftWatch::watch_folders() {
  if (!notify_) return;
  auto folders = qualify::neighbour_folders();
  folders.insert(folders.end(),
                 {configuration_, configuration_ + "/conf.d", kLinksDirectory, "/sys/kernel/config/nvmet/subsystems", "/sys/kernel/config/target/core"});
  for (const auto& folder : folders) ::inotify_add_watch(notify_.get(), folder.c_str(), kFileChanges | IN_ONLYDIR);
  ::inotify_add_watch(notify_.get(), kFtrace, IN_MODIFY);
}

asio::awaitable<void> DriftWatch::follow_files() {
  Descriptor changes(io_);
  asio::error_code error;
  changes.assign(::dup(notify_.get()), error);
  std::vector<char> buffer(65536);
  while (!error) {
    co_await changes.async_wait(Descriptor::wait_read, asio::redirect_error(asio::use_awaitable, error));
    bool any = false;
    while (!error && ::read(changes.native_handle(), buffer.data(), buffer.size()) > 0) any = true;
    if (any) look_soon();
  }
}

}  // namespace hf
