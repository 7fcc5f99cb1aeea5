// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// holdfast leases: each lease on each file.
#include <cstdio>

#include "cli/answers.hpp"
#include "cli/cli.hpp"
#include "cli/terminal.hpp"

namespace hf::cli {

namespace {

void print(const Json& answer) {
  const Terminal terminal = Terminal::of(stdout);
  Table table({"LEASE", "KIND", "STATE", "HOLDER", "LABEL", "AGE", "RANGES", "FILE"});
  std::string notes;
  const Json& files = member(answer, "files");
  for (const Json& file : files.is_array() ? files : Json::array()) {
    const Json& leases = member(file, "leases");
    for (const Json& lease : leases.is_array() ? leases : Json::array()) {
      const Json &holder = member(lease, "holder"), &age = member(lease, "age_s");
      table.row({text_at(lease, "id"), text_at(lease, "kind"), text_at(lease, "state"), process_text(holder), text_at(holder, "label"),
                 age_text(age.is_number() ? age.get<double>() : 0), extents_text(member(lease, "asked")), file_text(file)});
    }
    if (number_at(file, "merged"))
      notes += fmt::format("{}: {} merged with a neighbour for want of room, so more is protected than was asked for: {}\n", printable(file_text(file)),
                           count_text(number_at(file, "merged"), "lease"), extents_text(member(file, "protected")));
    if (const std::uint64_t others = number_at(file, "leases_of_others"))
      notes += fmt::format("{}: {} of other users not shown\n", printable(file_text(file)), count_text(others, "lease"));
  }
  if (number_at(answer, "left_out")) notes += fmt::format("{} left out\n", count_text(number_at(answer, "left_out"), "file"));
  if (table.empty())
    std::printf("No file is leased.\n");
  else
    std::printf("%s", table.text(terminal).c_str());
  std::printf("%s", notes.c_str());
}

}  // namespace

void add_leases(CLI::App& app, Cli& cli) {
  CLI::App* verb = app.add_subcommand("leases", "List the leases, by file");
  add_json(*verb, cli);
  verb->footer(
      "Ranges are OFFSET:LENGTH as they were asked for. Other users' leases are shown to root only.\n\n"
      "Examples:\n  holdfast leases\n  holdfast leases --json | jq -r '.files[].path'");
  verb->callback([&cli] {
    cli.run = [&cli]() -> int {
      const auto answer = ask(cli, {{"query", "leases"}});
      if (!answer) return complain(answer.error());
      if (cli.json)
        std::printf("%s\n", dump(*answer, 2).c_str());
      else
        print(*answer);
      return kOk;
    };
  });
}

}  // namespace hf::cli
