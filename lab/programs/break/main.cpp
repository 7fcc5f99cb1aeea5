// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// hf-lab-break: performs one action of the catalogue by name, or all of them in turn, and says in one line what the kernel answered. With the prefix "uring-"
// an action goes through io_uring, with the suffix "-worker" as well by a thread of the kernel's.
//
// Exit status of one: 0 it succeeded, 1 refused (ETXTBSY, EDEADLK), 2 denied otherwise, 3 it cannot run here. Of `all`: 0 where all was as expected.
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <system_error>

#include "catalog/actions/perform.hpp"

namespace {

using namespace hf::actions;
using nlohmann::json;

struct Options {
  std::string operation;
  Subject subject;
  std::string expect;
  std::string user;
  std::string kind;
  std::vector<std::string> skip;
  bool list = false;
  bool as_json = false;
};

/// An action by one of the ways of this program.
struct Operation {
  const Action* action;
  Route route;
  std::string name;
};

std::string_view route_text(const Operation& operation) {
  if (operation.route == Route::ring) return "io_uring";
  return operation.route == Route::ring_worker ? "io_uring worker" : operation.action->call;
}

std::vector<Operation> operations() {
  std::vector<Operation> all;
  for (const Action& action : actions()) {
    if (action.kind == Kind::breaks && action.refused == kNowhere) continue;  // what nothing refuses is the probe's
    all.push_back({&action, action.is(kNeedsRoot) ? Route::root : Route::user, std::string(action.name)});
    if (!action.is(kByRing)) continue;
    all.push_back({&action, Route::ring, fmt::format("uring-{}", action.name)});
    all.push_back({&action, Route::ring_worker, fmt::format("uring-{}-worker", action.name)});
  }
  return all;
}

hf::actions::User user_named(const std::string& name) {
  auto user = find_user(name);
  if (!user) throw std::runtime_error(user.error().message);
  return *user;
}

std::string error_name(int error) { return error == 0 ? "0" : fmt::format("-{}", strerrorname_np(error)); }

void fill_defaults(Subject& subject) {
  struct stat status {};
  if (stat(subject.file.c_str(), &status) != 0) throw std::system_error(errno, std::generic_category(), "stat " + subject.file);
  subject.unit = place_of(subject.file).unit;
  const auto size = static_cast<std::uint64_t>(status.st_size);
  if (subject.length == 0) subject.length = size - std::min(size, subject.offset);
  if (subject.length == 0) throw std::runtime_error(subject.file + " is empty: nothing to break");
  if (subject.scratch.empty()) {
    const auto slash = subject.file.rfind('/');
    subject.scratch = slash == std::string::npos ? "." : subject.file.substr(0, slash);
  }
}

int list(bool as_json) {
  for (const auto& [action, route, name] : operations()) {
    const char* kind = action->kind == Kind::breaks ? "break" : "control";
    std::vector<std::string> runs;
    for (unsigned bit = 1; bit < kEverywhere; bit <<= 1)
      if (action->runs & bit) runs.emplace_back(hf::actions::name(static_cast<Where>(bit)));
    if (as_json) {
      fmt::print("{}\n", json{{"op", name}, {"source", action->source}, {"class", kind}, {"route", route_text({action, route, name})}, {"runs", runs}}.dump());
    } else {
      fmt::print("{:<26} {:<8} {:<14} {}\n", name, kind, action->source, action->call);
    }
  }
  return 0;
}

int run_one(const Options& options) {
  const auto table = operations();
  const auto found = std::ranges::find(table, options.operation, &Operation::name);
  if (found == table.end()) throw std::runtime_error("no operation \"" + options.operation + "\": see --list");
  if (found->action->is(kNeedsDonor) && options.subject.donor.empty()) throw std::runtime_error(options.operation + " wants --donor FILE");
  if (!options.user.empty()) {
    const User user = user_named(options.user);
    if (setgid(user.gid) != 0 || setuid(user.uid) != 0) throw std::system_error(errno, std::generic_category(), "setuid");
  }
  // In this very process, so that it can be looked at while it works.
  Subject subject = options.subject;
  if (found->route == Route::ring || found->route == Route::ring_worker) subject.calls = &ring_calls(found->route == Route::ring_worker);
  const Outcome outcome = found->action->perform(subject);
  const Verdict verdict = judge(outcome);
  fmt::print("{}\n", json{{"op", found->name},
                          {"route", route_text(*found)},
                          {"pid", getpid()},
                          {"result", error_name(outcome.error)},
                          {"verdict", name(verdict)},
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

/// What should come of an action, given whether its file is leased.
bool as_expected(const Operation& operation, const Place& place, bool leased, Verdict verdict) {
  const Action& action = *operation.action;
  if (verdict == Verdict::cannot_run) return !(action.runs & place.where) || !has(needs(operation.route, action), place);
  return verdict == (leased && (action.refused & place.where) ? Verdict::refused : Verdict::allowed);
}

struct Sum {
  int tried = 0, refused = 0, allowed = 0, cannot_run = 0, wrong = 0;
};

void report(const Options& options, const Operation& operation, Where where, const std::string& user, const Attempt& attempt, bool fine) {
  const Verdict verdict = judge(attempt.outcome);
  if (options.as_json) {
    fmt::print("{}\n", json{{"op", operation.name},
                            {"source", operation.action->source},
                            {"class", operation.action->refused & where ? "break" : "control"},
                            {"route", route_text(operation)},
                            {"filesystem", name(where)},
                            {"pid", attempt.pid},
                            {"user", user},
                            {"result", error_name(attempt.outcome.error)},
                            {"verdict", name(verdict)},
                            {"expected", fine},
                            {"detail", attempt.outcome.detail}}
                           .dump());
  } else {
    fmt::print("  {:<25} {:<36} {:<7} {:<12} {}{}\n", operation.name, operation.action->call, user, error_name(attempt.outcome.error), name(verdict),
               fine ? "" : fmt::format("   <-- NOT EXPECTED ({})", attempt.outcome.detail));
  }
  std::fflush(stdout);
}

int run_all(const Options& options) {
  if (options.expect != "refused" && options.expect != "allowed") throw std::runtime_error("all wants --expect refused or --expect allowed");
  const bool leased = options.expect == "refused";
  const Place place = place_of(options.subject.file);
  std::optional<User> user;
  if (!options.user.empty()) user = user_named(options.user);

  Sum sum;
  for (const Operation& operation : operations()) {
    const Action& action = *operation.action;
    if (!((action.runs | action.may_run) & place.where)) continue;
    if (!options.kind.empty() && options.kind != (action.refused & place.where ? "break" : "control")) continue;
    if (std::ranges::find(options.skip, operation.name) != options.skip.end()) continue;

    Subject subject = options.subject;
    subject.donor = subject.scratch + "/hf-lab-donor";
    if (action.is(kNeedsDonor)) make_copy(options.subject.file, subject.donor);
    // Without a lease the file would be spoilt for the next action.
    if (!leased) make_copy(options.subject.file, subject.file = subject.scratch + "/hf-lab-subject");

    const bool as_root = action.is(kNeedsRoot) || !user;
    const Attempt attempt = hf::actions::attempt({action, operation.route, subject, user});
    const Verdict verdict = judge(attempt.outcome);
    const bool fine = as_expected(operation, place, leased, verdict);
    report(options, operation, place.where, as_root ? "root" : user->name, attempt, fine);

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
                            {"filesystem", name(place.where)},
                            {"tried", sum.tried},
                            {"refused", sum.refused},
                            {"allowed", sum.allowed},
                            {"cannot_run", sum.cannot_run},
                            {"unexpected", sum.wrong}}
                           .dump());
  } else {
    fmt::print("  {}: {} tried, {} refused, {} allowed, {} cannot run here, {} not as expected\n", name(place.where), sum.tried, sum.refused, sum.allowed,
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
