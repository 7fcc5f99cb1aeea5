// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// Gathers what the daemon and the gate count into one scrape.
#pragma once

#include <map>
#include <string>

#include "daemon/core.hpp"
#include "daemon/metrics.hpp"
#include "daemon/queries.hpp"
#include "journal/journal.hpp"

namespace hf {

/// What only shows as it passes.
struct Passing {
  std::map<std::uint32_t, std::uint64_t> denials;  ///< by enum hf_op
  Durations denial_delay;                          ///< from the refusal until it is known here
};

std::string metrics_text(MetricsText::Form form, const Core& core, const ServerFacts& server, const Passing& passing, const Journal* journal,
                         const NodeIdentity& node);

}  // namespace hf
