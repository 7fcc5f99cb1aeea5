// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// The operations of hf-lab-break: what each is called, where it can run and the function that performs it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/fd.hpp"

namespace lab {

/// The filesystems of the lab, as bits.
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
  kDisk = kAnyXfs | kAnyExt4,
  kEverywhere = kDisk | kTmpfs | kHugetlbfs,
};

struct Outcome {
  int error = 0;       ///< 0, or the positive errno of the operation itself
  std::string detail;  ///< which call it was that answered
};

/// What an operation works on.
struct Subject {
  std::string file;
  std::uint64_t offset = 0;  ///< the leased range
  std::uint64_t length = 0;
  std::uint64_t unit = 4096;  ///< the filesystem's block, or the huge page
  std::string donor;          ///< another file of the same filesystem, of the same size; content too
  std::string scratch;        ///< a folder of the same filesystem
  bool wait = false;          ///< after opening, say so and wait for a line of standard input

  std::uint64_t end() const { return offset + length; }
  /// Half of the range, in whole units, but never nothing.
  std::uint64_t half() const;
  /// To be called by operations that open first and act later.
  void opened() const;
};

enum class Class { breaks, control };

struct Operation {
  const char* name;
  const char* group;  ///< the class of the break source
  const char* route;  ///< how it reaches the kernel
  Class kind;
  unsigned runs;     ///< Where it must be able to run, when no lease is in the way
  unsigned may_run;  ///< Where it can run on some kernels or configurations only
  unsigned breaks;   ///< Where it breaks the layout; elsewhere it is a control
  bool needs_root;
  bool needs_donor;
  Outcome (*perform)(const Subject&);
};

const std::vector<Operation>& operations();

// Opening a file, with the error as the outcome: `Open file(path, flags); if (!file.fd) return file.outcome();`
struct Open {
  Open(const std::string& path, int flags, unsigned mode = 0);
  Outcome outcome() const { return {error, "open"}; }
  int get() const { return fd.get(); }
  hf::Fd fd;
  int error = 0;
};

/// The outcome of a system call that answers -1 and errno.
Outcome from_call(long result, const char* call);

/// The tables of the parts, in the order in which `all` runs them.
std::vector<Operation> size_operations();
std::vector<Operation> fallocate_operations();
std::vector<Operation> share_operations();
std::vector<Operation> exchange_operations();
std::vector<Operation> attribute_operations();
std::vector<Operation> uring_operations();
std::vector<Operation> control_operations();

/// Where a file is. @throws std::runtime_error on a filesystem that the lab does not know
Where where_is(const std::string& path);
const char* name_of(Where where);

}  // namespace lab
