// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// Every way to make a file shorter.
#include <fcntl.h>
#include <unistd.h>

#include "catalog/actions/action.hpp"

namespace hf::actions {
namespace {

off_t middle(const Subject& s) { return static_cast<off_t>(s.offset + (s.length > s.unit ? s.half() : 0)); }

Outcome by_path(const Subject& s) { return from_call(s.calls->truncate(s.file.c_str(), middle(s)), "truncate"); }

Outcome to_nothing(const Subject& s) { return from_call(s.calls->truncate(s.file.c_str(), 0), "truncate"); }

Outcome by_descriptor(const Subject& s) {
  const Open file(s, s.file, O_WRONLY);
  if (!file.fd) return file.outcome();
  s.opened();
  return from_call(s.calls->ftruncate(file.get(), middle(s)), "ftruncate");
}

Outcome open_as(const Subject& s, int flags, const char* call) {
  const long fd = s.calls->open(s.file.c_str(), flags | O_CLOEXEC, 0);
  if (fd >= 0) close(static_cast<int>(fd));
  return from_call(fd, call);
}
Outcome open_truncate(const Subject& s) { return open_as(s, O_RDWR | O_TRUNC, "open O_RDWR|O_TRUNC"); }
/// O_TRUNC takes effect even where the file is opened for reading.
Outcome open_truncate_read(const Subject& s) { return open_as(s, O_RDONLY | O_TRUNC, "open O_RDONLY|O_TRUNC"); }

Outcome by_creat(const Subject& s) {
  const long fd = s.calls->creat(s.file.c_str(), 0666);
  if (fd >= 0) close(static_cast<int>(fd));
  return from_call(fd, "creat");
}

}  // namespace

std::vector<Action> size_actions() {
  constexpr unsigned all = kEverywhere;
  const auto action = [](std::string_view name, std::string_view call, unsigned flags, Needs needs, Outcome (*perform)(const Subject&)) {
    return Action{name, "truncate", call, Kind::breaks, all, 0, all, all, flags, needs, perform, nullptr};
  };
  return {
      action("truncate", "truncate(2)", kByPath, Needs::nothing, by_path),
      action("truncate-zero", "truncate(2)", kByPath, Needs::nothing, to_nothing),
      action("ftruncate", "ftruncate(2)", kByRing, Needs::ring_ftruncate, by_descriptor),
      action("open-trunc", "open(2) O_TRUNC", kByPath | kByRing, Needs::nothing, open_truncate),
      action("open-trunc-read", "open(2) O_RDONLY|O_TRUNC", kByPath | kByRing, Needs::nothing, open_truncate_read),
      action("creat", "creat(2)", kByPath | kByRing, Needs::nothing, by_creat),
  };
}

}  // namespace hf::actions
