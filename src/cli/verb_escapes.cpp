// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// holdfast escapes: breaks of leased bytes that nothing refused.
#include <cstdio>

#include "cli/answers.hpp"
#include "cli/cli.hpp"
#include "cli/event_text.hpp"
#include "cli/terminal.hpp"

namespace hf::cli {

namespace {

void print(const Json& answer) {
  const Terminal terminal = Terminal::of(stdout);
  const Json& escapes = member(answer, "escapes");
  if (!escapes.is_array() || escapes.empty()) {
    std::printf("No escape is on record: nothing has broken a lease.\n");
    return;
  }
  for (const Json& escape : escapes) std::printf("%s\n\n", watch_text(escape, terminal).c_str());
  if (const auto left_out = number_at(answer, "left_out")) std::printf("%s not shown\n", count_text(left_out, "older event").c_str());
  const std::string file = text_at(answer, "file");
  std::printf(
      "The holders named above must stop using that memory: what they write there may be lost or land in another file.\n"
      "Next: report the kernel's call stack, so that this source is refused the next time%s\n",
      file.empty() ? "" : ("; all are kept in " + printable(file) + " (holdfast history)").c_str());
}

}  // namespace

void add_escapes(CLI::App& app, Cli& cli) {
  CLI::App* verb = app.add_subcommand("escapes", "List breaks of leased bytes that nothing refused, the newest first");
  add_json(*verb, cli);
  verb->footer(
      "An escape is a layout that changed under a lease all the same: by a route that the gate does not see, or by hardware.\n"
      "Each is shown with who did it, the kernel's call stack and the program's. They are kept across restarts.\n\n"
      "Examples:\n  holdfast escapes\n  holdfast escapes --json | jq '.escapes[].breaker.stack'");
  verb->callback([&cli] {
    cli.run = [&cli]() -> int {
      const auto answer = ask(cli, {{"query", "escapes"}});
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
