// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// Paths for people: from a filesystem's device and a path inside it, from an address in a process, from a descriptor.
//
// A path names nothing safely: it is shown, never acted upon. Files are told apart by hf_file_key.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.hpp"
#include "base/result.hpp"

namespace hf {

/// The kernel's own dev_t, as hf_file_key::device has it: major << 20 | minor.
constexpr std::uint32_t kernel_device(std::uint32_t major, std::uint32_t minor) { return major << 20 | minor; }
constexpr std::uint32_t device_major(std::uint32_t device) { return device >> 20; }
constexpr std::uint32_t device_minor(std::uint32_t device) { return device & 0xfffff; }

/// The components that the kernel side stored leaf first ("file/dir") as a path ("/dir/file").
/// @param cut the buffer ended before the root, after a whole component: the path then starts with ".../"
std::string forward_path(std::string_view reversed, bool cut);

struct Mount {
  std::uint32_t device = 0;  ///< as kernel_device()
  std::string root;          ///< the part of the filesystem that is seen there: "/" but for bind mounts and subvolumes
  std::string point;
  std::string type;
  std::string source;   ///< "/dev/pmem0"; anything for filesystems without a device
  std::string flags;    ///< options of this mount: "rw,relatime"
  std::string options;  ///< of the superblock
};

std::vector<Mount> parse_mountinfo(std::string_view text);

/// The mounts that this process sees, read again when the kernel says that they changed.
class MountTable {
 public:
  explicit MountTable(std::string file = "/proc/self/mountinfo");

  const std::vector<Mount>& mounts();
  /// @return a mount of the device, the one that shows most of it; none where this mount namespace doesn't see it
  std::optional<Mount> of_device(std::uint32_t device);
  /// @param inside a path from the root of the filesystem
  /// @return where that file is seen from here; `inside` itself where no mount shows it
  std::string absolute(std::uint32_t device, const std::string& inside);

 private:
  bool changed() const;

  std::string file_;
  Fd watch_;
  std::vector<Mount> mounts_;
};

/// One line of /proc/PID/maps.
struct Mapping {
  std::uint64_t start = 0;
  std::uint64_t end = 0;
  std::uint64_t offset_bytes = 0;  ///< in the file, of `start`
  std::uint64_t inode = 0;
  bool writable = false;
  bool executable = false;
  bool shared = false;
  std::string path;  ///< as the kernel prints it; empty for anonymous memory
};

std::optional<Mapping> parse_mapping(std::string_view line);
/// Every mapping of the process that shares a byte with [address, address + length_bytes).
Result<std::vector<Mapping>> mappings_of(pid_t pid, std::uint64_t address, std::uint64_t length_bytes, const std::string& proc = "/proc");
/// Opens the file behind a mapping through /proc/PID/map_files: works on deleted files and across mount namespaces.
Result<Fd> open_mapping(pid_t pid, const Mapping& mapping, const std::string& proc = "/proc");

/// What /proc/self/fd says; with " (deleted)" where the file has no name any more.
Result<std::string> path_of_fd(int fd);

/// The whole text of a small file such as those in /proc. @param limit_bytes more than that is left out
Result<std::string> read_text(const std::string& path, std::size_t limit_bytes = 1 << 20);

}  // namespace hf
