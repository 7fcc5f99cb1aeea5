// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// Ranges of a file as people write them: OFF:LEN, each with K, M, G or T for KiB, MiB, GiB or TiB.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "holdfast/holdfast.h"

namespace hf::cli {

/// "4096", "64K", "64KiB", "1G". Case does not matter; powers of ten ("KB") are refused, since a layout has none.
Result<std::uint64_t> parse_size(std::string_view text);

/// "OFF:LEN", or "OFF:" for the rest of the file (length_bytes 0).
Result<hf_range> parse_range(std::string_view text);

/// Checks what was asked for against the file, and puts lengths where they were left out.
Result<std::vector<hf_range>> fit_ranges(std::vector<hf_range> ranges, std::uint64_t size_bytes, std::string_view file);

/// The way back: the shortest exact "OFF:LEN", "OFF:" for a length of ~0.
std::string format_size(std::uint64_t bytes);
std::string format_range(std::uint64_t offset_bytes, std::uint64_t length_bytes);

}  // namespace hf::cli
