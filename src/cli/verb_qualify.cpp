// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// holdfast qualify: proves that a mount in this configuration does not break a lease, mends what can be mended, certifies, and verifies.
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <random>
#include <sstream>

#include "base/write_file.hpp"
#include "cli/answers.hpp"
#include "cli/cli.hpp"
#include "cli/daemon_client.hpp"
#include "cli/terminal.hpp"
#include "daemon/configuration.hpp"
#include "holdfast/holdfast.h"
#include "qualify/certificate.hpp"
#include "qualify/checks.hpp"
#include "qualify/collect.hpp"
#include "qualify/fix.hpp"
#include "qualify/report.hpp"

namespace hf::cli {

namespace {

using qualify::Finding;
using qualify::Mark;

/// Its own statuses, so that a script can tell "no" from "don't know".
enum QualifyExit : int { kQualified = 0, kNotQualified = 1, kNotChecked = 2 };

struct QualifyVerb {
  qualify::QualifyOptions options;
  std::string html, certificate, verify, soak;
  bool fix = false, undo = false, yes = false, no_probe = false;
};

volatile std::sig_atomic_t interrupted = 0;

int not_checked(const Error& error) {
  (void)complain(error);
  return kNotChecked;
}

std::string host_name() {
  char name[256] = {};
  return ::gethostname(name, sizeof name - 1) == 0 ? name : "unknown";
}

Result<std::string> real_path(const std::string& path) {
  const std::unique_ptr<char, decltype(&std::free)> real(realpath(path.c_str(), nullptr), std::free);
  if (!real) return sys_error(errno, "cannot look at", path);
  return std::string(real.get());
}

// --- for people

Colour colour_of(Mark mark) {
  switch (mark) {
    case Mark::pass:
      return Colour::kGreen;
    case Mark::fail:
      return Colour::kRed;
    case Mark::risk:
      return Colour::kYellow;
    case Mark::not_applicable:
      return Colour::kDim;
  }
  return Colour::kPlain;
}

std::string padded(std::string text, std::size_t columns) {
  text.resize(std::max(text.size(), columns), ' ');
  return text;
}

void print_findings(const Terminal& terminal, const std::vector<Finding>& findings) {
  std::string area;
  for (const auto& finding : findings) {
    if (finding.area() != area) {
      std::printf("%s%s\n", area.empty() ? "" : "\n", terminal.paint(Colour::kBold, finding.area()).c_str());
      area = finding.area();
    }
    const bool bad = finding.mark == Mark::fail || finding.mark == Mark::risk;
    const std::string mark = finding.mark == Mark::not_applicable ? "-" : std::string(qualify::name(finding.mark));
    std::printf("  %s  %s  %s\n", terminal.paint(colour_of(finding.mark), padded(mark, 4)).c_str(), padded(finding.id.substr(area.size() + 1), 16).c_str(),
                ((finding.mark == Mark::fail ? "not so: "
                  : bad                      ? "not sure: "
                                             : "") +
                 finding.what)
                    .c_str());
    if (!bad) {
      if (!finding.evidence.empty()) std::printf("%26s%s\n", "", terminal.paint(Colour::kDim, printable(finding.evidence.front())).c_str());
      continue;
    }
    for (const auto& line : finding.evidence) std::printf("%26s%s\n", "", printable(line).c_str());
    for (const auto& mend : finding.mends) std::printf("%26s%s %s\n", "", terminal.paint(Colour::kBold, "mend:").c_str(), printable(mend).c_str());
  }
}

void print(const qualify::Collected& collected, const std::vector<Finding>& findings) {
  const Terminal terminal = Terminal::of(stdout);
  const auto& facts = collected.facts;
  std::printf("%s (%s) on Linux %s\n\n", printable(facts.filesystem.point).c_str(), facts.filesystem.type.c_str(), facts.kernel.support.release.c_str());
  print_findings(terminal, findings);
  const auto failed = qualify::count(findings, Mark::fail), risks = qualify::count(findings, Mark::risk);
  const bool good = qualify::qualified(findings);
  std::printf("\n%s %s: %s, %s, %zu passed\n", printable(facts.filesystem.point).c_str(),
              terminal
                  .paint(good ? Colour::kGreen : Colour::kRed,
                         good ? (facts.proof.asked ? "is qualified" : "has no fault, but nothing was proved") : "is NOT qualified")
                  .c_str(),
              count_text(failed, "failed check").c_str(), count_text(risks, "risk").c_str(), qualify::count(findings, Mark::pass));
  if (const auto fixes = qualify::fixes_of(findings); !fixes.empty())
    std::printf("Next: holdfast qualify %s --fix mends %zu of them\n", qualify::quoted(facts.filesystem.point).c_str(), fixes.size());
}

class Bar {
 public:
  explicit Bar(bool shown) : shown_(shown && isatty(STDERR_FILENO)) {}
  bool show(const qualify::Progress& progress) const {
    if (shown_) {
      std::fprintf(stderr, "\r\x1b[Ktrying %zu%s: %.40s", progress.done, progress.total ? fmt::format("/{}", progress.total).c_str() : "",
                   std::string(progress.last->action->name).c_str());
      std::fflush(stderr);
    }
    return !interrupted;
  }
  void clear() const {
    if (shown_) std::fprintf(stderr, "\r\x1b[K");
  }

 private:
  bool shown_;
};

// --- mending

Status systemctl(const std::vector<std::string>& arguments) {
  // Where systemd is not the one who starts things, there is nothing to tell it.
  if (::access("/run/systemd/system", F_OK) != 0) return {};
  std::vector<char*> words{const_cast<char*>("systemctl")};
  for (const auto& word : arguments) words.push_back(const_cast<char*>(word.c_str()));
  words.push_back(nullptr);
  pid_t pid = 0;
  if (const int error = posix_spawnp(&pid, "systemctl", nullptr, nullptr, words.data(), environ)) return sys_error(error, "run", "systemctl");
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
    return fail(EIO, fmt::format("systemctl {} failed", fmt::join(arguments, " ")), "Next: systemctl status says more");
  return {};
}

qualify::Hands hands(const Cli& cli) {
  return {.root = "", .daemon = [&cli](const Json& order) { return ask(cli, order); }, .systemctl = systemctl};
}

int undo(const Cli& cli) {
  const auto undone = qualify::undo(hands(cli));
  if (!undone) return not_checked(undone.error());
  if (cli.json) {
    std::printf("%s\n", dump({{"schema", "holdfast.qualify-undo/1"}, {"undone", undone->done}, {"left", undone->left}}, 2).c_str());
  } else {
    for (const auto& what : undone->done) std::printf("undone: %s\n", printable(what).c_str());
    for (const auto& what : undone->left) std::printf("left as it is: %s\n", printable(what).c_str());
    if (undone->done.empty() && undone->left.empty()) std::printf("There is nothing to be undone.\n");
  }
  return undone->left.empty() ? kQualified : kNotQualified;
}

/// Shows what would be done, asks, and does it.
Status mend(const Cli& cli, const QualifyVerb& verb) {
  auto look = verb.options;
  look.probe = false;
  look.soak_s.reset();
  HF_TRY_ASSIGN(const auto collected, qualify::collect(
                                          look, [&cli] { return connect(cli); }, [](const qualify::Progress&) { return true; }));
  const auto fixes = qualify::fixes_of(qualify::judge(collected.facts));
  if (fixes.empty()) {
    std::fprintf(stderr, "There is nothing that --fix can mend.\n");
    return {};
  }
  std::fprintf(stderr, "To be done:\n");
  for (const auto& fix : fixes) std::fprintf(stderr, "  %s\n", printable(qualify::text(fix)).c_str());
  std::fprintf(stderr, "holdfast qualify --undo takes it back.\n");
  if (!verb.yes) {
    if (!isatty(STDIN_FILENO)) return fail(EINVAL, "nobody to ask whether that is wanted: standard input is not a terminal", "Next: the same with --yes");
    std::fprintf(stderr, "Do it? [y/N] ");
    std::string answer;
    std::getline(std::cin, answer);
    if (answer != "y" && answer != "Y" && answer != "yes") return fail(ECANCELED, "nothing was changed");
  }
  HF_TRY(qualify::apply(fixes, hands(cli)));
  std::fprintf(stderr, "Done: %s.\n\n", count_text(fixes.size(), "change").c_str());
  return {};
}

// --- certificates

int verify(const Cli& cli, QualifyVerb& verb) {
  std::ifstream file(verb.verify);
  std::stringstream text;
  text << file.rdbuf();
  if (!file) return not_checked({ENOENT, fmt::format("cannot read {}", verb.verify), {}});
  const auto certificate = qualify::read_certificate(text.str());
  if (!certificate) return not_checked({certificate.error().code, verb.verify + ": " + certificate.error().message, certificate.error().hint});
  const auto mount = (*certificate)["mount"].get<std::string>();
  if (!verb.options.mount.empty() && verb.options.mount != mount)
    return not_checked({EINVAL, fmt::format("{} is about {}, not {}", verb.verify, mount, verb.options.mount), {}});
  verb.options.mount = mount;
  verb.options.probe = false;
  const auto collected = qualify::collect(
      verb.options, [&cli] { return connect(cli); }, [](const qualify::Progress&) { return true; });
  std::vector<qualify::Change> changes;
  if (collected)
    changes = qualify::changes(*certificate, collected->facts, qualify::judge(collected->facts));
  else if (collected.error().code == EINVAL)
    changes = {{"filesystem", "mount", mount, ""}};
  else
    return not_checked(collected.error());
  if (cli.json) {
    Json list = Json::array();
    for (const auto& change : changes) list.push_back(to_json(change));
    std::printf("%s\n", dump({{"schema", "holdfast.verify/1"},
                              {"certificate", verb.verify},
                              {"made", (*certificate)["time"]},
                              {"mount", mount},
                              {"matches", changes.empty()},
                              {"changes", list}},
                             2)
                            .c_str());
  } else if (changes.empty()) {
    std::printf("%s is as it was certified at %s.\n", printable(mount).c_str(), printable(text_at(*certificate, "time")).c_str());
  } else {
    std::printf("%s is not as it was certified at %s:\n", printable(mount).c_str(), printable(text_at(*certificate, "time")).c_str());
    for (const auto& change : changes) std::printf("  %s\n", printable(qualify::text(change)).c_str());
    std::printf("Next: holdfast qualify %s --certify %s, if that is what you want\n", qualify::quoted(mount).c_str(), qualify::quoted(verb.verify).c_str());
  }
  return changes.empty() ? kQualified : kNotQualified;
}

/// holdfastd watches from now on whether it stays so.
void tell_daemon(const Cli& cli, const qualify::Collected& collected, const std::vector<Finding>& findings) {
  if (!collected.facts.proof.asked || !collected.facts.gate.daemon) return;
  Json failed = Json::array();
  for (const auto& finding : findings)
    if (finding.mark == Mark::fail) failed.push_back(finding.id);
  const auto told = ask(cli, {{"do", "qualified"}, {"path", collected.facts.filesystem.point}, {"failed", failed}});
  if (!told) std::fprintf(stderr, "holdfast: holdfastd does not watch for drift: %s\n", told.error().text().c_str());
}

int qualify_mount(const Cli& cli, QualifyVerb& verb) {
  if (::geteuid() != 0)
    return not_checked({EPERM, "qualify needs root: it looks into the kernel, at every process, and tries every break source", "Next: sudo holdfast qualify"});
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    struct sigaction action {};
    action.sa_handler = [](int) { interrupted = 1; };
    sigaction(signal, &action, nullptr);
  }
  if (verb.undo) return undo(cli);
  auto& options = verb.options;
  options.version = hf_version();
  if (!options.mount.empty()) {
    const auto real = real_path(options.mount);
    if (!real) return not_checked(real.error());
    options.mount = *real;
  }
  if (!verb.verify.empty()) return verify(cli, verb);
  for (auto& file : options.files) {
    const auto real = real_path(file);
    if (!real) return not_checked(real.error());
    file = *real;
  }
  if (!verb.soak.empty()) {
    options.soak_s = parse_duration_s(verb.soak);
    if (!options.soak_s) return not_checked({EINVAL, fmt::format("--soak {} is no time", verb.soak), "Next: --soak 10min"});
  }
  options.probe = !verb.no_probe;
  options.seed = std::random_device{}();
  if (verb.fix)
    if (const auto mended = mend(cli, verb); !mended) return not_checked(mended.error());
  const Bar bar(!cli.json);
  const auto collected = qualify::collect(
      options, [&cli] { return connect(cli); }, [&bar](const qualify::Progress& progress) { return bar.show(progress); });
  bar.clear();
  if (!collected) return not_checked(collected.error());
  if (interrupted) return not_checked({EINTR, "interrupted: nothing was decided", {}});
  const auto findings = qualify::judge(collected->facts);
  const bool good = qualify::qualified(findings);
  tell_daemon(cli, *collected, findings);
  const auto host = host_name();
  const auto report = qualify::to_json(*collected, findings, host);
  if (cli.json)
    std::printf("%s\n", dump(report, 2).c_str());
  else
    print(*collected, findings);
  if (!verb.html.empty())
    if (const auto written = replace_file(verb.html, qualify::html(report, qualify::history(*collected)), 0644); !written) return not_checked(written.error());
  if (!verb.certificate.empty()) {
    if (!good) {
      (void)complain({EPERM, fmt::format("no certificate was made: {} is not qualified", options.mount), "Next: mend what has failed"});
      return kNotQualified;
    }
    const auto certificate = qualify::certificate(collected->facts, findings, host);
    if (const auto written = replace_file(verb.certificate, dump(certificate, 2) + "\n", 0644); !written) return not_checked(written.error());
  }
  return good ? kQualified : kNotQualified;
}

}  // namespace

void add_qualify(CLI::App& app, Cli& cli) {
  auto verb = std::make_shared<QualifyVerb>();
  CLI::App* command = app.add_subcommand("qualify", "Check and prove that a mount in this configuration has no open break source");
  auto* mount = command->add_option("MOUNT", verb->options.mount, "Where the filesystem is mounted")->type_name("");
  command->add_option("FILE", verb->options.files, "Files on it whose blocks are looked at, beside those that are leased")->type_name("");
  verb->options.configuration = kConfigurationDirectory;
  auto* check = command->add_option("--verify", verb->verify, "Is everything as this certificate says, and what has changed?")->type_name("FILE");
  auto* certify = command->add_option("--certify", verb->certificate, "Write a certificate, if it is qualified")->type_name("FILE");
  command->add_option("--html", verb->html, "Write the report as one page")->type_name("FILE")->excludes(check);
  command->add_option("--soak", verb->soak, "Then go on for so long, with remote writes into a registered file")->type_name("TIME")->excludes(check);
  auto* fix = command->add_flag("--fix", verb->fix, "First mend what is safe to mend: seals, sysctls, units; shows it and asks")->excludes(check);
  command->add_flag("--undo", verb->undo, "Take back what --fix has done")->excludes(check)->excludes(fix);
  command->add_flag("--yes,-y", verb->yes, "Don't ask");
  auto* no_probe = command->add_flag("--no-probe", verb->no_probe, "Only look; try nothing on the mount");
  no_probe->excludes(certify);
  command->add_flag("--all-routes", verb->options.all_routes, "Try every source by every route, which takes minutes; else by user, root and io_uring-worker");
  command->add_option("--config", verb->options.configuration, "Folder of holdfast.toml and conf.d")->type_name("DIR");
  add_json(*command, cli);
  command->footer(
      "Verdicts: pass; fail: not qualified; risk: told, and no obstacle; - : nothing to check here.\n\n"
      "Examples:\n"
      "  holdfast qualify /mnt/pool\n"
      "  holdfast qualify /mnt/pool --fix\n"
      "  holdfast qualify /mnt/pool --soak 10min --certify pool.json --html pool.html\n"
      "  holdfast qualify --verify pool.json\n"
      "  holdfast qualify /mnt/pool --json | jq -r '.findings[] | select(.verdict==\"fail\") | .mends[]'\n\n"
      "Exit status: 0 qualified, or as certified; 1 not; 2 could not be checked.");
  command->callback([&cli, verb, mount] {
    if (mount->count() == 0 && verb->verify.empty() && !verb->undo) throw CLI::RequiredError("MOUNT");
    cli.run = [&cli, verb] { return qualify_mount(cli, *verb); };
  });
}

}  // namespace hf::cli
