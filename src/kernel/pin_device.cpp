// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "kernel/pin_device.hpp"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <fstream>

#include "holdfast_pin.h"

namespace hf {

std::uint32_t pin_device() {
  struct stat status {};
  if (::stat(HOLDFAST_PIN_DEVICE, &status) || !S_ISCHR(status.st_mode)) return 0;
  return kernel_device(major(status.st_rdev), minor(status.st_rdev));
}

int pin_bindings() {
  std::ifstream file("/sys/module/holdfast_pin/refcnt");
  int count = 0;
  return file >> count ? count : 0;
}

bool is_pin_view(const Mapping& mapping) { return mapping.path == HOLDFAST_PIN_DEVICE; }

Error no_pin_device(const std::string& path) {
  return {EOPNOTSUPP, fmt::format("{} is on FS-DAX, and the kernel module holdfast-pin is not loaded", path),
          "Next: use an adapter with ODP; or, on Linux 6.1 to 6.14, install the module and modprobe holdfast_pin (its documentation says what for)"};
}

Result<Fd> bind_pin(int file, const Extent& bytes, std::uint64_t lease, const std::string& path) {
  Fd device(::open(HOLDFAST_PIN_DEVICE, O_RDWR | O_CLOEXEC));
  if (!device && (errno == ENOENT || errno == ENXIO || errno == ENODEV)) return tl::unexpected(no_pin_device(path));
  if (!device) return sys_error(errno, "open", HOLDFAST_PIN_DEVICE);
  const holdfast_pin_bind bind{.fd = file, .flags = 0, .offset_bytes = bytes.first, .length_bytes = bytes.end - bytes.first, .lease = lease};
  if (!::ioctl(device.get(), HOLDFAST_PIN_BIND, &bind)) return device;
  switch (errno) {
    case ENOLCK:
      return fail(EAGAIN, fmt::format("the gate does not hold {} as a whole: an operation on it that began before may be under way", path),
                  "Next: try again; holdfast gate status says whether the gate is armed");
    case EOPNOTSUPP:
      return fail(EOPNOTSUPP, fmt::format("{} can't be bound: it is not on FS-DAX, or on a device without synchronous faults (MAP_SYNC)", path));
    case EACCES:
      return fail(EACCES, fmt::format("{} is to be pinned for writing, and its descriptor can't do both, read and write", path), "Next: open it with O_RDWR");
    case EFBIG:
      return fail(ERANGE, fmt::format("the bytes to be pinned reach beyond the end of {}", path));
    default:
      return sys_error(errno, "holdfast-pin", path);
  }
}

}  // namespace hf
