// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// What shells complete after "holdfast": read from the command line's own definition, so that there is one table of verbs and options; written out for bash,
// zsh and fish.
#pragma once

#include <CLI/CLI.hpp>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace hf::cli {

/// What may stand in a place.
struct Completion {
  enum class Kind { kNothing, kFiles, kFolders, kUsers, kAdapters, kWords };
  Kind kind = Kind::kNothing;
  std::vector<std::string> words;
  std::string what;  ///< what --help calls it
};

struct CompletedOption {
  std::string name;    ///< "--json"
  std::string letter;  ///< "-y", or empty
  std::string description;
  bool takes_value = false;
  bool repeats = false;
  Completion value;
};

struct CompletedVerb {
  std::string name, description;
  std::vector<CompletedOption> options;
  std::vector<Completion> places;
  bool last_repeats = false;
  bool command = false;  ///< another program's command line follows "--"
  std::vector<CompletedVerb> verbs;
};

/// Words for what --help calls by a name, or for an option: {"SEAL", {"truncate", ...}}, {"--since", {"today", ...}}.
using CompletionWords = std::map<std::string, std::vector<std::string>>;

CompletedVerb describe_command_line(const CLI::App& app, const CompletionWords& words);

std::string bash_completion(const CompletedVerb& command);
std::string zsh_completion(const CompletedVerb& command);
std::string fish_completion(const CompletedVerb& command);

}  // namespace hf::cli
