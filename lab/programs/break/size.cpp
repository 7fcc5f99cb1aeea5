// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// Every way to make a file shorter.
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include "operation.hpp"

namespace lab {
namespace {

off_t middle(const Subject& s) { return static_cast<off_t>(s.offset + (s.length > s.unit ? s.half() : 0)); }

Outcome by_path(const Subject& s) { return from_call(truncate(s.file.c_str(), middle(s)), "truncate"); }

Outcome to_nothing(const Subject& s) { return from_call(truncate(s.file.c_str(), 0), "truncate"); }

Outcome by_descriptor(const Subject& s) {
  const Open file(s.file, O_WRONLY);
  if (!file.fd) return file.outcome();
  s.opened();
  return from_call(ftruncate(file.get(), middle(s)), "ftruncate");
}

/// The path of a descriptor that can't be written by itself.
Outcome by_opath(const Subject& s) {
  const Open file(s.file, O_PATH);
  if (!file.fd) return file.outcome();
  return from_call(truncate(fmt::format("/proc/self/fd/{}", file.get()).c_str(), middle(s)), "truncate");
}

Outcome open_truncate(const Subject& s) {
  const Open file(s.file, O_RDWR | O_TRUNC);
  return file.outcome();
}

/// O_TRUNC takes effect even where the file is opened for reading.
Outcome open_truncate_read(const Subject& s) {
  const Open file(s.file, O_RDONLY | O_TRUNC);
  return file.outcome();
}

Outcome by_creat(const Subject& s) {
  const hf::Fd fd(creat(s.file.c_str(), 0666));
  return from_call(fd.get(), "creat");
}

}  // namespace

std::vector<Operation> size_operations() {
  constexpr unsigned all = kEverywhere;
  return {
      {"truncate", "truncate", "truncate(2)", Class::breaks, all, 0, all, false, false, by_path},
      {"truncate-zero", "truncate", "truncate(2)", Class::breaks, all, 0, all, false, false, to_nothing},
      {"truncate-opath", "truncate", "truncate(2), /proc/self/fd", Class::breaks, all, 0, all, false, false, by_opath},
      {"ftruncate-early", "truncate", "ftruncate(2)", Class::breaks, all, 0, all, false, false, by_descriptor},
      {"open-trunc", "truncate", "open(2) O_TRUNC", Class::breaks, all, 0, all, false, false, open_truncate},
      {"open-trunc-read", "truncate", "open(2) O_RDONLY|O_TRUNC", Class::breaks, all, 0, all, false, false, open_truncate_read},
      {"creat", "truncate", "creat(2)", Class::breaks, all, 0, all, false, false, by_creat},
  };
}

}  // namespace lab
