// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// What --fix does, and how it is undone: each step is written down, durably, before it is taken.
#pragma once

#include <functional>

#include "base/result.hpp"
#include "qualify/finding.hpp"

namespace hf::qualify {

using Json = nlohmann::ordered_json;

/// Where the record of what was done stands.
inline constexpr const char* kUndoFile = "/var/lib/holdfast/qualify-undo.json";

/// What the fixes act through.
struct Hands {
  std::string root;  ///< in whose place / stands
  std::string undo_file = kUndoFile;
  std::function<Result<Json>(const Json& order)> daemon;                       ///< an order, or a query
  std::function<Status(const std::vector<std::string>& arguments)> systemctl;  ///< does nothing where systemd does not run
};

/// The fixes of all findings, each once; the seals of one mount as one.
std::vector<Fix> fixes_of(const std::vector<Finding>& findings);
/// "seal /mnt/pool against reflink,dedupe", for people.
std::string text(const Fix& fix);

/// Ends at the first that fails; what was done before it stays, and is in the record.
Status apply(const std::vector<Fix>& fixes, const Hands& hands);
/// For people; both empty where there was nothing.
struct Undone {
  std::vector<std::string> done;
  std::vector<std::string> left;  ///< what somebody has changed since: it stays as it is, and is off the record
};
/// The last first. Ends at the first that fails; what is left of the record can be tried again.
Result<Undone> undo(const Hands& hands);

}  // namespace hf::qualify
