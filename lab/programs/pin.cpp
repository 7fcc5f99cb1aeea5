// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// hf-lab-pin: asks the kernel module holdfast-pin for what it must refuse: a binding by somebody else than holdfastd, or without the lease that it wants.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstring>

#include "base/fd.hpp"
#include "holdfast_pin.h"

int main(int argc, char** argv) {
  std::string what, path;
  std::uint64_t lease = 0;
  CLI::App app{"Binds a whole file by holdfast-pin itself. Exit status 1, with the error's name, where that is refused."};
  app.add_option("WHAT", what, "bind")->required();
  app.add_option("FILE", path)->required();
  app.add_option("--lease", lease, "the number of the lease to name");
  CLI11_PARSE(app, argc, argv);
  const hf::Fd device(::open(HOLDFAST_PIN_DEVICE, O_RDWR | O_CLOEXEC)), file(::open(path.c_str(), O_RDWR | O_CLOEXEC));
  struct stat status {};
  if (!device || !file || ::fstat(file.get(), &status)) {
    fmt::print("{}\n", strerrorname_np(errno));
    return 2;
  }
  const holdfast_pin_bind bind{
      .fd = file.get(), .flags = 0, .offset_bytes = 0, .length_bytes = (static_cast<std::uint64_t>(status.st_size) + 4095) & ~4095ull, .lease = lease};
  if (!::ioctl(device.get(), HOLDFAST_PIN_BIND, &bind)) {
    fmt::print("bound\n");
    return 0;
  }
  fmt::print("{}\n", strerrorname_np(errno));
  return 1;
}
