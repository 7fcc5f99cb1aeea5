// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// What the verbs share. A verb is one file: it adds its subcommand, and when that is chosen leaves in Cli::run what is to be done.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace hf::cli {

/// Exit statuses; documented in holdfast(1).
enum Exit : int {
  kOk = 0,
  kFailed = 1,        ///< it did not work, or was refused
  kUsage = 2,         ///< the command line makes no sense
  kNoDaemon = 3,      ///< holdfastd isn't running
  kNotPermitted = 4,  ///< the caller may not do that
  kUnsupported = 5,   ///< this file, filesystem, kernel or version can't do that
  kHoldFailed = 125,  ///< `hold` with a COMMAND: any of the above, so that it can be told from COMMAND's own status
};

struct Cli {
  std::string socket;  ///< empty: the library's default
  bool json = false;
  std::vector<std::string> command;  ///< what stood after "--"
  std::function<int()> run;
};

void add_status(CLI::App& app, Cli& cli);
void add_leases(CLI::App& app, Cli& cli);
void add_registrations(CLI::App& app, Cli& cli);
void add_watch(CLI::App& app, Cli& cli);
void add_hold(CLI::App& app, Cli& cli);
void add_why(CLI::App& app, Cli& cli);
void add_devices(CLI::App& app, Cli& cli);
void add_escapes(CLI::App& app, Cli& cli);
void add_history(CLI::App& app, Cli& cli);
void add_gate(CLI::App& app, Cli& cli);
void add_recall(CLI::App& app, Cli& cli);
void add_guard(CLI::App& app, Cli& cli);
void add_unguard(CLI::App& app, Cli& cli);
void add_config(CLI::App& app, Cli& cli);
void add_reload(CLI::App& app, Cli& cli);
void add_sources(CLI::App& app, Cli& cli);
void add_probe(CLI::App& app, Cli& cli);
void add_qualify(CLI::App& app, Cli& cli);
void add_top(CLI::App& app, Cli& cli);
void add_completion(CLI::App& app, Cli& cli);

/// Adds --json to a verb.
void add_json(CLI::App& verb, Cli& cli);

/// Prints an error on standard error as "holdfast: MESSAGE", its hint below it. @return the exit status for its errno
int complain(const Error& error);
int exit_status(int code);

}  // namespace hf::cli
