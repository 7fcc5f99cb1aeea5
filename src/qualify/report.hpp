// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// What `holdfast qualify` found, as JSON (holdfast.qualify/1) and as one page that needs nothing but itself.
#pragma once

#include "qualify/collect.hpp"
#include "qualify/finding.hpp"

namespace hf::qualify {

Json to_json(const Collected& collected, const std::vector<Finding>& findings, const std::string& host);

/// @param report as to_json() makes it @param history what holdfastd remembers: {"denials": [...], "escapes": [...], "leases": [...], "registrations": [...]}
std::string html(const Json& report, const Json& history);
/// What the page shows beside the verdicts.
Json history(const Collected& collected);

}  // namespace hf::qualify
