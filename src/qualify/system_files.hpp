// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// Small files of a machine, read whole, and their lines and words. What is not there reads as empty: absence is an answer.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace hf::qualify {

inline constexpr std::size_t kSystemFileBytes = 1 << 20;  ///< more of one file is not read

std::optional<std::string> text_of_file(const std::string& path);
/// The first line, without its newline.
std::string line_of_file(const std::string& path);
/// Where a symbolic link points; empty for anything else.
std::string link_target(const std::string& path);

/// Names in a folder, sorted; hidden ones and backups left out.
std::vector<std::string> names_in(const std::string& folder);
/// Paths of the regular files (or links to them) with that suffix, sorted by name.
std::vector<std::string> files_in(const std::string& folder, std::string_view suffix);
std::vector<std::string> folders_in(const std::string& folder);

std::string_view trimmed(std::string_view text);
std::vector<std::string> words_of(std::string_view text);
/// As they stand, so that their number is their place.
std::vector<std::string> plain_lines(std::string_view text);
/// Of unit files: joined where one ends in a backslash, trimmed, without comments.
std::vector<std::string> logical_lines(std::string_view text);
/// At ";", "&&", "||" and "|".
std::vector<std::string> split_commands(std::string_view text);
/// "rw,dax=always": the value of "dax"; "" for a word without one; none where it is not there.
std::optional<std::string> option_value(std::string_view options, std::string_view name);

}  // namespace hf::qualify
