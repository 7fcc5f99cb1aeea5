// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// Loop devices: a file as a block device, whose discards become holes in the file.
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <linux/loop.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>

#include "catalog/actions/action.hpp"

namespace hf::actions {
namespace {

/// Attaches the file to a free loop device; it goes when its last user closes it (LO_FLAGS_AUTOCLEAR).
Outcome attach(const Subject& s, int file, hf::Fd& device, std::string& path) {
  const Open control(s, "/dev/loop-control", O_RDWR);
  if (!control.fd) return control.outcome();
  for (int attempt = 0; attempt < 8; attempt++) {
    const int number = ioctl(control.get(), LOOP_CTL_GET_FREE);
    if (number < 0) return {errno, "ioctl LOOP_CTL_GET_FREE"};
    path = fmt::format("/dev/loop{}", number);
    device = hf::Fd(open(path.c_str(), O_RDWR | O_CLOEXEC));
    if (!device) return {errno, "open " + path};
    loop_config config{};
    config.fd = static_cast<__u32>(file);
    config.block_size = 4096;
    config.info.lo_flags = LO_FLAGS_AUTOCLEAR;
    if (ioctl(device.get(), LOOP_CONFIGURE, &config) == 0) return {0, "ioctl LOOP_CONFIGURE"};
    if (errno != EBUSY) return {errno, "ioctl LOOP_CONFIGURE"};
    // Somebody else took it between the two calls.
  }
  return {EAGAIN, "ioctl LOOP_CONFIGURE"};
}

Outcome discard_on(int device, const Subject& s, unsigned long command, const char* call) {
  __u64 range[] = {s.offset, s.length};
  return from_libc(ioctl(device, command, range), call);
}

Outcome loop_configure(const Subject& s) {
  const Open file(s, s.file, O_RDWR);
  if (!file.fd) return file.outcome();
  hf::Fd device;
  std::string path;
  if (const Outcome attached = attach(s, file.get(), device, path); attached.error) return attached;
  return discard_on(device.get(), s, BLKDISCARD, "ioctl BLKDISCARD");
}

/// The older call.
Outcome loop_set_fd(const Subject& s) {
  const Open file(s, s.file, O_RDWR), control(s, "/dev/loop-control", O_RDWR);
  if (!file.fd || !control.fd) return file.fd ? control.outcome() : file.outcome();
  const int number = ioctl(control.get(), LOOP_CTL_GET_FREE);
  if (number < 0) return {errno, "ioctl LOOP_CTL_GET_FREE"};
  const Open device(s, fmt::format("/dev/loop{}", number), O_RDWR);
  if (!device.fd) return device.outcome();
  if (ioctl(device.get(), LOOP_SET_FD, file.get()) < 0) return {errno, "ioctl LOOP_SET_FD"};
  const Outcome discarded = discard_on(device.get(), s, BLKDISCARD, "ioctl BLKDISCARD");
  ioctl(device.get(), LOOP_CLR_FD, 0);
  return discarded;
}

/// Another file's device gets this file in its place.
Outcome loop_change_fd(const Subject& s) {
  const Open file(s, s.file, O_RDONLY), donor(s, s.donor, O_RDONLY);
  if (!file.fd || !donor.fd) return file.fd ? donor.outcome() : file.outcome();
  hf::Fd device;
  std::string path;
  if (const Outcome attached = attach(s, donor.get(), device, path); attached.error) return attached;
  return from_libc(ioctl(device.get(), LOOP_CHANGE_FD, file.get()), "ioctl LOOP_CHANGE_FD");
}

/// Attached before the lease: the descriptor is kept open by whoever prepares.
Outcome attach_first(Subject& s) {
  const Open file(s, s.file, O_RDWR);
  if (!file.fd) return file.outcome();
  hf::Fd device;
  const Outcome attached = attach(s, file.get(), device, s.prepared);
  if (!attached.error) device.release();
  return attached;
}

Outcome discard_later(const Subject& s) {
  const Open device(s, s.prepared, O_RDWR);
  if (!device.fd) return device.outcome();
  return discard_on(device.get(), s, BLKDISCARD, "ioctl BLKDISCARD");
}

}  // namespace

std::vector<Action> device_actions() {
  constexpr unsigned root = kNeedsRoot | kOwnCalls | kNoOverlay;
  constexpr Kind breaks = Kind::breaks;
  return {
      {"loop-configure", "loop-attach", "LOOP_CONFIGURE, BLKDISCARD", breaks, kWritable, 0, kWritable, kWritable, root, Needs::loop, loop_configure, nullptr},
      {"loop-set-fd", "loop-attach", "LOOP_SET_FD, BLKDISCARD", breaks, kWritable, 0, kWritable, kWritable, root, Needs::loop, loop_set_fd, nullptr},
      {"loop-change-fd", "loop-attach", "LOOP_CHANGE_FD", breaks, kWritable, 0, kWritable, kNowhere, root | kNeedsDonor, Needs::loop, loop_change_fd, nullptr},
      {"loop-discard", "loop-discard", "BLKDISCARD, attached before", breaks, kWritable, 0, kNowhere, kWritable, root | kBefore | kInPlace, Needs::loop,
       discard_later, attach_first},
  };
}

}  // namespace hf::actions
