// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "cli/suggest.hpp"

#include <algorithm>

namespace hf::cli {

namespace {

/// Letters to add, drop or change, or neighbours to swap, that make one word of the other.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::vector<std::size_t>> cost(a.size() + 1, std::vector<std::size_t>(b.size() + 1));
  for (std::size_t i = 0; i <= a.size(); ++i) cost[i][0] = i;
  for (std::size_t j = 0; j <= b.size(); ++j) cost[0][j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    for (std::size_t j = 1; j <= b.size(); ++j) {
      cost[i][j] = std::min({cost[i - 1][j] + 1, cost[i][j - 1] + 1, cost[i - 1][j - 1] + (a[i - 1] != b[j - 1])});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) cost[i][j] = std::min(cost[i][j], cost[i - 2][j - 2] + 1);
    }
  }
  return cost[a.size()][b.size()];
}

}  // namespace

std::string nearest(std::string_view word, const std::vector<std::string>& known) {
  std::string best;
  std::size_t best_distance = 0;
  for (const std::string& candidate : known) {
    // A beginning counts as near: "reg" means "registrations".
    const bool begins = word.size() >= 2 && candidate.starts_with(word);
    const std::size_t far = begins ? 0 : distance(word, candidate);
    if (!begins && far > std::max<std::size_t>(1, candidate.size() / 3)) continue;
    if (best.empty() || far < best_distance) {
      best = candidate;
      best_distance = far;
    }
  }
  return best;
}

}  // namespace hf::cli
