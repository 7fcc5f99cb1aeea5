// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// holdfast status: is it running, and what does it hold.
#include <cstdio>
#include <utility>

#include "cli/answers.hpp"
#include "cli/cli.hpp"
#include "cli/terminal.hpp"

namespace hf::cli {

namespace {

std::string changes_text(const Json& changes) {
  if (!changes.is_array() || changes.empty()) return {};
  const std::string first = changes[0].is_string() ? changes[0].get<std::string>() : dump(changes[0]);
  return ": " + first + (changes.size() > 1 ? fmt::format(" (and {} more)", changes.size() - 1) : "");
}

/// Mounts that were never qualified are counted: most of a machine's are of no interest.
void add_qualified(const Terminal& terminal, const Json& list, Facts& facts) {
  bool any = false;
  const auto add = [&](const std::string& text) { facts.add(std::exchange(any, true) ? "" : "qualified", text); };
  for (const Json& one : list.is_array() ? list : Json::array()) {
    const std::string state = text_at(one, "state"), mount = printable(text_at(one, "mount"));
    if (state == "qualified")
      add(fmt::format("{} {} at {}", mount, terminal.paint(Colour::kGreen, "qualified"), printable(text_at(one, "time"))));
    else if (state == "drifted")
      add(fmt::format("{} {} since {}{}", mount, terminal.paint(Colour::kYellow, "drifted"), printable(text_at(one, "since")),
                      printable(changes_text(member(one, "changes")))));
    else if (state == "not-qualified")
      add(fmt::format("{} {} at {}", mount, terminal.paint(Colour::kRed, "not qualified"), printable(text_at(one, "time"))));
  }
  if (!any) add("never: holdfast qualify MOUNT");
}

void print(const Json& answer) {
  const Terminal terminal = Terminal::of(stdout);
  const Json &gate = member(answer, "gate"), &leases = member(answer, "leases"), &kinds = member(leases, "by_kind"),
             &registrations = member(answer, "registrations"), &denials = member(answer, "denials");
  const Json& uptime = member(answer, "uptime_s");
  Facts facts;
  facts.add("holdfastd", fmt::format("{} {}, process {}, up {}", terminal.paint(Colour::kGreen, "running"), printable(text_at(answer, "version")),
                                     number_at(answer, "pid"), age_text(uptime.is_number() ? uptime.get<double>() : 0)));
  const std::string broken = text_at(gate, "error");
  facts.add("gate", broken.empty() ? fmt::format("{} by Holdfast {}{}", terminal.paint(Colour::kGreen, "armed"), printable(text_at(gate, "armed_by")),
                                                 flag_at(gate, "took_over") ? ", taken over from an earlier holdfastd" : "")
                                   : terminal.paint(Colour::kRed, printable(broken)));
  if (const std::string trouble = text_at(gate, "trouble"); !trouble.empty())
    facts.add("", terminal.paint(Colour::kYellow, "its programs decide, but could not be replaced: " + printable(trouble)));
  else if (gate.contains("complete") && !flag_at(gate, "complete"))
    facts.add("", "its programs decide; they are being looked at, and replaced where they are of another build");
  facts.add("leases", fmt::format("{} on {}: {}, {}, {} static", number_at(leases, "total"), count_text(number_at(answer, "files"), "file"),
                                  count_text(number_at(kinds, "registration"), "registration"), count_text(number_at(kinds, "process"), "hold"),
                                  number_at(kinds, "static")));
  const std::uint64_t bare = number_at(registrations, "unprotected");
  facts.add("registrations",
            fmt::format("{} protected, {}, {} only observed{}", number_at(registrations, "protected"),
                        bare ? terminal.paint(Colour::kRed, fmt::format("{} unprotected", bare)) : "0 unprotected", number_at(registrations, "observed"),
                        number_at(registrations, "pinning") ? fmt::format(", {} being made", number_at(registrations, "pinning")) : ""));
  facts.add("refused", fmt::format("{} since the gate was armed, {} since holdfastd started", number_at(gate, "denials"), number_at(denials, "since_start")));
  if (const std::uint64_t nameless = number_at(gate, "denials_lost"))
    facts.add("", terminal.paint(Colour::kYellow, fmt::format("{} of them without a name: the kernel's buffer was full", nameless)));
  const Json& escapes = member(answer, "escapes");
  const std::uint64_t escaped = number_at(gate, "escapes") + number_at(gate, "escapes_lost");
  facts.add("escapes", escaped ? terminal.paint(Colour::kAlarm, fmt::format(" {} since the gate was armed ", number_at(gate, "escapes"))) : "none");
  if (const std::uint64_t missed = number_at(gate, "tripwire_missed") + number_at(gate, "tripwire_blind"))
    facts.add("", terminal.paint(Colour::kYellow, fmt::format("{} that the tripwire could not look at", count_text(missed, "possible break"))));
  add_qualified(terminal, member(answer, "qualified"), facts);
  facts.add("clients", fmt::format("{}, {}", count_text(number_at(answer, "connections"), "connection"), count_text(number_at(answer, "watchers"), "watcher")));
  std::printf("%s", facts.text(terminal).c_str());
  if (escaped || number_at(escapes, "since_start")) std::printf("Next: holdfast escapes says what broke which lease\n");
  if (bare) std::printf("Next: holdfast registrations says why %s not protected\n", bare == 1 ? "one is" : "some are");
}

}  // namespace

void add_status(CLI::App& app, Cli& cli) {
  CLI::App* verb = app.add_subcommand("status", "Is it running, and what does it hold");
  add_json(*verb, cli);
  verb->footer("Examples:\n  holdfast status\n  holdfast status --json | jq .gate.denials\n\nExit status: 0 running; 3 not running.");
  verb->callback([&cli] {
    cli.run = [&cli]() -> int {
      const auto answer = ask(cli, {{"query", "status"}});
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
