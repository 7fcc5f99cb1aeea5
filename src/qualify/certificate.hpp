// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// The certificate: what was qualified, on what machine, with which results; and what differs from it now. Pure.
#pragma once

#include "base/result.hpp"
#include "qualify/facts.hpp"
#include "qualify/finding.hpp"

namespace hf::qualify {

using Json = nlohmann::ordered_json;

/// What a certificate vouches for: by section ("kernel", "filesystem", ...) a list of keys, each with one line of text. Only what stays the same while nothing
/// changes is in it.
Json subject(const Facts& facts);

/// @param host the machine's name
Json certificate(const Facts& facts, const std::vector<Finding>& findings, const std::string& host);

struct Change {
  std::string section, key;
  std::string before, after;  ///< empty: was not there, is not there
};

/// Reads one. @errors EINVAL where it is none, or where it was changed after it was made
Result<Json> read_certificate(std::string_view text);
/// @param findings of now, without proof: what was proved then is not tried again
std::vector<Change> changes(const Json& certificate, const Facts& facts, const std::vector<Finding>& findings);
std::vector<Change> compare(const Json& before, const Json& after);

Json to_json(const Change& change);
/// "kernel release: 6.1.0 is now 6.12.0"
std::string text(const Change& change);

}  // namespace hf::qualify
