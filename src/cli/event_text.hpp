// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// Events as one readable line each.
#pragma once

#include <cstdint>
#include <string>

#include "cli/daemon_client.hpp"
#include "cli/terminal.hpp"
#include "holdfast/holdfast.h"

namespace hf::cli {

/// An event on a lease of our own.
std::string event_text(const hf_lease_event& event, const std::string& path);
Json event_json(const hf_lease_event& event, const std::string& path);

/// An event of hf_watch(): "TIME  OPERATION RANGE  FILE  ERRNO  BREAKER".
std::string watch_text(const Json& event, const Terminal& terminal);

/// The breaker of a denial: "name (/path/of/executable), process 12 of user, in unit: command line".
std::string breaker_text(const Json& breaker);
/// Why a denial that is not on the leased bytes themselves: "  (...)"; empty where it is.
std::string why_text(const Json& denial);

std::string errno_name(int code);

}  // namespace hf::cli
