// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// What shares blocks between two files: clone, dedupe, and a copy that the filesystem turns into a clone.
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>

#include "operation.hpp"

namespace lab {
namespace {

Outcome clone(const std::string& source, const std::string& destination) {
  const Open from(source, O_RDONLY);
  if (!from.fd) return from.outcome();
  const Open to(destination, O_WRONLY);
  if (!to.fd) return to.outcome();
  return from_call(ioctl(to.get(), FICLONE, from.get()), "ioctl FICLONE");
}
Outcome clone_to(const Subject& s) { return clone(s.donor, s.file); }
Outcome clone_from(const Subject& s) { return clone(s.file, s.donor); }

Outcome clone_range(const Subject& s, const std::string& source, const std::string& destination) {
  const Open from(source, O_RDONLY);
  if (!from.fd) return from.outcome();
  const Open to(destination, O_WRONLY);
  if (!to.fd) return to.outcome();
  file_clone_range range{from.get(), s.offset, s.length, s.offset};
  return from_call(ioctl(to.get(), FICLONERANGE, &range), "ioctl FICLONERANGE");
}
Outcome clone_range_to(const Subject& s) { return clone_range(s, s.donor, s.file); }
Outcome clone_range_from(const Subject& s) { return clone_range(s, s.file, s.donor); }

Outcome dedupe(const Subject& s, const std::string& source, const std::string& destination) {
  const Open from(source, O_RDONLY);
  if (!from.fd) return from.outcome();
  const Open to(destination, O_RDWR);
  if (!to.fd) return to.outcome();
  alignas(file_dedupe_range) char buffer[sizeof(file_dedupe_range) + sizeof(file_dedupe_range_info)] = {};
  auto& request = *reinterpret_cast<file_dedupe_range*>(buffer);
  file_dedupe_range_info& answer = request.info[0];
  request.src_offset = s.offset;
  request.src_length = s.length;
  request.dest_count = 1;
  answer.dest_fd = to.get();
  answer.dest_offset = s.offset;
  if (ioctl(from.get(), FIDEDUPERANGE, &request) < 0) return {errno, "ioctl FIDEDUPERANGE"};
  if (answer.status < 0) return {-answer.status, "FIDEDUPERANGE status"};
  if (answer.status == FILE_DEDUPE_RANGE_DIFFERS) return {0, "the ranges differ, so nothing was shared"};
  return {0, "ioctl FIDEDUPERANGE"};
}
Outcome dedupe_to(const Subject& s) { return dedupe(s, s.donor, s.file); }
Outcome dedupe_from(const Subject& s) { return dedupe(s, s.file, s.donor); }

Outcome copy(const Subject& s, const std::string& source, const std::string& destination) {
  const Open from(source, O_RDONLY);
  if (!from.fd) return from.outcome();
  const Open to(destination, O_WRONLY);
  if (!to.fd) return to.outcome();
  auto in = static_cast<off_t>(s.offset);
  auto out = static_cast<off_t>(s.offset);
  return from_call(copy_file_range(from.get(), &in, to.get(), &out, s.length, 0), "copy_file_range");
}
Outcome copy_to(const Subject& s) { return copy(s, s.donor, s.file); }
Outcome copy_from(const Subject& s) { return copy(s, s.file, s.donor); }

}  // namespace

std::vector<Operation> share_operations() {
  // A copy breaks something only where the filesystem may share blocks instead (XFS); elsewhere it is a write, or a read.
  constexpr unsigned copies = kDisk | kTmpfs;
  return {
      {"clone-to", "reflink", "FICLONE", Class::breaks, kAnyXfs, 0, kAnyXfs, false, true, clone_to},
      {"clone-from", "reflink-from", "FICLONE", Class::breaks, kAnyXfs, 0, kAnyXfs, false, true, clone_from},
      {"clone-range-to", "reflink", "FICLONERANGE", Class::breaks, kAnyXfs, 0, kAnyXfs, false, true, clone_range_to},
      {"clone-range-from", "reflink-from", "FICLONERANGE", Class::breaks, kAnyXfs, 0, kAnyXfs, false, true, clone_range_from},
      {"dedupe-to", "dedupe", "FIDEDUPERANGE", Class::breaks, kAnyXfs, 0, kAnyXfs, false, true, dedupe_to},
      {"dedupe-from", "dedupe", "FIDEDUPERANGE", Class::breaks, kAnyXfs, 0, kAnyXfs, false, true, dedupe_from},
      {"copy-to", "copy", "copy_file_range(2)", Class::breaks, copies, 0, kAnyXfs, false, true, copy_to},
      {"copy-from", "copy", "copy_file_range(2)", Class::breaks, copies, 0, kAnyXfs, false, true, copy_from},
  };
}

}  // namespace lab
