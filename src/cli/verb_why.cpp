// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// holdfast why: what is leased of a file, by whom, what would be refused, who tried last.
#include <cstdio>

#include "cli/answers.hpp"
#include "cli/cli.hpp"
#include "cli/event_text.hpp"
#include "cli/range.hpp"
#include "cli/target_file.hpp"
#include "cli/terminal.hpp"

namespace hf::cli {

namespace {

std::string words(const Json& refused, bool want) {
  std::string out;
  for (const Json& entry : refused.is_array() ? refused : Json::array()) {
    if (flag_at(entry, "refused") == want) out += (out.empty() ? "" : " ") + text_at(entry, "operation");
  }
  return out;
}

void print(const Json& answer, const TargetFile& file) {
  const Terminal terminal = Terminal::of(stdout);
  const std::string path = printable(file.path), refused = words(member(answer, "refused"), true);
  const Json& last = member(answer, "last_denial");
  if (!flag_at(answer, "leased")) {
    std::printf("%s is not leased: its layout may change.\n", path.c_str());
    if (!refused.empty()) std::printf("Refused all the same, by a seal of its mount: %s\n", refused.c_str());
  } else {
    std::printf("%s is %s.\n\n", path.c_str(), terminal.paint(Colour::kBold, "leased").c_str());
    Table table({"LEASE", "KIND", "STATE", "HOLDER", "LABEL", "AGE", "RANGES"});
    const Json& leases = member(answer, "leases");
    for (const Json& lease : leases.is_array() ? leases : Json::array()) {
      const Json &holder = member(lease, "holder"), &age = member(lease, "age_s");
      table.row({text_at(lease, "id"), text_at(lease, "kind"), text_at(lease, "state"), process_text(holder), text_at(holder, "label"),
                 age_text(age.is_number() ? age.get<double>() : 0), extents_text(member(lease, "asked"))});
    }
    if (!table.empty()) std::printf("%s", table.text(terminal).c_str());
    if (const std::uint64_t others = number_at(answer, "leases_of_others"))
      std::printf("%s of other users; root sees whose\n", count_text(others, "lease").c_str());
    std::printf("\n");
    Facts facts;
    facts.add("protected", extents_text(member(answer, "protected")) +
                               (number_at(answer, "merged") ? " (wider than asked for: the gate's slots for this file are full)" : ""));
    facts.add("refused there", refused);
    const Json& smallest = member(answer, "smallest_size_bytes");
    facts.add("still legal", "writing, growing, renaming, unlinking, and anything beside the protected bytes and the folios that they are in" +
                                 (smallest.is_number() && smallest.get<std::uint64_t>() < file.size_bytes
                                      ? "; truncating down to " + format_size(smallest.get<std::uint64_t>())
                                      : std::string()));
    std::printf("%s", facts.text(terminal).c_str());
  }
  if (last.is_object()) {
    std::printf("\nlast refused: %s %s at %s, %s%s\n  %s\n", printable(text_at(last, "operation")).c_str(), extent_text(member(last, "range")).c_str(),
                local_time(text_at(last, "time")).c_str(), text_at(last, "error").c_str(), why_text(last).c_str(),
                breaker_text(member(last, "breaker")).c_str());
  } else {
    std::printf("%sNobody was refused on it since holdfastd started.\n", flag_at(answer, "leased") ? "\n" : "");
  }
}

}  // namespace

void add_why(CLI::App& app, Cli& cli) {
  auto file = std::make_shared<std::string>();
  CLI::App* verb = app.add_subcommand("why", "Say what is leased of a file, by whom, what is refused, who tried last");
  verb->add_option("FILE", *file, "The file that gave ETXTBSY (\"Text file busy\")")->required()->type_name("");
  add_json(*verb, cli);
  verb->footer("Examples:\n  holdfast why /dev/shm/cache\n  holdfast why /mnt/pmem/pool --json | jq .last_denial.breaker");
  verb->callback([&cli, file] {
    cli.run = [&cli, file]() -> int {
      const auto target = open_target(*file, false);
      if (!target) return complain(target.error());
      const auto answer = ask(cli, {{"query", "why"}}, target->fd.get());
      if (!answer) return complain(answer.error());
      if (cli.json)
        std::printf("%s\n", dump(*answer, 2).c_str());
      else
        print(*answer, *target);
      return kOk;
    };
  });
}

}  // namespace hf::cli
