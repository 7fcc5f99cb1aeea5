// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// Points in time as people write them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace hf::cli {

inline constexpr const char* kTimeForms =
    "\"2025-01-31\", \"2025-01-31 12:00\" (local), \"2025-01-31T12:00:00Z\" (UTC), \"12:00\", \"today\", \"yesterday\", \"now\", \"-2h\"";

/// @return milliseconds since 1970, UTC; nothing where it is none of kTimeForms
std::optional<std::int64_t> parse_time(const std::string& text, std::int64_t now_ms);

}  // namespace hf::cli
