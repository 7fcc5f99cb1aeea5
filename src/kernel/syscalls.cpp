// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "kernel/syscalls.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <span>
#include <utility>

namespace hf {
namespace {

struct Name {
  int number;
  const char* name;
};
// Made from the kernel's headers by cmake/HoldfastSyscalls.cmake, in the order of the numbers.
constexpr Name kNames64[] = {
#include "syscalls_64.inc"
};
constexpr Name kNames32[] = {
#include "syscalls_32.inc"
};
constexpr std::int64_t kX32Bit = 0x40000000;

/// How to print the arguments, one letter each: i int, u unsigned, x hexadecimal, m fallocate mode, c ioctl command, l the two halves of a 64-bit number.
struct Signature {
  std::string_view call;
  std::string_view letters;
};
constexpr Signature kSignatures64[] = {
    {"truncate", "xu"},
    {"ftruncate", "iu"},
    {"open", "xxx"},
    {"openat", "ixxx"},
    {"openat2", "ixxu"},
    {"creat", "xx"},
    {"fallocate", "imuu"},
    {"ioctl", "icx"},
    {"copy_file_range", "ixixux"},
    {"madvise", "xui"},
    {"io_uring_enter", "iuuxxu"},
    {"sendfile", "iixu"},
    {"splice", "ixixux"},
    {"write", "ixu"},
    {"pwrite64", "ixuu"},
    {"file_setattr", "ixxux"},
    {"munmap", "xu"},
    {"close", "i"},
    {"process_madvise", "ixuix"},
};
constexpr Signature kSignatures32[] = {
    {"truncate", "xu"}, {"ftruncate", "iu"}, {"truncate64", "xl"}, {"ftruncate64", "il"}, {"fallocate", "imll"},
    {"ioctl", "icx"},   {"openat", "ixxx"},  {"open", "xxx"},      {"madvise", "xui"},
};

constexpr std::pair<std::uint64_t, const char*> kModes[] = {
    {0x02, "PUNCH_HOLE"},    {0x08, "COLLAPSE_RANGE"}, {0x10, "ZERO_RANGE"}, {0x20, "INSERT_RANGE"},
    {0x40, "UNSHARE_RANGE"}, {0x80, "WRITE_ZEROES"},   {0x01, "KEEP_SIZE"},  {0x04, "NO_HIDE_STALE"},
};

// By number where the header that has the name is newer than those that Holdfast is built with.
constexpr std::pair<std::uint64_t, const char*> kIoctls[] = {
    {0x40049409, "FICLONE"},           {0x4020940d, "FICLONERANGE"},           {0xc0189436, "FIDEDUPERANGE"},        {0x4030582b, "FS_IOC_UNRESVSP64"},
    {0x40305828, "FS_IOC_RESVSP"},     {0x40305829, "FS_IOC_UNRESVSP"},        {0x4030582a, "FS_IOC_RESVSP64"},      {0x40305839, "FS_IOC_ZERO_RANGE"},
    {0xc0c0586d, "XFS_IOC_SWAPEXT"},   {0x40285881, "XFS_IOC_EXCHANGE_RANGE"}, {0x40585883, "XFS_IOC_COMMIT_RANGE"}, {0xc028660f, "EXT4_IOC_MOVE_EXT"},
    {0x6611, "EXT4_IOC_SWAP_BOOT"},    {0x6609, "EXT4_IOC_MIGRATE"},           {0x40086602, "FS_IOC_SETFLAGS"},      {0x40046602, "FS_IOC32_SETFLAGS"},
    {0x401c5820, "FS_IOC_FSSETXATTR"}, {0x40806685, "FS_IOC_ENABLE_VERITY"},   {0x40305824, "XFS_IOC_ALLOCSP64"},    {0x40305825, "XFS_IOC_FREESP64"},
};

template <std::size_t N>
std::string_view find_name(const Name (&names)[N], std::int64_t number) {
  const auto found = std::lower_bound(std::begin(names), std::end(names), number, [](const Name& name, std::int64_t wanted) { return name.number < wanted; });
  return found != std::end(names) && found->number == number ? found->name : std::string_view();
}

std::string_view signature_of(std::string_view call, bool compat) {
  const auto signatures = compat ? std::span<const Signature>(kSignatures32) : std::span<const Signature>(kSignatures64);
  const auto found = std::find_if(signatures.begin(), signatures.end(), [&](const Signature& signature) { return signature.call == call; });
  return found == signatures.end() ? "xxxxxx" : found->letters;
}

std::string argument_text(char letter, std::uint64_t value, std::uint64_t next) {
  switch (letter) {
    case 'i':
      return fmt::format("{}", static_cast<std::int32_t>(value));
    case 'u':
      return fmt::format("{}", value);
    case 'l':
      return fmt::format("{}", next << 32 | (value & 0xffffffff));
    case 'm':
      return fallocate_mode_text(value);
    case 'c':
      return ioctl_text(value);
    default:
      return fmt::format("{:#x}", value);
  }
}

}  // namespace

std::string_view syscall_name(std::int64_t number, bool compat) { return compat ? find_name(kNames32, number) : find_name(kNames64, number & ~kX32Bit); }

std::string syscall_text(std::int64_t number, bool compat, const std::array<std::uint64_t, 6>& arguments) {
  const auto name = syscall_name(number, compat);
  std::string text = name.empty() ? fmt::format("system call {}", number) : std::string(name);
  text += '(';
  std::size_t at = 0;
  for (const char letter : signature_of(name, compat)) {
    if (at >= arguments.size()) break;
    if (at) text += ", ";
    text += argument_text(letter, arguments[at], at + 1 < arguments.size() ? arguments[at + 1] : 0);
    at += letter == 'l' ? 2 : 1;
  }
  return text + ')';
}

std::string fallocate_mode_text(std::uint64_t mode) {
  std::string text;
  for (const auto& [bit, name] : kModes) {
    if (!(mode & bit)) continue;
    if (!text.empty()) text += '|';
    text += name;
    mode &= ~bit;
  }
  if (mode || text.empty()) text += fmt::format("{}{:#x}", text.empty() ? "" : "|", mode);
  return text;
}

std::string ioctl_text(std::uint64_t command) {
  for (const auto& [number, name] : kIoctls)
    if (number == (command & 0xffffffff)) return name;
  return fmt::format("{:#x}", command & 0xffffffff);
}

}  // namespace hf
