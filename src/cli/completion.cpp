// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "cli/completion.hpp"

#include <algorithm>

namespace hf::cli {

namespace {

using Kind = Completion::Kind;

Completion of_name(const std::string& name, const CompletionWords& words) {
  static const std::map<std::string, Kind> kKinds = {{"PATH", Kind::kFiles},        {"FILE", Kind::kFiles}, {"TARGET", Kind::kFiles},
                                                     {"PATH[:USER]", Kind::kFiles}, {"NAME", Kind::kFiles}, {"DIR", Kind::kFolders},
                                                     {"MOUNT", Kind::kFolders},     {"USER", Kind::kUsers}, {"ADAPTER", Kind::kAdapters}};
  if (const auto known = words.find(name); known != words.end()) return {Kind::kWords, known->second, name};
  const auto kind = kKinds.find(name);
  return {kind == kKinds.end() ? Kind::kNothing : kind->second, {}, name};
}

CompletedOption of_option(const CLI::Option& option, const CompletionWords& words) {
  CompletedOption out;
  out.name = "--" + option.get_lnames().front();
  if (!option.get_snames().empty()) out.letter = "-" + option.get_snames().front();
  out.description = option.get_description();
  out.takes_value = option.get_expected_min() > 0 && option.get_type_size() > 0;
  out.repeats = option.get_expected_max() > 1;
  if (out.takes_value) out.value = words.contains(out.name) ? of_name(out.name, words) : of_name(option.get_type_name(), words);
  return out;
}

void add_options(const CLI::App& app, const CompletionWords& words, CompletedVerb& verb) {
  for (const CLI::Option* option : app.get_options()) {
    if (option->get_positional()) {
      verb.places.push_back(of_name(option->get_name(true, false), words));
      verb.last_repeats = option->get_expected_max() > 1;
    } else if (!option->get_lnames().empty()) {
      verb.options.push_back(of_option(*option, words));
    }
  }
}

}  // namespace

CompletedVerb describe_command_line(const CLI::App& app, const CompletionWords& words) {
  CompletedVerb out{.name = app.get_name(), .description = app.get_description(), .options = {}, .places = {}, .verbs = {}};
  add_options(app, words, out);
  for (const CLI::App* verb : app.get_subcommands([](const CLI::App*) { return true; })) out.verbs.push_back(describe_command_line(*verb, words));
  out.command = out.name == "hold" || out.name == "recall";
  return out;
}

}  // namespace hf::cli
