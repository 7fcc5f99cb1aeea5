// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// What a check of `holdfast qualify` says: a verdict, what it was seen by, and what mends it.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace hf::qualify {

enum class Mark : std::uint8_t {
  pass,
  fail,            ///< a layout could break, or would not be protected: the mount is not qualified
  risk,            ///< not proved safe, or beyond what software can refuse; told, and no obstacle
  not_applicable,  ///< there is nothing here to check
};
std::string_view name(Mark mark);

/// What --fix can do by itself, and undo.
struct Fix {
  enum class Kind : std::uint8_t {
    seal,    ///< guard `subject`, a mount point, and seal it against `value`, besides what it is sealed against
    sysctl,  ///< set `subject` ("kernel.ftrace_enabled") to `value`, now and for each boot
    unit,    ///< keep the systemd unit `subject` from starting, by a drop-in
  } kind;
  std::string subject;
  std::string value;
  friend bool operator==(const Fix&, const Fix&) = default;
};
std::string_view name(Fix::Kind kind);

struct Finding {
  std::string id;  ///< "kernel.bpf-lsm"; stable
  std::string what;
  Mark mark = Mark::pass;
  std::vector<std::string> evidence;
  std::vector<std::string> mends;  ///< commands, in their order
  std::vector<Fix> fixes{};        ///< those of the mends that --fix carries out

  std::string area() const { return id.substr(0, id.find('.')); }
};

/// No check has failed.
bool qualified(const std::vector<Finding>& findings);
std::size_t count(const std::vector<Finding>& findings, Mark mark);

nlohmann::ordered_json to_json(const Finding& finding);

}  // namespace hf::qualify
