// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "cli/when.hpp"

#include <charconv>
#include <ctime>

namespace hf::cli {
namespace {

constexpr std::int64_t kDayMs = 86'400'000;

std::int64_t midnight(std::int64_t now_ms, int days_before) {
  const auto now = static_cast<std::time_t>(now_ms / 1000);
  std::tm day{};
  localtime_r(&now, &day);
  day.tm_hour = day.tm_min = day.tm_sec = 0;
  day.tm_mday -= days_before;
  day.tm_isdst = -1;
  return static_cast<std::int64_t>(std::mktime(&day)) * 1000;
}

std::optional<std::int64_t> ago(const std::string& text, std::int64_t now_ms) {
  if (text.size() < 3 || text[0] != '-') return {};
  std::int64_t count = 0;
  const auto [end, error] = std::from_chars(text.data() + 1, text.data() + text.size(), count);
  if (error != std::errc{} || count < 0 || count > 1'000'000) return {};
  const std::string unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
  if (unit == "s") return now_ms - count * 1000;
  if (unit == "m" || unit == "min") return now_ms - count * 60'000;
  if (unit == "h") return now_ms - count * 3'600'000;
  if (unit == "d") return now_ms - count * kDayMs;
  return {};
}

std::optional<std::int64_t> by_form(const std::string& text, const char* form, std::int64_t now_ms) {
  std::tm fields{};
  const auto now = static_cast<std::time_t>(now_ms / 1000);
  localtime_r(&now, &fields);
  fields.tm_hour = fields.tm_min = fields.tm_sec = 0;
  const char* rest = ::strptime(text.c_str(), form, &fields);
  if (!rest) return {};
  std::int64_t fraction_ms = 0;
  if (*rest == '.') {
    int digits = 0;
    for (++rest; *rest >= '0' && *rest <= '9'; ++rest, ++digits)
      if (digits < 3) fraction_ms = fraction_ms * 10 + (*rest - '0');
    for (; digits < 3; ++digits) fraction_ms *= 10;
  }
  const bool utc = *rest == 'Z' && !rest[1];
  if (*rest && !utc) return {};
  fields.tm_isdst = -1;
  const auto seconds = utc ? ::timegm(&fields) : std::mktime(&fields);
  return static_cast<std::int64_t>(seconds) * 1000 + fraction_ms;
}

}  // namespace

std::optional<std::int64_t> parse_time(const std::string& text, std::int64_t now_ms) {
  if (text == "now") return now_ms;
  if (text == "today") return midnight(now_ms, 0);
  if (text == "yesterday") return midnight(now_ms, 1);
  if (const auto before = ago(text, now_ms)) return before;
  for (const char* form : {"%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M", "%Y-%m-%d", "%H:%M:%S", "%H:%M"})
    if (const auto time = by_form(text, form, now_ms)) return time;
  return {};
}

}  // namespace hf::cli
