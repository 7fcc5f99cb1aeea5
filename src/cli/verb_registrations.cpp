// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// holdfast registrations: what RDMA adapters have pinned, and whether it is protected.
#include <cstdio>

#include "cli/answers.hpp"
#include "cli/cli.hpp"
#include "cli/terminal.hpp"

namespace hf::cli {

namespace {

std::string files_text(const Json& files) {
  if (!files.is_array() || files.empty()) return {};
  std::string out = file_text(files[0]);
  const std::string extents = extents_text(member(files[0], "extents"));
  if (!extents.empty()) out += " " + extents;
  if (files.size() > 1) out += fmt::format(" +{}", count_text(files.size() - 1, "file"));
  return out;
}

/// What the other side may do, in short; "local" where it may do nothing.
std::string access_text(const Json& access) {
  std::string out;
  for (const Json& word : access.is_array() ? access : Json::array()) {
    const std::string text = word.is_string() ? word.get<std::string>() : "";
    if (text.starts_with("remote-")) out += (out.empty() ? "" : ",") + text.substr(7);
  }
  if (access.is_array() && access.empty()) return "?";
  return out.empty() ? "local" : out;
}

void print(const Json& answer) {
  const Terminal terminal = Terminal::of(stdout);
  Table table({"ID", "PROCESS", "ADAPTER", "ACCESS", "PLAN", "STATE", "SIZE", "AGE", "FILES"});
  std::string notes;
  const Json& list = member(answer, "registrations");
  for (const Json& registration : list.is_array() ? list : Json::array()) {
    const Json& age = member(registration, "age_s");
    table.row({text_at(registration, "id"), process_text(member(registration, "process")), text_at(registration, "device"),
               access_text(member(registration, "access")), text_at(registration, "plan"), text_at(registration, "state"),
               size_text(number_at(registration, "length_bytes")), age_text(age.is_number() ? age.get<double>() : 0),
               files_text(member(registration, "files"))});
    const Json &reasons = member(registration, "reasons"), &warnings = member(registration, "warnings");
    for (const Json& reason : reasons.is_array() ? reasons : Json::array()) {
      const std::string mend = text_at(reason, "mend");
      notes +=
          fmt::format("{}: {}\n{}", text_at(registration, "id"), printable(text_at(reason, "text")), mend.empty() ? "" : "  Next: " + printable(mend) + "\n");
    }
    for (const Json& warning : warnings.is_array() ? warnings : Json::array()) {
      if (warning.is_string()) notes += fmt::format("{}: {}\n", text_at(registration, "id"), printable(warning.get<std::string>()));
    }
  }
  if (number_at(answer, "left_out")) notes += fmt::format("{} left out\n", count_text(number_at(answer, "left_out"), "registration"));
  if (table.empty())
    std::printf("No memory backed by a file is registered.\n");
  else
    std::printf("%s", table.text(terminal).c_str());
  if (!notes.empty()) std::printf("\n%s", notes.c_str());
}

}  // namespace

void add_registrations(CLI::App& app, Cli& cli) {
  CLI::App* verb = app.add_subcommand("registrations", "List what RDMA adapters have registered, and whether it is protected");
  add_json(*verb, cli);
  verb->footer(
      "States: protected (every file-backed byte is leased), observed (a reader's: no lease, by policy),\n"
      "unprotected (the reasons stand below the table), pinning (the kernel is at it).\n\n"
      "Examples:\n  holdfast registrations\n  holdfast registrations --json | jq '.registrations[] | select(.state==\"unprotected\")'");
  verb->callback([&cli] {
    cli.run = [&cli]() -> int {
      const auto answer = ask(cli, {{"query", "registrations"}});
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
