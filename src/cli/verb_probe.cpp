// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// holdfast probe: proves on this kernel and filesystem what the catalogue says.
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <map>
#include <random>

#include "cli/answers.hpp"
#include "cli/cli.hpp"
#include "cli/daemon_client.hpp"
#include "cli/terminal.hpp"
#include "qualify/probe.hpp"

namespace hf::cli {

namespace {

using actions::Verdict;
using qualify::ProbeReport;
using qualify::Trial;

volatile std::sig_atomic_t interrupted = 0;

/// One line on a terminal that is drawn again and again; nothing elsewhere.
class ProgressBar {
 public:
  ProgressBar() : shown_(isatty(STDERR_FILENO)) {}
  void show(const qualify::Progress& progress) {
    if (!shown_) return;
    constexpr std::size_t kWidth = 20;
    const Trial& trial = *progress.last;
    const std::string what = fmt::format("{} by {}{}", trial.action->name, name(trial.route), trial.leased ? ", leased" : "");
    const std::size_t filled = progress.total ? kWidth * progress.done / progress.total : kWidth;
    const std::string count = progress.total ? fmt::format("{}/{}", progress.done, progress.total) : fmt::format("{} and on", progress.done);
    std::fprintf(stderr, "\r\x1b[K[%s%s] %s  %.36s", std::string(filled, '#').c_str(), std::string(kWidth - filled, '.').c_str(), count.c_str(), what.c_str());
    std::fflush(stderr);
  }
  void clear() const {
    if (shown_) std::fprintf(stderr, "\r\x1b[K");
  }

 private:
  bool shown_;
};

/// "ETXTBSY ×9, EDEADLK": what came of an action by all its routes.
std::string sum_of(const std::vector<const Trial*>& trials) {
  std::map<std::string, std::pair<int, std::size_t>> counts;  // by word: how often, and since which place in the list
  for (const Trial* trial : trials) {
    std::string word;
    if (!trial->attempt.reached)
      word = "no route";
    else if (trial->verdict == Verdict::allowed)
      word = trial->changed.empty() ? "allowed" : "breaks: " + trial->changed;
    else if (trial->verdict == Verdict::cannot_run)
      word = "cannot run";
    else
      word = strerrorname_np(trial->attempt.outcome.error);
    auto& [count, first] = counts.try_emplace(word, 0, counts.size()).first->second;
    ++count;
  }
  std::vector<std::string> words(counts.size());
  for (const auto& [word, entry] : counts) words[entry.second] = entry.first > 1 ? fmt::format("{} ×{}", word, entry.first) : word;
  return fmt::format("{}", fmt::join(words, ", "));
}

std::string points_of(const std::vector<const Trial*>& trials) {
  std::vector<std::string> points;
  for (const Trial* trial : trials)
    for (const std::string& point : trial->choke_points)
      if (std::find(points.begin(), points.end(), point) == points.end()) points.push_back(point);
  return fmt::format("{}", fmt::join(points, " "));
}

void print(const ProbeReport& report) {
  const Terminal terminal = Terminal::of(stdout);
  std::printf("%s on Linux %s: %s%s\n\n", printable(report.directory).c_str(), report.kernel.c_str(), std::string(name(report.place.where)).c_str(),
              report.place.where & actions::kAnyXfs ? (report.place.reflink ? ", reflink" : ", no reflink") : "");
  Table table({"SOURCE", "ACTION", "UNDER A LEASE", "WITHOUT", "SEEN BY"});
  for (const actions::Action& action : actions::actions()) {
    std::vector<const Trial*> leased, free, all;
    for (const Trial& trial : report.trials) {
      if (trial.action != &action) continue;
      (trial.leased ? leased : free).push_back(&trial);
      all.push_back(&trial);
    }
    if (all.empty()) continue;
    table.row({std::string(action.source), std::string(action.name), sum_of(leased), sum_of(free), points_of(all)});
  }
  std::printf("%s\n", table.text(terminal).c_str());
  for (const Trial& trial : report.trials) {
    for (const std::string& difference : trial.differences)
      std::printf("%s %s by %s (%s), %s: %s\n", terminal.paint(Colour::kRed, "differs:").c_str(), std::string(trial.action->name).c_str(),
                  std::string(name(trial.route)).c_str(), std::string(description(trial.route)).c_str(), trial.leased ? "leased" : "without a lease",
                  printable(difference).c_str());
  }
  if (report.known_open())
    std::printf("%zu trials changed a leased layout, as the catalogue says that nothing can refuse; each is an escape: holdfast sources\n",
                report.known_open());
  if (!report.tripwire)
    std::printf("%s, so the choke points are not known.\n", geteuid() ? "The tripwire answers root only" : "This holdfastd has no tripwire to ask");
  std::printf("%zu trials in %.0f s: %s open sources, %s unnamed refusals, %s differences from the catalogue%s\n", report.trials.size(), report.seconds,
              terminal.paint(report.open() ? Colour::kRed : Colour::kGreen, std::to_string(report.open())).c_str(),
              terminal.paint(report.unnamed() ? Colour::kRed : Colour::kGreen, std::to_string(report.unnamed())).c_str(),
              terminal.paint(report.differences() ? Colour::kRed : Colour::kGreen, std::to_string(report.differences())).c_str(),
              report.seed ? fmt::format("; seed {}", *report.seed).c_str() : "");
}

int probe(const Cli& cli, const qualify::ProbeOptions& options) {
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    struct sigaction action {};
    action.sa_handler = [](int) { interrupted = 1; };
    sigaction(signal, &action, nullptr);
  }
  if (options.soak_s) std::fprintf(stderr, "holdfast: seed %llu\n", static_cast<unsigned long long>(options.seed));
  ProgressBar bar;
  const auto report = qualify::run_probe(
      options, [&cli] { return connect(cli); },
      [&](const qualify::Progress& progress) {
        bar.show(progress);
        return !interrupted;
      });
  bar.clear();
  if (!report) return complain(report.error());
  if (cli.json)
    std::printf("%s\n", dump(to_json(*report), 2).c_str());
  else
    print(*report);
  return report->differences() || report->open() || report->unnamed() ? kFailed : kOk;
}

}  // namespace

void add_probe(CLI::App& app, Cli& cli) {
  auto options = std::make_shared<qualify::ProbeOptions>();
  options->seed = std::random_device{}();
  CLI::App* verb = app.add_subcommand("probe", "Try every break source on scratch files in DIR, and compare with the catalogue");
  verb->add_option("DIR", options->directory, "A folder on the mount to be probed")->required()->type_name("");
  verb->add_option("--soak", options->soak_s, "Then go on in random order, until so many seconds are over")->type_name("SECONDS");
  verb->add_option("--seed", options->seed, "Of the soak's order, to repeat one")->type_name("N");
  verb->add_option("--route", options->routes, "Only by these routes")->type_name("ROUTE")->delimiter(',');
  verb->add_option("--source", options->sources, "Only these sources; holdfast sources lists them")->type_name("ID")->delimiter(',');
  verb->add_flag("--leased-only", options->leased_only, "Leave out what the kernel does without a lease");
  verb->add_flag("--keep", options->keep, "Leave the scratch files where they are");
  add_json(*verb, cli);
  verb->footer(
      "Each source is tried by each route (user, root, early, reopen, io_uring, io_uring-worker, compat, mount-ns,\n"
      "user-ns, overlay, holder), under a lease and without one, beside the controls that must stay legal. As root\n"
      "by all of them; otherwise by those that need no privilege. The scratch files go, however the probe ends.\n\n"
      "Examples:\n  holdfast probe /mnt/pmem\n  holdfast probe /dev/shm --json | jq '.trials[] | select(.differences != [])'\n"
      "  holdfast probe /mnt/pmem --soak 600\n\n"
      "Exit status: 0 as the catalogue says; 1 differences, open sources or unnamed refusals.");
  verb->callback([&cli, options] { cli.run = [&cli, options] { return probe(cli, *options); }; });
}

}  // namespace hf::cli
