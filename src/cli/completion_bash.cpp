// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <set>

#include "cli/completion.hpp"

namespace hf::cli {

namespace {

using Kind = Completion::Kind;

/// The call that fills COMPREPLY for one place.
std::string filling(const Completion& completion) {
  switch (completion.kind) {
    case Kind::kFiles:
      return "_holdfast_files -f";
    case Kind::kFolders:
      return "_holdfast_files -d";
    case Kind::kUsers:
      return "_holdfast_fill -u";
    case Kind::kAdapters:
      return "_holdfast_fill -W \"$(ls /sys/class/infiniband 2>/dev/null)\"";
    case Kind::kWords:
      return fmt::format("_holdfast_fill -W '{}'", fmt::join(completion.words, " "));
    case Kind::kNothing:
      break;
  }
  return ":";
}

std::string names_of(const CompletedVerb& verb) {
  std::string names;
  for (const auto& each : verb.verbs) names += each.name + " ";
  for (const auto& option : verb.options) names += option.name + " ";
  if (verb.command) names += "-- ";
  if (!names.empty()) names.pop_back();
  return names;
}

/// Values of options, as cases of "VERB:OPTION".
void value_cases(const CompletedVerb& verb, const std::string& path, std::string& out) {
  for (const auto& option : verb.options)
    if (option.takes_value)
      out += fmt::format("    '{0}':{1}{2}) {3}; return ;;\n", path, option.name, option.letter.empty() ? "" : fmt::format("|'{}':{}", path, option.letter),
                         filling(option.value));
  for (const auto& each : verb.verbs) value_cases(each, path.empty() ? each.name : path + " " + each.name, out);
}

void place_cases(const CompletedVerb& verb, const std::string& path, std::string& out) {
  for (std::size_t i = 0; i < verb.places.size(); i++) {
    const bool on = verb.last_repeats && i + 1 == verb.places.size();
    out += fmt::format("    '{}':{}) {} ;;\n", path, on ? "*" : std::to_string(i), filling(verb.places[i]));
  }
  for (const auto& each : verb.verbs) place_cases(each, path.empty() ? each.name : path + " " + each.name, out);
}

void name_cases(const CompletedVerb& verb, const std::string& path, std::string& out) {
  out += fmt::format("    '{}') words='{}' ;;\n", path, names_of(verb));
  for (const auto& each : verb.verbs) name_cases(each, path.empty() ? each.name : path + " " + each.name, out);
}

void with_value(const CompletedVerb& verb, std::set<std::string>& names) {
  for (const auto& option : verb.options)
    if (option.takes_value)
      for (const auto& name : {option.name, option.letter})
        if (!name.empty()) names.insert(name);
  for (const auto& each : verb.verbs) with_value(each, names);
}

}  // namespace

std::string bash_completion(const CompletedVerb& command) {
  std::set<std::string> valued;
  with_value(command, valued);
  std::string commands, parents = "''", values, places, names;
  for (const auto& verb : command.verbs) {
    if (verb.command) commands += (commands.empty() ? "" : "|") + verb.name + ":--";
    if (!verb.verbs.empty()) parents += "|" + verb.name;
  }
  value_cases(command, "", values);
  place_cases(command, "", places);
  name_cases(command, "", names);
  return fmt::format(R"(# bash completion for holdfast(1), as "holdfast completion bash" prints it
_holdfast_fill() {{ mapfile -t COMPREPLY < <(compgen "$@" -- "$cur"); }}
_holdfast_files() {{
  compopt -o filenames 2>/dev/null
  _holdfast_fill "$@"
}}
_holdfast() {{
  local cur=${{COMP_WORDS[COMP_CWORD]}} prev=${{COMP_WORDS[COMP_CWORD - 1]}} verb='' place=0 words='' word i
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    word=${{COMP_WORDS[i]}}
    case $verb:$word in
      {})
        # From here on it is the other program's command line.
        if declare -F _command_offset >/dev/null; then _command_offset $((i + 1)); else _holdfast_fill -c; fi
        return ;;
    esac
    case $word in
      {}) ((++i)) ;;
      -*) ;;
      *) case $verb in
           {}) verb=${{verb:+$verb }}$word ;;
           *) ((++place)) ;;
         esac ;;
    esac
  done
  case $verb:$prev in
{}  esac
  case $verb in
{}  esac
  if [[ $cur != -* ]]; then
    case $verb:$place in
{}    esac
    [[ ${{#COMPREPLY[@]}} = 0 ]] || return
  fi
  _holdfast_fill -W "$words"
}}
complete -F _holdfast holdfast
)",
                     commands, fmt::join(valued, "|"), parents, values, names, places);
}

}  // namespace hf::cli
