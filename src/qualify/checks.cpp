// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "qualify/checks.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace hf::qualify {

std::vector<Finding> judge(const Facts& facts) {
  std::vector<Finding> findings;
  for (const auto checks : {kernel_checks(), filesystem_checks(), adapter_checks(), gate_checks(), neighbour_checks(), proof_checks()})
    for (const Check check : checks) findings.push_back(check(facts));
  return findings;
}

std::vector<std::string> wanted_seals(const FilesystemFacts& filesystem) {
  if (filesystem.type == "xfs") return {"reflink", "dedupe", "exchange", "loop"};
  if (filesystem.type == "ext4") return {"exchange", "loop"};
  return {"loop"};
}

std::string bytes_text(std::uint64_t bytes) {
  if (bytes == UINT64_MAX) return "no limit";
  constexpr std::array kUnits{"bytes", "KiB", "MiB", "GiB", "TiB"};
  std::size_t unit = 0;
  double value = static_cast<double>(bytes);
  while (value >= 1024 && unit + 1 < kUnits.size()) value /= 1024, unit++;
  return fmt::format("{:.3g} {}", value, kUnits[unit]);
}

std::string quoted(const std::string& word) {
  const bool plain = !word.empty() && std::all_of(word.begin(), word.end(), [](unsigned char c) {
    return std::isalnum(c) || std::string_view("_-./:=,@%+").find(static_cast<char>(c)) != std::string_view::npos;
  });
  if (plain) return word;
  std::string out = "'";
  for (const char c : word) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

}  // namespace hf::qualify
