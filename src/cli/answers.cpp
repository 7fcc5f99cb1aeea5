// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "cli/answers.hpp"

#include <array>
#include <ctime>

#include "cli/range.hpp"

namespace hf::cli {

const Json& member(const Json& object, const char* name) {
  static const Json nothing;
  const auto found = object.is_object() ? object.find(name) : object.end();
  return object.is_object() && found != object.end() ? *found : nothing;
}

std::string text_at(const Json& object, const char* name) {
  const Json& value = member(object, name);
  if (value.is_string()) return value.get<std::string>();
  return value.is_null() ? std::string() : dump(value);
}

std::uint64_t number_at(const Json& object, const char* name) {
  const Json& value = member(object, name);
  return value.is_number() ? value.get<std::uint64_t>() : 0;
}

bool flag_at(const Json& object, const char* name) {
  const Json& value = member(object, name);
  return value.is_boolean() && value.get<bool>();
}

std::string extent_text(const Json& extent) {
  if (!extent.is_object()) return {};
  const std::uint64_t first = number_at(extent, "first");
  const Json& end = member(extent, "end");
  return format_range(first, end.is_number() ? end.get<std::uint64_t>() - first : HF_LENGTH_TO_END);
}

std::string extents_text(const Json& extents) {
  constexpr std::size_t kShown = 3;
  if (!extents.is_array()) return {};
  std::string out;
  for (std::size_t i = 0; i < extents.size() && i < kShown; ++i) out += (i ? " " : "") + extent_text(extents[i]);
  if (extents.size() > kShown) out += fmt::format(" +{}", extents.size() - kShown);
  return out;
}

std::string process_text(const Json& process) { return fmt::format("{}[{}]", text_at(process, "comm"), number_at(process, "pid")); }

std::string age_text(double seconds) {
  if (seconds < 120) return fmt::format("{:.0f} s", seconds);
  if (seconds < 120 * 60) return fmt::format("{:.0f} min", seconds / 60);
  if (seconds < 48 * 3600) return fmt::format("{:.0f} h", seconds / 3600);
  return fmt::format("{:.0f} d", seconds / 86400);
}

std::string size_text(std::uint64_t bytes) {
  static constexpr std::array<const char*, 6> kUnits{"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
  auto value = static_cast<double>(bytes);
  std::size_t unit = 0;
  while (value >= 1024 && unit + 1 < kUnits.size()) {
    value /= 1024;
    ++unit;
  }
  return fmt::format("{:.{}f} {}", value, unit == 0 || value >= 100 || value == static_cast<double>(static_cast<std::uint64_t>(value)) ? 0 : 1, kUnits[unit]);
}

std::string local_time(const std::string& iso) {
  std::tm utc{};
  const char* rest = strptime(iso.c_str(), "%Y-%m-%dT%H:%M:%S", &utc);
  if (!rest) return iso;
  const std::time_t seconds = timegm(&utc);
  std::tm local{};
  localtime_r(&seconds, &local);
  std::array<char, 16> text{};
  std::strftime(text.data(), text.size(), "%H:%M:%S", &local);
  std::string fraction = rest;
  if (!fraction.empty() && fraction.back() == 'Z') fraction.pop_back();
  return text.data() + fraction;
}

std::string file_text(const Json& file) {
  const std::string path = text_at(file, "path");
  if (!path.empty()) return path;
  const Json& key = member(file, "file");
  if (!key.is_object()) return "a file of unknown name";
  return fmt::format("inode {} on device {}", number_at(key, "inode"), text_at(key, "device"));
}

std::string count_text(std::uint64_t count, const char* noun) { return fmt::format("{} {}{}", count, noun, count == 1 ? "" : "s"); }

}  // namespace hf::cli
