// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// Pieces of holdfastd's answers (docs/json.md) in words. A member that is missing or null reads as empty: an older or newer daemon's answer still shows.
#pragma once

#include <cstdint>
#include <string>

#include "cli/daemon_client.hpp"

namespace hf::cli {

std::string text_at(const Json& object, const char* name);
std::uint64_t number_at(const Json& object, const char* name);
bool flag_at(const Json& object, const char* name);
/// An object or array; a null where there is none.
const Json& member(const Json& object, const char* name);

/// "0:64K": {"first": 0, "end": 65536}; an end of null is the end of the file.
std::string extent_text(const Json& extent);
/// The first few, then how many more.
std::string extents_text(const Json& extents);
/// "name[12]", and the user where it isn't the caller
std::string process_text(const Json& process);
/// "5 s", "3 min", "2 h", "9 d"
std::string age_text(double seconds);
/// "64 KiB", rounded to three digits
std::string size_text(std::uint64_t bytes);
/// The local time of day of "2025-01-31T12:00:00.123Z"; what it is given, where that is something else.
std::string local_time(const std::string& iso);
/// "path", or what is known of the file where the path isn't.
std::string file_text(const Json& file);
/// "1 lease", "2 leases"
std::string count_text(std::uint64_t count, const char* noun);

}  // namespace hf::cli
