// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// Configuration: the text of /etc/holdfast/holdfast.toml and conf.d/*.toml, checked into a Policy. The daemon and `holdfast config check` take the same way;
// holdfast.toml(5) says what each key means.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lease/policy.hpp"

namespace hf {

inline constexpr const char* kConfigurationDirectory = "/etc/holdfast";
/// Written by `holdfast guard`, `unguard` and `hold --persist`.
inline constexpr const char* kManagedFile = "conf.d/80-managed.toml";

struct SourceText {
  std::string path;
  std::string text;
};

/// What is wrong (or odd) where.
struct Problem {
  std::string file;
  std::uint32_t line = 0;
  std::uint32_t column = 0;
  std::string message;
  std::string hint;
  /// "FILE:LINE:COLUMN: MESSAGE", and the hint on its own line.
  std::string text() const;
};

struct Configuration {
  Policy policy;
  std::vector<Problem> errors;  ///< with any, the policy is not to be used
  std::vector<Problem> warnings;
  std::vector<std::string> files;

  /// The errors as one.
  Status usable() const;
};

/// Names of users and groups to numbers.
struct Names {
  std::function<std::optional<std::uint32_t>(std::string_view)> user;
  std::function<std::optional<std::uint32_t>(std::string_view)> group;
  /// The local databases, as they are now. Directory services are not asked: they can block. A number is its own name.
  static Names local(const std::string& passwd_file = "/etc/passwd", const std::string& group_file = "/etc/group");
};

/// Pure: all the files together, in their order. A key of a later file replaces that of an earlier one; [[mount]] and [[hold]] add up.
Configuration check_configuration(const std::vector<SourceText>& sources, const Names& names);

/// holdfast.toml, then conf.d/*.toml by name. A folder or file that isn't there is an empty one; one that can't be read, or that others than root could
/// have written, is an error.
Result<std::vector<SourceText>> read_sources(const std::string& directory);

/// A change of the managed file, as its new text.
struct ManagedChange {
  enum class Kind { guard, unguard, hold, forget } kind = Kind::guard;
  std::string path;                ///< mount point, or file
  std::vector<std::string> seals;  ///< guard
  std::vector<SealException> exceptions;
  bool settle = false;  ///< hold
};
/// @param text of the managed file now; empty where there is none. @return what to write instead
Result<std::string> change_managed(const std::string& text, const ManagedChange& change);
/// Durable, and all or nothing.
Status write_managed(const std::string& directory, const std::string& text);

/// "90", "90s", "5min", "2h", "3d" → seconds
std::optional<std::uint64_t> parse_duration_s(std::string_view text);
/// "4096", "64K", "10GiB" → bytes
std::optional<std::uint64_t> parse_bytes(std::string_view text);

}  // namespace hf
