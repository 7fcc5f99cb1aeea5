// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// What shares blocks between two files: clone, dedupe, and a copy that the filesystem turns into a clone.
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <vector>

#include "catalog/actions/action.hpp"

namespace hf::actions {
namespace {

Outcome clone(const Subject& s, const std::string& source, const std::string& destination) {
  const Open from(s, source, O_RDONLY);
  if (!from.fd) return from.outcome();
  const Open to(s, destination, O_WRONLY);
  if (!to.fd) return to.outcome();
  return from_call(s.calls->ioctl_value(to.get(), FICLONE, static_cast<unsigned long>(from.get())), "ioctl FICLONE");
}
Outcome clone_to(const Subject& s) { return clone(s, s.donor, s.file); }
Outcome clone_from(const Subject& s) { return clone(s, s.file, s.donor); }

Outcome clone_range(const Subject& s, const std::string& source, const std::string& destination) {
  const Open from(s, source, O_RDONLY);
  if (!from.fd) return from.outcome();
  const Open to(s, destination, O_WRONLY);
  if (!to.fd) return to.outcome();
  file_clone_range range{from.get(), s.offset, s.length, s.offset};
  return from_call(s.calls->ioctl(to.get(), FICLONERANGE, &range, sizeof range), "ioctl FICLONERANGE");
}
Outcome clone_range_to(const Subject& s) { return clone_range(s, s.donor, s.file); }
Outcome clone_range_from(const Subject& s) { return clone_range(s, s.file, s.donor); }

Outcome dedupe(const Subject& s, const std::string& source, const std::string& destination) {
  const Open from(s, source, O_RDONLY);
  if (!from.fd) return from.outcome();
  const Open to(s, destination, O_RDWR);
  if (!to.fd) return to.outcome();
  alignas(file_dedupe_range) char buffer[sizeof(file_dedupe_range) + sizeof(file_dedupe_range_info)] = {};
  auto& request = *reinterpret_cast<file_dedupe_range*>(buffer);
  file_dedupe_range_info& answer = request.info[0];
  request.src_offset = s.offset;
  request.src_length = s.length;
  request.dest_count = 1;
  answer.dest_fd = to.get();
  answer.dest_offset = s.offset;
  if (const long result = s.calls->ioctl(from.get(), FIDEDUPERANGE, buffer, sizeof buffer); result < 0) return from_call(result, "ioctl FIDEDUPERANGE");
  if (answer.status < 0) return {-answer.status, "FIDEDUPERANGE status"};
  if (answer.status == FILE_DEDUPE_RANGE_DIFFERS) return {EILSEQ, "the ranges differ, so nothing was shared"};
  return {0, "ioctl FIDEDUPERANGE"};
}
Outcome dedupe_to(const Subject& s) { return dedupe(s, s.donor, s.file); }
Outcome dedupe_from(const Subject& s) { return dedupe(s, s.file, s.donor); }

Outcome copy(const Subject& s, const std::string& source, const std::string& destination) {
  const Open from(s, source, O_RDONLY);
  if (!from.fd) return from.outcome();
  const Open to(s, destination, O_WRONLY);
  if (!to.fd) return to.outcome();
  auto in = static_cast<std::int64_t>(s.offset), out = in;
  return from_call(s.calls->copy_file_range(from.get(), &in, to.get(), &out, s.length), "copy_file_range");
}
Outcome copy_to(const Subject& s) { return copy(s, s.donor, s.file); }
Outcome copy_from(const Subject& s) { return copy(s, s.file, s.donor); }

/// Where the range ends with the file, there is no block behind it yet.
int grow_to(int file, std::uint64_t size) {
  struct stat status {};
  if (fstat(file, &status) != 0) return errno;
  return static_cast<std::uint64_t>(status.st_size) >= size || ftruncate(file, static_cast<off_t>(size)) == 0 ? 0 : errno;
}

/// The block behind the range is shared and written to, and then the last one of the range is written to, which was never shared: XFS has given
/// that its new place along with its neighbour.
Outcome share_beside(const Subject& s, const std::string& source, const std::string& destination) {
  const Open from(s, source, O_RDWR);
  if (!from.fd) return from.outcome();
  const Open to(s, destination, O_RDWR);
  if (!to.fd) return to.outcome();
  file_clone_range range{from.get(), s.end(), s.unit, s.end()};
  const auto clone_block = [&] { return from_call(s.calls->ioctl(to.get(), FICLONERANGE, &range, sizeof range), "ioctl FICLONERANGE"); };
  auto cloned = clone_block();
  if (cloned.error == EINVAL) {
    for (const int end : {from.get(), to.get()})
      if (const int error = grow_to(end, s.end() + s.unit)) return {error, "ftruncate to grow"};
    cloned = clone_block();
  }
  if (cloned.error) return cloned;
  const int file = source == s.file ? from.get() : to.get();
  std::vector<char> block(s.unit);
  for (const auto at : {s.end(), s.end() - s.unit}) {
    const auto size = static_cast<ssize_t>(block.size());
    if (pread(file, block.data(), block.size(), static_cast<off_t>(at)) != size) return {EIO, "pread"};
    if (pwrite(file, block.data(), block.size(), static_cast<off_t>(at)) != size) return {EIO, "pwrite"};
  }
  return from_libc(fsync(file), "fsync");
}
Outcome clone_beside_to(const Subject& s) { return share_beside(s, s.donor, s.file); }
Outcome clone_beside_from(const Subject& s) { return share_beside(s, s.file, s.donor); }

}  // namespace

std::vector<Action> share_actions() {
  // A copy breaks something only where the filesystem may share blocks instead (XFS); elsewhere it is a write, or a read.
  const auto action = [](std::string_view name, std::string_view source, std::string_view call, Outcome (*perform)(const Subject&)) {
    return Action{name, source, call, Kind::breaks, kAnyXfs, 0, kAnyXfs, kAnyXfs, kNeedsDonor, Needs::reflink, perform, nullptr};
  };
  const auto beside = [](std::string_view name, Outcome (*perform)(const Subject&)) {
    return Action{name,    "share-beside", "FICLONERANGE, the next block", Kind::breaks,   kAnyXfs, 0,
                  kAnyXfs, kAnyXfs,        kNeedsDonor | kOwnCalls,        Needs::reflink, perform, nullptr};
  };
  return {
      action("clone-to", "reflink", "FICLONE", clone_to),
      action("clone-from", "reflink-from", "FICLONE", clone_from),
      action("clone-range-to", "reflink", "FICLONERANGE", clone_range_to),
      action("clone-range-from", "reflink-from", "FICLONERANGE", clone_range_from),
      action("dedupe-to", "dedupe", "FIDEDUPERANGE", dedupe_to),
      action("dedupe-from", "dedupe-from", "FIDEDUPERANGE", dedupe_from),
      {"copy-to", "copy", "copy_file_range(2)", Kind::breaks, kWritable, 0, kAnyXfs, kAnyXfs, kNeedsDonor, Needs::nothing, copy_to, nullptr, Needs::reflink},
      {"copy-from", "copy-from", "copy_file_range(2)", Kind::breaks, kWritable, 0, kAnyXfs, kAnyXfs, kNeedsDonor, Needs::nothing, copy_from, nullptr,
       Needs::reflink},
      beside("clone-beside-to", clone_beside_to),
      beside("clone-beside-from", clone_beside_from),
  };
}

}  // namespace hf::actions
