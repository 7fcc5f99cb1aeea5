// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// Inode attributes: some change how the file's blocks are reached, so that the calls that set them count as break sources whatever they set.
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/fsverity.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "operation.hpp"
#include "uapi.hpp"

namespace lab {
namespace {

// Each toggles "no dump": a flag without a meaning for anyone here.

Outcome set_flags(const Subject& s) {
  const Open file(s.file, O_RDONLY);
  if (!file.fd) return file.outcome();
  int flags = 0;
  if (ioctl(file.get(), FS_IOC_GETFLAGS, &flags) < 0) return {errno, "ioctl FS_IOC_GETFLAGS"};
  flags ^= FS_NODUMP_FL;
  return from_call(ioctl(file.get(), FS_IOC_SETFLAGS, &flags), "ioctl FS_IOC_SETFLAGS");
}

Outcome set_xattr_flags(const Subject& s) {
  const Open file(s.file, O_RDONLY);
  if (!file.fd) return file.outcome();
  fsxattr attributes{};
  if (ioctl(file.get(), FS_IOC_FSGETXATTR, &attributes) < 0) return {errno, "ioctl FS_IOC_FSGETXATTR"};
  attributes.fsx_xflags ^= FS_XFLAG_NODUMP;
  return from_call(ioctl(file.get(), FS_IOC_FSSETXATTR, &attributes), "ioctl FS_IOC_FSSETXATTR");
}

Outcome file_setattr(const Subject& s) {
  uapi::file_attr attributes{};
  if (syscall(uapi::kFileGetattr, AT_FDCWD, s.file.c_str(), &attributes, sizeof attributes, 0) < 0) return {errno, "file_getattr"};
  attributes.xflags ^= FS_XFLAG_NODUMP;
  return from_call(syscall(uapi::kFileSetattr, AT_FDCWD, s.file.c_str(), &attributes, sizeof attributes, 0), "file_setattr");
}

Outcome enable_verity(const Subject& s) {
  const Open file(s.file, O_RDONLY);
  if (!file.fd) return file.outcome();
  fsverity_enable_arg argument{};
  argument.version = 1;
  argument.hash_algorithm = FS_VERITY_HASH_ALG_SHA256;
  argument.block_size = 4096;
  return from_call(ioctl(file.get(), FS_IOC_ENABLE_VERITY, &argument), "ioctl FS_IOC_ENABLE_VERITY");
}

}  // namespace

std::vector<Operation> attribute_operations() {
  return {
      {"setflags", "attributes", "FS_IOC_SETFLAGS", Class::breaks, kDisk | kTmpfs, 0, kEverywhere, true, false, set_flags},
      {"fssetxattr", "attributes", "FS_IOC_FSSETXATTR", Class::breaks, kDisk | kTmpfs, 0, kEverywhere, true, false, set_xattr_flags},
      {"file-setattr", "attributes", "file_setattr(2)", Class::breaks, 0, kDisk | kTmpfs, kEverywhere, true, false, file_setattr},
      {"verity", "attributes", "FS_IOC_ENABLE_VERITY", Class::breaks, 0, kExt4, kEverywhere, false, false, enable_verity},
  };
}

}  // namespace lab
