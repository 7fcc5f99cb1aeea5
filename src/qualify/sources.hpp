// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// The catalogue against the running kernel: which sources exist here, and whether the functions that it names are really there.
#pragma once

#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/result.hpp"
#include "catalog/break_sources.hpp"

namespace hf::qualify {

/// How a KernelPart of the catalogue stands here.
enum class Presence : std::uint8_t {
  here,
  not_loaded,  ///< its module is on this machine, but not loaded
  absent,      ///< this kernel has no such function or module
  unknown,     ///< can't be asked
};
std::string_view name(Presence presence);

/// The functions of the running kernel, its loaded modules, and the modules that it could load.
class KernelView {
 public:
  /// @param root in whose place / stands, for tests
  static Result<KernelView> read(const std::string& root = "");

  const std::string& release() const { return release_; }
  Presence presence(std::string_view part) const;
  /// Could the part's function be here: is it the kernel's, or of a module that this kernel has?
  bool has_module_of(std::string_view part) const;
  /// Has the kernel's BTF the function, so that a BPF program can be attached to it? Of the kernel itself only, not of modules.
  bool in_btf(std::string_view function) const { return btf_functions_.contains(std::string(function)); }
  bool has_btf() const { return !btf_functions_.empty(); }

 private:
  Presence presence_of_one(std::string_view part) const;
  std::string release_;
  std::unordered_map<std::string, std::unordered_set<std::string>> functions_;  // by module; "" is the kernel itself
  std::unordered_set<std::string> modules_;                                     // that could be loaded
  std::unordered_set<std::string> btf_functions_;
};

/// Does the source exist on this kernel?
Presence presence(const BreakSource& source, const KernelView& kernel);

struct KernelFinding {
  std::string what;  ///< "punch: vfs_fallocate"
  Presence presence;
  bool wrong;  ///< the catalogue or the gate names what is not there
};
/// Every function of every source that exists here, and the hooks that the gate stands on.
std::vector<KernelFinding> check_kernel(const KernelView& kernel);

}  // namespace hf::qualify
