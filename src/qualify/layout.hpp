// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// Which blocks and pages are behind a range of a file: taken before an operation and compared after it.
//
// Blocks are told by FIEMAP, which on FS-DAX is the whole truth. Where pages are the file (tmpfs, hugetlbfs) or stand before it (page cache), one page of
// each unit is held as an adapter would hold it, and a mark written into the file must be read back from the held page.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/fd.hpp"
#include "base/result.hpp"
#include "catalog/actions/action.hpp"

namespace hf::qualify {

class Layout {
 public:
  /// @param fd open for reading and writing
  /// @param hold_pages false: only blocks are compared, and no page is held
  static Result<Layout> take(int fd, const actions::Place& place, std::uint64_t offset, std::uint64_t length, bool hold_pages = true);

  /// Writes into the range, where pages are held. @param fd of the same file @return what is no more as it was: "", "the file is shorter", "other blocks",
  /// "other pages"
  Result<std::string> changed(int fd);

 private:
  struct Block {
    std::uint64_t logical, physical, length;
    std::uint32_t flags;
    bool operator==(const Block&) const = default;
  };
  Layout(int fd, const actions::Place& place, std::uint64_t offset, std::uint64_t length) : fd_(fd), place_(place), offset_(offset), length_(length) {}
  Result<std::vector<Block>> blocks() const;
  Status hold_pages();
  Result<bool> pages_moved();

  int fd_;
  actions::Place place_;
  std::uint64_t offset_, length_;
  std::vector<Block> blocks_;
  Fd pages_out_, pages_in_;  // a pipe with one page of each unit in it
  std::uint32_t mark_ = 0;
};

}  // namespace hf::qualify
