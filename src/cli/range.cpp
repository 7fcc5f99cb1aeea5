// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "cli/range.hpp"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <limits>

namespace hf::cli {

namespace {

constexpr std::string_view kUnits = "KMGT";
constexpr const char* kSizeHint = "Next: write bytes, or K, M, G, T for KiB to TiB: 4096, 64K, 1G";

}  // namespace

Result<std::uint64_t> parse_size(std::string_view text) {
  std::uint64_t value = 0;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc::result_out_of_range) return fail(EINVAL, fmt::format("\"{}\" is too large", text), kSizeHint);
  if (error != std::errc()) return fail(EINVAL, fmt::format("\"{}\" is not a size", text), kSizeHint);
  std::string unit(rest, text.data() + text.size());
  std::transform(unit.begin(), unit.end(), unit.begin(), [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  if (unit.empty() || unit == "B") return value;
  const auto power = kUnits.find(unit[0]);
  const std::string suffix = unit.substr(1);
  if (power == std::string_view::npos || (!suffix.empty() && suffix != "IB"))
    return fail(EINVAL, fmt::format("\"{}\" is not a size: what is \"{}\"?", text, std::string_view(rest, unit.size())), kSizeHint);
  const unsigned shift = 10u * (static_cast<unsigned>(power) + 1);
  if (value > std::numeric_limits<std::uint64_t>::max() >> shift) return fail(EINVAL, fmt::format("\"{}\" is too large", text), kSizeHint);
  return value << shift;
}

Result<hf_range> parse_range(std::string_view text) {
  const auto colon = text.find(':');
  if (colon == std::string_view::npos)
    return fail(EINVAL, fmt::format("\"{}\" is not a range", text), "Next: write OFFSET:LENGTH, as 0:64K; or OFFSET: for the rest of the file");
  HF_TRY_ASSIGN(const std::uint64_t offset, parse_size(text.substr(0, colon)));
  if (colon + 1 == text.size()) return hf_range{offset, 0};
  HF_TRY_ASSIGN(const std::uint64_t length, parse_size(text.substr(colon + 1)));
  if (length == 0)
    return fail(EINVAL, fmt::format("the range \"{}\" is empty", text),
                fmt::format("Next: leave the length out for the rest of the file: {}:", text.substr(0, colon)));
  if (offset > std::numeric_limits<std::uint64_t>::max() - length) return fail(EINVAL, fmt::format("the range \"{}\" is too large", text));
  return hf_range{offset, length};
}

Result<std::vector<hf_range>> fit_ranges(std::vector<hf_range> ranges, std::uint64_t size_bytes, std::string_view file) {
  if (size_bytes == 0)
    return fail(ENODATA, fmt::format("{} is empty: there is nothing to hold", file),
                fmt::format("Next: give it its size first, for instance: fallocate -l 1G {}", file));
  if (ranges.empty()) ranges.push_back({0, 0});
  for (hf_range& range : ranges) {
    if (range.offset_bytes >= size_bytes || range.length_bytes > size_bytes - range.offset_bytes)
      return fail(
          ERANGE,
          fmt::format("the range {} reaches beyond the end of {}, which has {} bytes", format_range(range.offset_bytes, range.length_bytes), file, size_bytes),
          range.offset_bytes < size_bytes ? fmt::format("Next: --range {}: holds what there is; or grow the file first", format_size(range.offset_bytes))
                                          : "Next: choose a range inside the file, or grow the file first");
    if (range.length_bytes == 0) range.length_bytes = size_bytes - range.offset_bytes;
  }
  std::vector<hf_range> sorted = ranges;
  std::sort(sorted.begin(), sorted.end(), [](const hf_range& a, const hf_range& b) { return a.offset_bytes < b.offset_bytes; });
  for (std::size_t i = 1; i < sorted.size(); ++i) {
    const hf_range &a = sorted[i - 1], &b = sorted[i];
    if (a.offset_bytes + a.length_bytes <= b.offset_bytes) continue;
    const std::uint64_t end = std::max(a.offset_bytes + a.length_bytes, b.offset_bytes + b.length_bytes);
    return fail(EINVAL, fmt::format("the ranges {} and {} overlap", format_range(a.offset_bytes, a.length_bytes), format_range(b.offset_bytes, b.length_bytes)),
                fmt::format("Next: ask for one range, --range {}", format_range(a.offset_bytes, end - a.offset_bytes)));
  }
  return ranges;
}

std::string format_size(std::uint64_t bytes) {
  std::size_t unit = 0;
  while (bytes != 0 && bytes % 1024 == 0 && unit < kUnits.size()) {
    bytes /= 1024;
    ++unit;
  }
  return unit == 0 ? std::to_string(bytes) : std::to_string(bytes) + kUnits[unit - 1];
}

std::string format_range(std::uint64_t offset_bytes, std::uint64_t length_bytes) {
  const bool to_end = length_bytes == 0 || length_bytes == HF_LENGTH_TO_END || offset_bytes + length_bytes == HF_LENGTH_TO_END;
  return format_size(offset_bytes) + ":" + (to_end ? "" : format_size(length_bytes));
}

}  // namespace hf::cli
