// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// What the daemon knows, as JSON. docs/json.md says what each field means; fields are added, never changed, within a version of a schema.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "daemon/denial_log.hpp"
#include "daemon/escape_log.hpp"
#include "kernel/identity.hpp"
#include "lease/table.hpp"

namespace hf {

using Json = nlohmann::ordered_json;

/// Text that is always valid UTF-8: file names need not be.
std::string json_text(const Json& value);
/// Puts a text behind others, in quotes.
void add_json_string(std::string& to, std::string_view text);

Json extent_json(const Extent& extent);
Json extents_json(const ExtentSet& extents);
Json file_key_json(const hf_file_key& key);
Json reasons_json(std::uint32_t reasons);
Json breaker_json(const Breaker& breaker);
Json denial_json(const Denial& denial);
Json holder_json(const Lease& lease);

/// Events for watchers.
std::string denial_event_json(const Denial& denial);
/// "escape", or "traced" for one that was asked for
std::string escape_event_json(const Escape& escape);
/// @param event "registration", "registration_ended", "lease", "lease_ended"
/// @param time_ns CLOCK_BOOTTIME
/// @param found true: it was there before this daemon was
std::string lease_event_json(std::string_view event, const Lease& lease, std::uint64_t time_ns, bool found = false);
/// @param event "denials_lost", "escapes_lost": their events found the kernel's buffer full (denied all the same)
std::string lost_event_json(const char* event, std::uint64_t count);

}  // namespace hf
