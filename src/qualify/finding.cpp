// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "qualify/finding.hpp"

#include <algorithm>

namespace hf::qualify {

std::string_view name(Mark mark) {
  switch (mark) {
    case Mark::pass:
      return "pass";
    case Mark::fail:
      return "fail";
    case Mark::risk:
      return "risk";
    case Mark::not_applicable:
      return "not applicable";
  }
  return "?";
}

std::string_view name(Fix::Kind kind) {
  switch (kind) {
    case Fix::Kind::seal:
      return "seal";
    case Fix::Kind::sysctl:
      return "sysctl";
    case Fix::Kind::unit:
      return "unit";
  }
  return "?";
}

bool qualified(const std::vector<Finding>& findings) { return !findings.empty() && count(findings, Mark::fail) == 0; }

std::size_t count(const std::vector<Finding>& findings, Mark mark) {
  return static_cast<std::size_t>(std::count_if(findings.begin(), findings.end(), [mark](const Finding& finding) { return finding.mark == mark; }));
}

nlohmann::ordered_json to_json(const Finding& finding) {
  return {{"id", finding.id},       {"area", finding.area()},           {"what", finding.what}, {"verdict", name(finding.mark)}, {"evidence", finding.evidence},
          {"mends", finding.mends}, {"fixable", !finding.fixes.empty()}};
}

}  // namespace hf::qualify
