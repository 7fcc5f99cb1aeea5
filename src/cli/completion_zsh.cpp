// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "cli/completion.hpp"

namespace hf::cli {

namespace {

using Kind = Completion::Kind;

/// Within single quotes, inside [..] or before a colon.
std::string quoted(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '\'')
      out += "'\\''";
    else if (c == ':' || c == '[' || c == ']' || c == '\\')
      out += std::string("\\") + c;
    else
      out += c;
  }
  return out;
}

std::string action(const Completion& completion) {
  switch (completion.kind) {
    case Kind::kFiles:
      return "_files";
    case Kind::kFolders:
      return "_files -/";
    case Kind::kUsers:
      return "_users";
    case Kind::kAdapters:
      return "_files -W /sys/class/infiniband";
    case Kind::kWords:
      return fmt::format("({})", fmt::join(completion.words, " "));
    case Kind::kNothing:
      break;
  }
  return " ";
}

std::string value(const Completion& completion) { return fmt::format(":{}:{}", quoted(completion.what), action(completion)); }

std::string option_text(const CompletedOption& option) {
  const auto rest = fmt::format("[{}]{}", quoted(option.description), option.takes_value ? value(option.value) : "");
  if (option.letter.empty()) return fmt::format("'{}{}{}'", option.repeats ? "*" : "", option.name, rest);
  return fmt::format("'({0} {1})'{{{0},{1}}}'{2}'", option.letter, option.name, rest);
}

std::string arguments(const CompletedVerb& verb, const std::string& indent) {
  std::string out = "_arguments";
  for (const auto& option : verb.options) out += " \\\n" + indent + option_text(option);
  for (std::size_t i = 0; i < verb.places.size(); i++) {
    const bool on = verb.last_repeats && i + 1 == verb.places.size();
    out += fmt::format(" \\\n{}'{}{}'", indent, on ? "*" : std::to_string(i + 1), value(verb.places[i]));
  }
  if (verb.command) out += " \\\n" + indent + "'*::command:_normal'";
  return out;
}

/// A function for a verb that has verbs of its own, and for the command itself.
std::string function(const CompletedVerb& verb, const std::string& name) {
  std::string list, cases, options, more;
  for (const auto& each : verb.verbs) {
    list += fmt::format("    '{}:{}'\n", each.name, quoted(each.description));
    if (each.verbs.empty()) {
      cases += fmt::format("        {})\n          {} ;;\n", each.name, arguments(each, "            "));
    } else {
      cases += fmt::format("        {}) {}_{} ;;\n", each.name, name, each.name);
      more += function(each, name + "_" + each.name);
    }
  }
  for (const auto& option : verb.options) options += fmt::format("    {} \\\n", option_text(option));
  return more + fmt::format(R"({}() {{
  local context state line
  local -a verbs
  verbs=(
{}  )
  _arguments -C \
{}    '1:verb:->verb' \
    '*::argument:->argument'
  case $state in
    verb) _describe verb verbs ;;
    argument)
      case $line[1] in
{}      esac ;;
  esac
}}
)",
                            name, list, options, cases);
}

}  // namespace

std::string zsh_completion(const CompletedVerb& command) {
  return "#compdef holdfast\n# zsh completion for holdfast(1), as \"holdfast completion zsh\" prints it\n" + function(command, "_holdfast") +
         "_holdfast \"$@\"\n";
}

}  // namespace hf::cli
