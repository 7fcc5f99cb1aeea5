// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// Where kernel functions are: /proc/kallsyms, read once.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace hf {

class Kallsyms {
 public:
  struct Symbol {
    std::uint64_t address;
    std::string name;
    std::string module;  ///< empty for the kernel itself
  };
  /// @errors EACCES where addresses are hidden (kernel.kptr_restrict=2)
  static Result<Kallsyms> read(const char* path = "/proc/kallsyms");

  /// /proc/modules as it was before they were read: another text, and functions may have moved.
  const std::string& modules() const { return modules_; }

  const Symbol* find(std::string_view name) const;
  /// The function's bytes: from its address to the next function's.
  struct Span {
    std::uint64_t first, end;
  };
  std::optional<Span> span(std::string_view name) const;
  /// "name+0x12 [module]", or the bare address.
  std::string describe(std::uint64_t address) const;

 private:
  std::vector<Symbol> symbols_;  // functions, by address
  std::string modules_;
};

}  // namespace hf
