// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// holdfast sources: the catalogue of break sources, for this machine.
#include <cstdio>

#include "cli/answers.hpp"
#include "cli/cli.hpp"
#include "cli/daemon_client.hpp"
#include "cli/terminal.hpp"
#include "kernel/gate.hpp"
#include "qualify/sources.hpp"

namespace hf::cli {

namespace {

using qualify::KernelFinding;
using qualify::KernelView;
using qualify::Presence;

struct SourcesOptions {
  bool kernel_check = false;
  std::string id;
};

std::string here_text(const BreakSource& source, Presence presence) {
  if (presence == Presence::here) return "yes";
  if (presence == Presence::absent) return source.since.empty() ? "no" : fmt::format("no, since {}", source.since);
  if (presence == Presence::unknown) return source.since.empty() ? "?" : fmt::format("? since {}", source.since);
  return fmt::format("{} not loaded", source.needs.substr(0, source.needs.find(':')));
}

std::string_view happens(const BreakSource& source, Presence presence) {
  if (presence == Presence::absent) return "-";
  switch (source.verdict) {
    case Verdict::refused:
      return "refused";
    case Verdict::admitted:
      return "cannot happen";
    case Verdict::observed:
      return "open";
    case Verdict::harmless:
      return "harmless";
  }
  return "?";
}

Json words(const Words& words) {
  Json list = Json::array();
  for (std::string_view word : words) list.push_back(word);
  return list;
}

Json text_or_null(std::string_view text) { return text.empty() ? Json() : Json(text); }

Json to_json(const BreakSource& source, Presence presence) {
  return {{"id", source.id},
          {"class", name(source.source_class)},
          {"description", source.description},
          {"routes", words(source.routes)},
          {"touches", name(source.touches)},
          {"range", source.range},
          {"kinds", kinds_letters(source.kinds)},
          {"filesystems", source.filesystems},
          {"hook", text_or_null(source.hook)},
          {"verdict", name(source.verdict)},
          {"reason", text_or_null(source.reason)},
          {"administrator", source.administrator},
          {"here", name(presence)},
          {"since", text_or_null(source.since)},
          {"functions", words(source.functions)},
          {"choke_points", words(source.choke_points)}};
}

Json to_json(const KernelFinding& finding) { return {{"part", finding.what}, {"here", name(finding.presence)}, {"wrong", finding.wrong}}; }

void print_one(const BreakSource& source, Presence presence) {
  const auto list = [](const Words& words) { return fmt::format("{}", fmt::join(words.begin(), words.end(), ", ")); };
  Facts facts;
  facts.add("source", fmt::format("{}: {}", source.id, source.description));
  facts.add("issued by", list(source.routes));
  facts.add("touches", std::string(source.range));
  facts.add("breaks", fmt::format("{} on {}", kinds_letters(source.kinds).empty() ? "nothing" : kinds_letters(source.kinds), source.filesystems));
  facts.add("here", here_text(source, presence));
  facts.add("what happens", fmt::format("{}{}{}", happens(source, presence), source.reason.empty() ? "" : ": ", source.reason));
  if (!source.hook.empty()) facts.add("seen by", std::string(source.hook));
  facts.add("functions", list(source.functions));
  if (source.choke_points.size()) facts.add("tripwire", list(source.choke_points));
  facts.add("what to do", std::string(source.administrator));
  std::printf("%s", facts.text(Terminal::of(stdout)).c_str());
}

void print_all(const KernelView& kernel) {
  const Terminal terminal = Terminal::of(stdout);
  Table table({"SOURCE", "BREAKS", "HERE", "WHAT HAPPENS", "WHY, OR WHAT IT DOES"});
  std::size_t refused = 0, open = 0;
  for (const BreakSource& source : break_sources()) {
    const Presence presence = qualify::presence(source, kernel);
    const std::string_view what = happens(source, presence);
    refused += what == "refused";
    open += what == "open";
    table.row({std::string(source.id), kinds_letters(source.kinds), here_text(source, presence), std::string(what),
               std::string(source.reason.empty() ? source.description : source.reason)});
  }
  std::printf("%s\nBreaks files on: D FS-DAX, S tmpfs and memfd, H hugetlbfs, P page cache.\n", table.text(terminal).c_str());
  const auto state = gate_state();
  const bool armed = state && state->armed;
  std::printf(
      "%s\nLinux %s: %zu sources are refused on leased bytes, %zu are open: no hook can refuse them.\nNext: holdfast sources SOURCE says all that is known of "
      "one; holdfast probe DIR proves it\n",
      !state  ? "Whether the gate is armed, root can see."
      : armed ? "The gate is armed."
              : terminal.paint(Colour::kYellow, "The gate is not armed: nothing is refused now.").c_str(),
      kernel.release().c_str(), refused, open);
}

int sources(const Cli& cli, const SourcesOptions& options) {
  const auto kernel = KernelView::read();
  if (!kernel) return complain(kernel.error());
  if (!options.id.empty() && !find_break_source(options.id))
    return complain({EINVAL, fmt::format("the catalogue has no source \"{}\"", options.id), "Next: holdfast sources"});
  const auto findings = options.kernel_check ? qualify::check_kernel(*kernel) : std::vector<KernelFinding>();
  const auto wrong = std::count_if(findings.begin(), findings.end(), [](const KernelFinding& finding) { return finding.wrong; });
  if (cli.json) {
    Json answer{{"schema", "holdfast.sources/1"}, {"kernel", kernel->release()}, {"sources", Json::array()}};
    for (const BreakSource& source : break_sources())
      if (options.id.empty() || options.id == source.id) answer["sources"].push_back(to_json(source, qualify::presence(source, *kernel)));
    if (options.kernel_check) {
      answer["kernel_check"] = Json::array();
      for (const KernelFinding& finding : findings) answer["kernel_check"].push_back(to_json(finding));
    }
    std::printf("%s\n", dump(answer, 2).c_str());
  } else if (options.kernel_check) {
    Table table({"NAMED BY", "PART", "STATE"});
    for (const KernelFinding& finding : findings) {
      const auto colon = finding.what.find(": ");
      table.row(
          {finding.what.substr(0, colon), finding.what.substr(colon + 2), fmt::format("{}{}", name(finding.presence), finding.wrong ? "  <-- wrong" : "")});
    }
    std::printf("%s\nLinux %s: %zu parts named, %td wrong\n", table.text(Terminal::of(stdout)).c_str(), kernel->release().c_str(), findings.size(), wrong);
  } else if (!options.id.empty()) {
    const BreakSource* source = find_break_source(options.id);
    print_one(*source, qualify::presence(*source, *kernel));
  } else {
    print_all(*kernel);
  }
  return wrong ? kFailed : kOk;
}

}  // namespace

void add_sources(CLI::App& app, Cli& cli) {
  auto options = std::make_shared<SourcesOptions>();
  CLI::App* verb = app.add_subcommand("sources", "List the break sources: which exist here, and what happens to each");
  verb->add_option("SOURCE", options->id, "Only this one, with all that is known of it")->type_name("");
  verb->add_flag("--kernel-check", options->kernel_check, "Look in this kernel for every function that the catalogue names");
  add_json(*verb, cli);
  verb->footer(
      "Needs no holdfastd. holdfast probe proves the list on a mount.\n\n"
      "Examples:\n  holdfast sources\n  holdfast sources direct-write\n  holdfast sources --kernel-check\n"
      "  holdfast sources --json | jq -r '.sources[] | select(.verdict==\"observed\") | .id'\n\n"
      "Exit status: 0; with --kernel-check 1 where something that is named is not there.");
  verb->callback([&cli, options] { cli.run = [&cli, options] { return sources(cli, *options); }; });
}

}  // namespace hf::cli
