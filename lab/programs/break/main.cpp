// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// hf-lab-break: performs one break source or control by name, or all of them in turn, and says in one line what the kernel answered.
//
// Exit status of one: 0 it succeeded, 1 refused (ETXTBSY, EDEADLK), 2 denied otherwise, 3 it cannot run here. Of `all`: 0 where all was as expected.
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <system_error>
#include <nlohmann/json.hpp>

#include "run.hpp"

namespace {

using lab::Verdict;
using nlohmann::json;

struct Options {
  std::string operation;
  lab::Subject subject;
  std::string expect;
  std::string user;
  std::string kind;
  std::vector<std::string> skip;
  bool list = false;
  bool as_json = false;
};

std::string error_name(int error) { return error == 0 ? "0" : fmt::format("-{}", strerrorname_np(error)); }

void fill_defaults(lab::Subject& subject) {
  struct stat status {};
  if (stat(subject.file.c_str(), &status) != 0) throw std::system_error(errno, std::generic_category(), "stat " + subject.file);
  // A huge page on hugetlbfs, a block elsewhere.
  subject.unit = lab::where_is(subject.file) == lab::kHugetlbfs ? static_cast<std::uint64_t>(status.st_blksize) : 4096;
  const auto size = static_cast<std::uint64_t>(status.st_size);
  if (subject.length == 0) subject.length = size - std::min(size, subject.offset);
  if (subject.length == 0) throw std::runtime_error(subject.file + " is empty: nothing to break");
  if (subject.scratch.empty()) {
    const auto slash = subject.file.rfind('/');
    subject.scratch = slash == std::string::npos ? "." : subject.file.substr(0, slash);
  }
}

int list(bool as_json) {
  for (const auto& operation : lab::operations()) {
    const char* kind = operation.kind == lab::Class::breaks ? "break" : "control";
    std::vector<std::string> runs;
    for (unsigned bit = 1; bit < lab::kEverywhere; bit <<= 1)
      if (operation.runs & bit) runs.emplace_back(lab::name_of(static_cast<lab::Where>(bit)));
    if (as_json) {
      fmt::print("{}\n", json{{"op", operation.name}, {"group", operation.group}, {"class", kind}, {"route", operation.route}, {"runs", runs}}.dump());
    } else {
      fmt::print("{:<26} {:<8} {:<14} {}\n", operation.name, kind, operation.group, operation.route);
    }
  }
  return 0;
}

int run_one(const Options& options) {
  const auto& table = lab::operations();
  const auto found = std::ranges::find_if(table, [&](const auto& operation) { return options.operation == operation.name; });
  if (found == table.end()) throw std::runtime_error("no operation \"" + options.operation + "\": see --list");
  if (found->needs_donor && options.subject.donor.empty()) throw std::runtime_error(options.operation + " wants --donor FILE");
  if (!options.user.empty()) {
    const lab::User user = lab::find_user(options.user);
    if (setgid(user.gid) != 0 || setuid(user.uid) != 0) throw std::system_error(errno, std::generic_category(), "setuid");
  }
  const lab::Outcome outcome = found->perform(options.subject);
  const Verdict verdict = lab::judge(outcome);
  fmt::print("{}\n", json{{"op", found->name},
                          {"route", found->route},
                          {"pid", getpid()},
                          {"result", error_name(outcome.error)},
                          {"verdict", lab::name_of(verdict)},
                          {"detail", outcome.detail}}
                         .dump());
  switch (verdict) {
    case Verdict::allowed:
      return 0;
    case Verdict::refused:
      return 1;
    case Verdict::failed:
      return 2;
    case Verdict::cannot_run:
      return 3;
  }
  return 2;
}

/// What should come of an operation, given whether its file is leased.
bool as_expected(const lab::Operation& operation, lab::Where where, bool leased, Verdict verdict) {
  if (verdict == Verdict::cannot_run) return !(operation.runs & where);
  const bool breaks = operation.kind == lab::Class::breaks && (operation.breaks & where);
  return verdict == (leased && breaks ? Verdict::refused : Verdict::allowed);
}

struct Sum {
  int tried = 0, refused = 0, allowed = 0, cannot_run = 0, wrong = 0;
};

void report(const Options& options, const lab::Operation& operation, lab::Where where, const std::string& user, const lab::Attempt& attempt, bool fine) {
  const Verdict verdict = lab::judge(attempt.outcome);
  const bool breaks = operation.kind == lab::Class::breaks && (operation.breaks & where);
  if (options.as_json) {
    fmt::print("{}\n", json{{"op", operation.name},
                            {"group", operation.group},
                            {"class", breaks ? "break" : "control"},
                            {"route", operation.route},
                            {"filesystem", lab::name_of(where)},
                            {"pid", attempt.pid},
                            {"user", user},
                            {"result", error_name(attempt.outcome.error)},
                            {"verdict", lab::name_of(verdict)},
                            {"expected", fine},
                            {"detail", attempt.outcome.detail}}
                           .dump());
  } else {
    fmt::print("  {:<25} {:<36} {:<7} {:<12} {}{}\n", operation.name, operation.route, user, error_name(attempt.outcome.error), lab::name_of(verdict),
               fine ? "" : fmt::format("   <-- NOT EXPECTED ({})", attempt.outcome.detail));
  }
  std::fflush(stdout);
}

int run_all(const Options& options) {
  if (options.expect != "refused" && options.expect != "allowed") throw std::runtime_error("all wants --expect refused or --expect allowed");
  const bool leased = options.expect == "refused";
  const lab::Where where = lab::where_is(options.subject.file);
  std::optional<lab::User> user;
  if (!options.user.empty()) user = lab::find_user(options.user);

  Sum sum;
  for (const auto& operation : lab::operations()) {
    if (!((operation.runs | operation.may_run) & where)) continue;
    const bool breaks = operation.kind == lab::Class::breaks && (operation.breaks & where);
    if (!options.kind.empty() && options.kind != (breaks ? "break" : "control")) continue;
    if (std::ranges::find(options.skip, operation.name) != options.skip.end()) continue;

    lab::Subject subject = options.subject;
    subject.donor = subject.scratch + "/hf-lab-donor";
    if (operation.needs_donor) lab::make_copy(options.subject.file, subject.donor);
    // Without a lease the file would be spoilt for the next operation.
    if (!leased) lab::make_copy(options.subject.file, subject.file = subject.scratch + "/hf-lab-subject");

    const bool as_root = operation.needs_root || !user;
    const lab::Attempt attempt = lab::attempt(operation, subject, as_root ? std::nullopt : user);
    const Verdict verdict = lab::judge(attempt.outcome);
    const bool fine = as_expected(operation, where, leased, verdict);
    report(options, operation, where, as_root ? "root" : user->name, attempt, fine);

    ++sum.tried;
    sum.refused += verdict == Verdict::refused;
    sum.allowed += verdict == Verdict::allowed;
    sum.cannot_run += verdict == Verdict::cannot_run;
    sum.wrong += !fine;
    unlink(subject.donor.c_str());
    if (!leased) unlink(subject.file.c_str());
  }
  if (options.as_json) {
    fmt::print("{}\n", json{{"summary", true},
                            {"filesystem", lab::name_of(where)},
                            {"tried", sum.tried},
                            {"refused", sum.refused},
                            {"allowed", sum.allowed},
                            {"cannot_run", sum.cannot_run},
                            {"unexpected", sum.wrong}}
                           .dump());
  } else {
    fmt::print("  {}: {} tried, {} refused, {} allowed, {} cannot run here, {} not as expected\n", lab::name_of(where), sum.tried, sum.refused, sum.allowed,
               sum.cannot_run, sum.wrong);
  }
  return sum.wrong || sum.tried == 0 ? 1 : 0;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app{"Performs a break source or a control by name; \"all\" performs every one that this filesystem has, each in a process of its own."};
  app.add_option("OPERATION", options.operation, "a name from --list, or \"all\"");
  app.add_option("FILE", options.subject.file);
  app.add_option("--offset", options.subject.offset, "of the leased range");
  app.add_option("--length", options.subject.length, "of the leased range; 0: to the end of the file");
  app.add_option("--donor", options.subject.donor, "the other file, for operations on two");
  app.add_option("--scratch-dir", options.subject.scratch, "a folder of the same filesystem (default: the file's)");
  app.add_option("--expect", options.expect, "with \"all\": refused (the range is leased) or allowed (each on a fresh copy)");
  app.add_option("--user", options.user, "become this user, where the operation does not need root");
  app.add_option("--only", options.kind, "with \"all\": break or control");
  app.add_option("--skip", options.skip, "with \"all\": leave these out")->delimiter(',');
  app.add_flag("--wait", options.subject.wait, "open, say so, and act after a line of standard input");
  app.add_flag("--list", options.list, "print the operations");
  app.add_flag("--json", options.as_json, "one JSON object a line");
  CLI11_PARSE(app, argc, argv);
  try {
    if (options.list) return list(options.as_json);
    if (options.operation.empty() || options.subject.file.empty()) throw std::runtime_error("wants OPERATION and FILE; see --help");
    fill_defaults(options.subject);
    return options.operation == "all" ? run_all(options) : run_one(options);
  } catch (const std::exception& error) {
    fmt::print(stderr, "hf-lab-break: {}\n", error.what());
    return 4;
  }
}
