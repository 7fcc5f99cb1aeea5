// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "cli/completion.hpp"

namespace hf::cli {

namespace {

using Kind = Completion::Kind;

std::string quoted(const std::string& text) {
  std::string out = "'";
  for (const char c : text) {
    if (c == '\'' || c == '\\') out += '\\';
    out += c;
  }
  return out + "'";
}

std::string names(const std::vector<CompletedVerb>& verbs) {
  std::string out;
  for (const auto& verb : verbs) out += (out.empty() ? "" : " ") + verb.name;
  return out;
}

/// @param value of an option: it must be there
std::string arguments(const Completion& completion, bool value) {
  switch (completion.kind) {
    case Kind::kFiles:
      return value ? " -r -F" : " -F";
    case Kind::kFolders:
      return fmt::format(" {}-a '(__fish_complete_directories)'", value ? "-x " : "");
    case Kind::kUsers:
      return fmt::format(" {}-a '(__fish_complete_users)'", value ? "-x " : "");
    case Kind::kAdapters:
      return fmt::format(" {}-a '(ls /sys/class/infiniband 2>/dev/null)'", value ? "-x " : "");
    case Kind::kWords:
      return fmt::format(" {}-a '{}'", value ? "-x " : "", fmt::join(completion.words, " "));
    case Kind::kNothing:
      break;
  }
  return value ? " -x" : "";
}

void lines(const CompletedVerb& verb, const std::string& condition, std::string& out) {
  const auto start = "complete -c holdfast" + (condition.empty() ? std::string() : fmt::format(" -n '{}'", condition));
  for (const auto& option : verb.options)
    out += fmt::format("{} -l {}{}{} -d {}\n", start, option.name.substr(2), option.letter.empty() ? "" : " -s " + option.letter.substr(1),
                       option.takes_value ? arguments(option.value, true) : "", quoted(option.description));
  for (const auto& place : verb.places)
    if (place.kind != Kind::kNothing) out += start + arguments(place, false) + "\n";
  const auto none = fmt::format("{}not __fish_seen_subcommand_from {}", condition.empty() ? "" : condition + "; and ", names(verb.verbs));
  for (const auto& each : verb.verbs) {
    out += fmt::format("complete -c holdfast -n '{}' -a {} -d {}\n", none, each.name, quoted(each.description));
    lines(each, fmt::format("{}__fish_seen_subcommand_from {}", condition.empty() ? "" : condition + "; and ", each.name), out);
  }
}

}  // namespace

std::string fish_completion(const CompletedVerb& command) {
  std::string out = "# fish completion for holdfast(1), as \"holdfast completion fish\" prints it\ncomplete -c holdfast -f\n";
  lines(command, "", out);
  return out;
}

}  // namespace hf::cli
