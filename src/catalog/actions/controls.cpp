// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// What breaks no layout and must go on working on a leased file. None of them changes the leased range's content for good.
#include <fcntl.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

#include "catalog/actions/action.hpp"

namespace hf::actions {
namespace {

Outcome write_same(const Subject& s) {
  const Open file(s, s.file, O_RDWR);
  if (!file.fd) return file.outcome();
  std::vector<char> block(s.unit);
  if (pread(file.get(), block.data(), block.size(), static_cast<off_t>(s.offset)) < 0) return {errno, "pread"};
  return from_libc(pwrite(file.get(), block.data(), block.size(), static_cast<off_t>(s.offset)), "pwrite");
}

Outcome read_all(const Subject& s) {
  const Open file(s, s.file, O_RDONLY);
  if (!file.fd) return file.outcome();
  std::vector<char> data(s.length);
  return from_libc(pread(file.get(), data.data(), data.size(), static_cast<off_t>(s.offset)), "pread");
}

Outcome map_and_touch(const Subject& s) {
  const Open file(s, s.file, O_RDWR);
  if (!file.fd) return file.outcome();
  void* mapping = mmap(nullptr, s.length, PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), static_cast<off_t>(s.offset));
  if (mapping == MAP_FAILED) return {errno, "mmap"};
  auto* bytes = static_cast<volatile char*>(mapping);
  bytes[0] = bytes[0];
  bytes[s.length - 1] = bytes[s.length - 1];
  return from_libc(msync(mapping, s.length, MS_SYNC), "msync");
}

std::uint64_t size_of(int fd) {
  struct stat status {};
  return fstat(fd, &status) == 0 ? static_cast<std::uint64_t>(status.st_size) : 0;
}

/// Makes the file at least a unit longer than the leased range.
Outcome grow_past(const Subject& s, int fd) {
  const std::uint64_t wanted = s.end() + 2 * s.unit;
  if (size_of(fd) >= wanted) return {};
  return from_libc(ftruncate(fd, static_cast<off_t>(wanted)), "ftruncate to grow");
}

Outcome append(const Subject& s) {
  const Open file(s, s.file, O_WRONLY | O_APPEND);
  if (!file.fd) return file.outcome();
  return from_libc(write(file.get(), "more", 4), "write");
}

Outcome grow(const Subject& s) {
  const Open file(s, s.file, O_WRONLY);
  if (!file.fd) return file.outcome();
  const std::uint64_t size = (size_of(file.get()) + s.unit - 1) / s.unit * s.unit;
  return from_libc(ftruncate(file.get(), static_cast<off_t>(size + s.unit)), "ftruncate");
}

Outcome same_size(const Subject& s) {
  const Open file(s, s.file, O_WRONLY);
  if (!file.fd) return file.outcome();
  return from_libc(ftruncate(file.get(), static_cast<off_t>(size_of(file.get()))), "ftruncate");
}

/// In the page cache beside means in no folio that has a page of the range; the largest are of 2 MiB.
std::uint64_t beside(const Subject& s) {
  constexpr std::uint64_t kFolio = 2 << 20;
  return place_of(s.file).where & kPageCached ? (s.end() + kFolio - 1) / kFolio * kFolio : s.end();
}

Outcome punch_beside(const Subject& s) {
  const Open file(s, s.file, O_RDWR);
  if (!file.fd) return file.outcome();
  const auto at = static_cast<off_t>(beside(s)), length = static_cast<off_t>(s.unit);
  if (const Outcome grown = grow_past(s, file.get()); grown.error) return grown;
  if (fallocate(file.get(), 0, at, length) != 0) return {errno, "fallocate"};
  return from_libc(fallocate(file.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at, length), "fallocate");
}

Outcome truncate_beside(const Subject& s) {
  const Open file(s, s.file, O_RDWR);
  if (!file.fd) return file.outcome();
  const auto at = static_cast<off_t>(beside(s));
  if (ftruncate(file.get(), at + static_cast<off_t>(s.unit)) != 0) return {errno, "ftruncate to more"};
  return from_libc(ftruncate(file.get(), at), "ftruncate");
}

Outcome allocate(const Subject& s) {
  const Open file(s, s.file, O_RDWR);
  if (!file.fd) return file.outcome();
  return from_libc(fallocate(file.get(), 0, static_cast<off_t>(s.offset), static_cast<off_t>(s.length)), "fallocate");
}

Outcome rename_and_back(const Subject& s) {
  const std::string moved = s.file + ".moved";
  if (rename(s.file.c_str(), moved.c_str()) != 0) return {errno, "rename"};
  return from_libc(rename(moved.c_str(), s.file.c_str()), "rename back");
}

Outcome link_and_unlink(const Subject& s) {
  const std::string second = s.file + ".link";
  if (link(s.file.c_str(), second.c_str()) != 0) return {errno, "link"};
  return from_libc(unlink(second.c_str()), "unlink");
}

Outcome mode(const Subject& s) {
  struct stat status {};
  if (stat(s.file.c_str(), &status) != 0) return {errno, "stat"};
  if (chmod(s.file.c_str(), (status.st_mode & 07777) ^ 0001) != 0) return {errno, "chmod"};
  return from_libc(chmod(s.file.c_str(), status.st_mode & 07777), "chmod back");
}

Outcome owner(const Subject& s) {
  struct stat status {};
  if (stat(s.file.c_str(), &status) != 0) return {errno, "stat"};
  if (chown(s.file.c_str(), status.st_uid + 1, status.st_gid + 1) != 0) return {errno, "chown"};
  return from_libc(chown(s.file.c_str(), status.st_uid, status.st_gid), "chown back");
}

Outcome times(const Subject& s) { return from_libc(utimensat(AT_FDCWD, s.file.c_str(), nullptr, 0), "utimensat"); }

Outcome extended_attribute(const Subject& s) {
  if (setxattr(s.file.c_str(), "user.lab", "1", 1, 0) != 0) return {errno, "setxattr"};
  return from_libc(removexattr(s.file.c_str(), "user.lab"), "removexattr");
}

Outcome sync_file(const Subject& s) {
  const Open file(s, s.file, O_RDWR);
  if (!file.fd) return file.outcome();
  return from_libc(fsync(file.get()), "fsync");
}

Outcome extent_map(const Subject& s) {
  const Open file(s, s.file, O_RDONLY);
  if (!file.fd) return file.outcome();
  fiemap map{};
  map.fm_length = FIEMAP_MAX_OFFSET;
  return from_libc(ioctl(file.get(), FS_IOC_FIEMAP, &map), "ioctl FS_IOC_FIEMAP");
}

}  // namespace

std::vector<Action> control_actions() {
  constexpr unsigned all = kEverywhere;
  constexpr unsigned written = kWritable;
  const auto control = [](std::string_view name, std::string_view call, unsigned runs, unsigned may_run, unsigned flags, Outcome (*perform)(const Subject&)) {
    return Action{name, "control", call, Kind::control, runs, may_run, kNowhere, kNowhere, flags | kOwnCalls, Needs::nothing, perform, nullptr};
  };
  return {
      control("write", "pwrite(2), the same bytes", written, 0, 0, write_same),
      control("read", "pread(2)", all, 0, 0, read_all),
      control("mmap", "mmap(2) and a store", all, 0, 0, map_and_touch),
      control("fsync", "fsync(2)", all, 0, 0, sync_file),
      control("allocate", "fallocate(2), mode 0", all, 0, 0, allocate),
      control("append", "write(2) O_APPEND", written, 0, 0, append),
      control("grow", "ftruncate(2) to more", all, 0, 0, grow),
      control("same-size", "ftruncate(2) to the same", all, 0, 0, same_size),
      control("punch-beside", "fallocate(2) behind the range", all, 0, 0, punch_beside),
      control("truncate-beside", "ftruncate(2) to the range's end", all, 0, 0, truncate_beside),
      control("rename", "rename(2) there and back", all, 0, kNeedsRoot | kInPlace, rename_and_back),
      control("link-unlink", "link(2), unlink(2)", all, 0, kNeedsRoot | kInPlace, link_and_unlink),
      control("chmod", "chmod(2)", all, 0, kNeedsRoot, mode),
      control("chown", "chown(2)", all, 0, kNeedsRoot, owner),
      control("utimes", "utimensat(2)", all, 0, 0, times),
      control("setxattr", "setxattr(2)", kDisk, kTmpfs, 0, extended_attribute),
      control("fiemap", "FS_IOC_FIEMAP", kDisk, 0, 0, extent_map),
  };
}

}  // namespace hf::actions
