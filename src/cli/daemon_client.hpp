// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// The CLI as an ordinary client of libholdfast, with its failures turned into words.
#pragma once

#include <holdfast/holdfast.hpp>
#include <nlohmann/json.hpp>

#include "cli/cli.hpp"

namespace hf::cli {

using Json = nlohmann::ordered_json;

Result<holdfast::Session> connect(const Cli& cli);

/// @param fd of the file that the question is about; -1: none
Result<Json> query(holdfast::Session& session, const Json& request, int fd = -1);
/// Connects, asks, disconnects.
Result<Json> ask(const Cli& cli, const Json& request, int fd = -1);

/// The failure of the session's last call.
Error last_error(const holdfast::Session& session, int code);

/// JSON as it is printed: strings that are not UTF-8 (names of files may be anything) don't stop it.
std::string dump(const Json& json, int indent = -1);

}  // namespace hf::cli
