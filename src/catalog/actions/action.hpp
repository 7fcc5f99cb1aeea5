// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// The actions of the catalogue: each performs one break source, or one of the controls that must stay legal, on a scratch file. An action says where it can run
// and what comes of it there, so that the probe can hold the kernel to it. How it is issued (by which system calls, from where, as whom) is the route's.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.hpp"
#include "catalog/actions/calls.hpp"

namespace hf::actions {

/// Kinds of filesystem, as bits.
enum Where : unsigned {
  kXfsDax = 1 << 0,
  kXfs = 1 << 1,
  kExt4Dax = 1 << 2,
  kExt4 = 1 << 3,
  kTmpfs = 1 << 4,
  kHugetlbfs = 1 << 5,
  kNowhere = 0,
  kAnyXfs = kXfsDax | kXfs,
  kAnyExt4 = kExt4Dax | kExt4,
  kPageCached = kXfs | kExt4,
  kDisk = kAnyXfs | kAnyExt4,
  kWritable = kDisk | kTmpfs,  ///< hugetlbfs has no write(2)
  kEverywhere = kWritable | kHugetlbfs,
};

struct Outcome {
  int error = 0;       ///< 0, or the positive errno of the operation itself
  std::string detail;  ///< which call it was that answered
};

/// What an action works on.
struct Subject {
  std::string file;
  std::uint64_t offset = 0;  ///< the leased range
  std::uint64_t length = 0;
  std::uint64_t unit = 4096;  ///< the filesystem's block, or the huge page
  std::string donor;          ///< another file of the same filesystem, of the same size; content too
  std::string scratch;        ///< a folder of the same filesystem
  bool wait = false;          ///< after opening, say so and wait for a line of standard input
  int early = -1;             ///< a descriptor of `file`, open for reading and writing, to be used instead of opening it
  std::string prepared;       ///< what Action::prepare left for the action
  const Calls* calls = &native_calls();

  std::uint64_t end() const { return offset + length; }
  /// Half of the range, in whole units, but never nothing.
  std::uint64_t half() const;
  /// To be called by actions that open first and act later.
  void opened() const;
};

enum class Kind : std::uint8_t { breaks, control };

/// What an action takes beyond a file that may be written; bits of Action::flags.
enum ActionFlags : unsigned {
  kNeedsRoot = 1 << 0,
  kNeedsDonor = 1 << 1,
  kByPath = 1 << 2,        ///< opens nothing before it acts: a descriptor from before the lease is no other way
  kByRing = 1 << 3,        ///< io_uring has a request for it
  kOwnCalls = 1 << 4,      ///< issues calls of its own, always native ones
  kInPlace = 1 << 5,       ///< works on the file's name or its folder: not by another path
  kBefore = 1 << 6,        ///< what it does must have begun before the lease: prepare() does that
  kNoOverlay = 1 << 7,     ///< overlayfs does not pass it on
  kNoCompat = 1 << 8,      ///< the filesystem does not know it from a 32-bit program
  kUnheld = 1 << 9,        ///< the kernel itself refuses it while someone holds the file's pages: no page is held to see what it does
  kNoWriter = 1 << 10,     ///< the kernel itself refuses it while someone has the file open for writing
  kOnlyOverlay = 1 << 11,  ///< the same by other routes is another source
  kPerhaps = 1 << 12,      ///< whether it changes something is not decided by what can be asked: both are as the catalogue says
};

/// What a kernel or filesystem must have for an action, beyond its kind; asked of the kernel, never of its version.
enum class Needs : std::uint8_t {
  nothing,
  ring_ftruncate,  ///< IORING_OP_FTRUNCATE; of the ring routes only
  file_setattr,    ///< file_setattr(2)
  exchange_range,  ///< XFS made with exchange=1, and a kernel that knows it
  commit_range,    ///< as well
  reflink,         ///< XFS made with reflink=1
  write_zeroes,    ///< FALLOC_FL_WRITE_ZEROES and a device that can
  verity,          ///< ext4 made with -O verity
  block_map,       ///< ext4: a file without extents
  file_version,    ///< ext4 made without metadata_csum
  loop,            ///< /dev/loop-control
  backing_files,   ///< overlayfs with fs/backing-file.c, from 6.8
};

struct Action {
  std::string_view name;
  std::string_view source;  ///< id of the catalogue's entry; "control" for what breaks nothing
  std::string_view call;    ///< how it reaches the kernel
  Kind kind;
  unsigned runs;     ///< Where it must be able to run, when no lease is in the way and `needs` is met
  unsigned may_run;  ///< Where it can run on some kernels or configurations only, for reasons that can't be asked
  unsigned refused;  ///< Where the gate refuses it on leased bytes
  unsigned moves;    ///< Where it changes which blocks or pages are behind the range, when nobody refuses it
  unsigned flags = 0;
  Needs needs = Needs::nothing;
  Outcome (*perform)(const Subject&) = nullptr;
  /// Puts the file into the state in which there is something to move, without a lease; or begins what must have begun before it.
  Outcome (*prepare)(Subject&) = nullptr;
  Needs moves_needs = Needs::nothing;  ///< what must be met for `moves` to be true

  bool is(ActionFlags flag) const { return flags & flag; }
};

const std::vector<Action>& actions();
const Action* find_action(std::string_view name);

// Opening a file, with the error as the outcome: `Open file(s, path, flags); if (!file.fd) return file.outcome();`
struct Open {
  /// The subject's early descriptor, where there is one and the path is its file's.
  Open(const Subject& subject, const std::string& path, int flags, unsigned mode = 0);
  Outcome outcome() const { return {error, "open"}; }
  int get() const { return fd.get(); }
  hf::Fd fd;
  int error = 0;
};

/// The outcome of a call of Calls: 0 and more, or the negative errno.
Outcome from_call(long result, const char* call);
/// The outcome of a C library call that answers -1 and errno.
Outcome from_libc(long result, const char* call);

/// The tables of the parts, in the order in which they run.
std::vector<Action> size_actions();
std::vector<Action> fallocate_actions();
std::vector<Action> share_actions();
std::vector<Action> exchange_actions();
std::vector<Action> attribute_actions();
std::vector<Action> cache_actions();
std::vector<Action> device_actions();
std::vector<Action> control_actions();

/// What was found out about the place where the files are.
struct Place {
  Where where = kNowhere;
  std::uint64_t unit = 4096;  ///< a huge page on hugetlbfs, a block elsewhere
  bool reflink = false;       ///< XFS
  bool exchange = false;      ///< XFS
};
/// @throws std::runtime_error on a filesystem that the catalogue does not know
Place place_of(const std::string& path);
/// Does this kernel and place have what the action needs? Reads /proc/kallsyms once.
bool has(Needs needs, const Place& place);
std::string_view name(Where where);
/// Does it change what is behind the range, there, when nobody refuses it?
bool moves(const Action& action, const Place& place);
/// Why it can't run, for people.
std::string_view text(Needs needs);

}  // namespace hf::actions
