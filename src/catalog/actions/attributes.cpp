// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// Inode attributes: some change how the file's blocks are reached, so that the calls that set them count as break sources whatever they set.
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/fsverity.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "catalog/actions/action.hpp"
#include "catalog/actions/uapi.hpp"

namespace hf::actions {
namespace {

// Each toggles "no dump": a flag without a meaning for anyone here.

Outcome set_flags(const Subject& s) {
  const Open file(s, s.file, O_RDONLY);
  if (!file.fd) return file.outcome();
  int flags = 0;
  if (const long result = s.calls->ioctl(file.get(), FS_IOC_GETFLAGS, &flags, sizeof flags); result < 0) return from_call(result, "ioctl FS_IOC_GETFLAGS");
  flags ^= FS_NODUMP_FL;
  return from_call(s.calls->ioctl(file.get(), FS_IOC_SETFLAGS, &flags, sizeof flags), "ioctl FS_IOC_SETFLAGS");
}

Outcome set_xattr_flags(const Subject& s) {
  const Open file(s, s.file, O_RDONLY);
  if (!file.fd) return file.outcome();
  fsxattr attributes{};
  if (const long result = s.calls->ioctl(file.get(), FS_IOC_FSGETXATTR, &attributes, sizeof attributes); result < 0)
    return from_call(result, "ioctl FS_IOC_FSGETXATTR");
  attributes.fsx_xflags ^= FS_XFLAG_NODUMP;
  return from_call(s.calls->ioctl(file.get(), FS_IOC_FSSETXATTR, &attributes, sizeof attributes), "ioctl FS_IOC_FSSETXATTR");
}

Outcome file_setattr(const Subject& s) {
  uapi::file_attr attributes{};
  if (syscall(uapi::kFileGetattr, AT_FDCWD, s.file.c_str(), &attributes, sizeof attributes, 0) < 0) return {errno, "file_getattr"};
  attributes.xflags ^= FS_XFLAG_NODUMP;
  return from_call(s.calls->file_setattr(s.file.c_str(), &attributes, sizeof attributes), "file_setattr");
}

Outcome enable_verity(const Subject& s) {
  const Open file(s, s.file, O_RDONLY);
  if (!file.fd) return file.outcome();
  fsverity_enable_arg argument{};
  argument.version = 1;
  argument.hash_algorithm = FS_VERITY_HASH_ALG_SHA256;
  argument.block_size = 4096;
  return from_call(s.calls->ioctl(file.get(), FS_IOC_ENABLE_VERITY, &argument, sizeof argument), "ioctl FS_IOC_ENABLE_VERITY");
}

/// What chattr -v does: the generation that tells the file from others of its number.
Outcome set_version(const Subject& s) {
  const Open file(s, s.file, O_RDWR);
  if (!file.fd) return file.outcome();
  int version = 4711;
  return from_call(s.calls->ioctl(file.get(), FS_IOC_SETVERSION, &version, sizeof version), "ioctl FS_IOC_SETVERSION");
}

}  // namespace

std::vector<Action> attribute_actions() {
  constexpr Kind breaks = Kind::breaks;
  constexpr unsigned written = kWritable;
  return {
      {"setflags", "attributes", "FS_IOC_SETFLAGS", breaks, written, 0, kEverywhere, 0, kNeedsRoot, Needs::nothing, set_flags, nullptr},
      {"fssetxattr", "attributes", "FS_IOC_FSSETXATTR", breaks, written, 0, kEverywhere, 0, kNeedsRoot, Needs::nothing, set_xattr_flags, nullptr},
      {"file-setattr", "attributes", "file_setattr(2)", breaks, written, 0, kEverywhere, 0, kNeedsRoot | kByPath, Needs::file_setattr, file_setattr, nullptr},
      {"setversion", "attributes", "FS_IOC_SETVERSION", breaks, 0, kAnyExt4, kAnyExt4, 0, kNeedsRoot | kNoOverlay, Needs::file_version, set_version, nullptr},
      {"verity", "verity", "FS_IOC_ENABLE_VERITY", breaks, 0, kExt4, kEverywhere, 0, kNeedsRoot | kNoOverlay | kUnheld | kNoWriter, Needs::verity,
       enable_verity, nullptr},
  };
}

}  // namespace hf::actions
