// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "daemon/words.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <cerrno>
#include <ctime>
#include <utility>

#include "kernel/paths.hpp"

namespace hf {
namespace {

constexpr std::uint64_t kSecondNs = 1'000'000'000;

constexpr std::pair<std::uint32_t, ReasonWords> kReasons[] = {
    {HF_REASON_READ_ONLY,
     {"read-only", "a registration that only reads: a reader may not block the file's owner", "Register it for writing, or hold the file: holdfast hold FILE"}},
    {HF_REASON_RACED, {"raced", "a layout change was under way while its pages were pinned", "Deregister the memory and register it again."}},
    {HF_REASON_FILESYSTEM, {"filesystem", "on a filesystem whose layout Holdfast can't hold", "Keep the file on XFS, ext4, tmpfs or hugetlbfs."}},
    {HF_REASON_VMA_BUSY, {"mapping-busy", "its mappings could not be looked at when it was registered; the daemon completes it", ""}},
    {HF_REASON_TOO_MANY_PARTS, {"too-many-parts", "more file mappings in one registration than can be followed", "Register the mappings one by one."}},
    {HF_REASON_NO_ROOM, {"no-room", "the gate's map of leases is full", "End leases and registrations that are not needed, then register again."}},
    {HF_REASON_IMPLICIT_ODP,
     {"implicit-odp", "an implicit ODP region spans the whole address space", "Register the memory explicitly, or hold the files: holdfast hold FILE"}},
    {HF_REASON_NOT_WRITER,
     {"not-a-writer", "its file was not opened for writing: a reader may not block the owner", "Open the file O_RDWR before mapping it."}},
    {HF_REASON_LATE,
     {"late", "leased some time after the pin: what happened to the layout in between is unknown", "Deregister and register again to be sure."}},
    {HF_REASON_EXEMPT, {"exempt", "its filesystem is not guarded, by the configuration", "holdfast guard MOUNT"}},
    {HF_REASON_ODP, {"odp-observed", "an ODP registration, which is only observed here by the configuration", "Set odp = \"lease\" for the mount."}},
    {HF_REASON_NOT_ALLOWED,
     {"not-allowed", "the configuration gives this user, or this kind of registration, no lease here",
      "Ask the administrator: holders, read_only and odp in holdfast.toml(5)."}},
    {HF_REASON_MISSED_RETURN, {"missed-return", "the end of the pinning call was not seen; the lease ends with the process", ""}},
    {HF_REASON_RANGE_UNKNOWN,
     {"range-unknown", "registered before Holdfast looked: which bytes of which file is not known", "Hold the files (holdfast hold FILE), or register again."}},
};

constexpr std::pair<std::uint32_t, std::string_view> kAccess[] = {
    {1u << 0, "local-write"},  {1u << 1, "remote-write"},     {1u << 2, "remote-read"},       {1u << 3, "remote-atomic"},
    {1u << 4, "window-bind"},  {1u << 5, "zero-based"},       {1u << 6, "on-demand"},         {1u << 7, "huge-pages"},
    {1u << 8, "flush-global"}, {1u << 9, "flush-persistent"}, {1u << 20, "relaxed-ordering"},
};

std::uint64_t clock_ns(clockid_t clock) {
  timespec now{};
  ::clock_gettime(clock, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * kSecondNs + static_cast<std::uint64_t>(now.tv_nsec);
}

}  // namespace

std::string_view kind_word(std::uint32_t kind) {
  switch (kind) {
    case HF_LEASE_REGISTRATION:
      return "registration";
    case HF_LEASE_PROCESS:
      return "process";
    case HF_LEASE_STATIC:
      return "static";
    default:
      return "unknown";
  }
}

std::string_view state_word(std::uint32_t state) {
  switch (state) {
    case HF_STATE_PINNING:
      return "pinning";
    case HF_STATE_PROTECTED:
      return "protected";
    case HF_STATE_OBSERVED:
      return "observed";
    case HF_STATE_UNPROTECTED:
      return "unprotected";
    case HF_STATE_BOUND:
      return "bound";
    case HF_STATE_NO_FILE:
      return "no-file";
    default:
      return "unknown";
  }
}

std::vector<ReasonWords> reason_words(std::uint32_t reasons) {
  std::vector<ReasonWords> words;
  for (const auto& [bit, word] : kReasons)
    if (reasons & bit) words.push_back(word);
  return words;
}

std::vector<std::string> access_words(std::uint32_t access) {
  std::vector<std::string> words;
  for (const auto& [bit, word] : kAccess)
    if (access & bit) words.emplace_back(word);
  return words;
}

std::string errno_name(int code) {
  const char* name = ::strerrorname_np(code);
  return name ? name : fmt::format("{}", code);
}

std::string device_text(std::uint32_t device) { return fmt::format("{}:{}", device_major(device), device_minor(device)); }

std::uint64_t boot_time_ns() { return clock_ns(CLOCK_BOOTTIME); }

std::string utc_text(std::uint64_t wall_ns) {
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z", fmt::gmtime(static_cast<std::time_t>(wall_ns / kSecondNs)), wall_ns % kSecondNs / 1'000'000);
}

std::string wall_clock(std::uint64_t time_ns) {
  const auto now_ns = clock_ns(CLOCK_REALTIME);
  const auto wall_ns = now_ns - clock_ns(CLOCK_BOOTTIME) + time_ns;
  return utc_text(wall_ns);
}

}  // namespace hf
