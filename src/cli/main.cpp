// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// holdfast: the command line. Reads it, picks the verb, turns failures into messages and exit statuses.
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <exception>

#include "cli/cli.hpp"
#include "cli/suggest.hpp"
#include "holdfast/holdfast.h"

namespace hf::cli {

void add_json(CLI::App& verb, Cli& cli) { verb.add_flag("--json", cli.json, "Print JSON"); }

int exit_status(int code) {
  switch (code) {
    case EINVAL:
    case E2BIG:
    case ERANGE:
    case ENODATA:
      return kUsage;
    case ENOTCONN:
    case ECONNREFUSED:
      return kNoDaemon;
    case EACCES:
    case EPERM:
      return kNotPermitted;
    case EOPNOTSUPP:
    case ENOSYS:
    case EPROTO:
    case EPROTONOSUPPORT:
      return kUnsupported;
    default:
      return kFailed;
  }
}

int complain(const Error& error) {
  std::fprintf(stderr, "holdfast: %s\n", error.text().c_str());
  return exit_status(error.code);
}

namespace {

/// CLI11's, in our words.
class HelpFormatter : public CLI::Formatter {
 public:
  HelpFormatter() {
    label("SUBCOMMAND", "VERB");
    label("SUBCOMMANDS", "VERBS");
    label("Subcommands", "Verbs");
    label("OPTIONS", "OPTION...");
    label("REQUIRED", "");
    column_width(24);
  }
  std::string make_usage(const CLI::App* app, std::string name) const override {
    std::string usage = CLI::Formatter::make_usage(app, name);
    if (app->get_name() == "hold" || app->get_name() == "recall") {
      while (!usage.empty() && usage.back() == '\n') usage.pop_back();
      usage += " [-- COMMAND...]\n";
    }
    return usage;
  }
};

constexpr const char* kFooter = R"(Examples:
  holdfast status                            is it running, what does it hold
  holdfast hold /dev/shm/cache               hold a file's layout until ^C
  holdfast hold pool --range 0:1G -- ./job   ... while a command runs
  holdfast why /dev/shm/cache                who holds it, what is refused, who tried
  holdfast watch                             every refusal as it happens
  holdfast top                               leases, refusals and their breakers, live
  holdfast probe /mnt/pmem                   try every way to move a file, and compare
  holdfast qualify /mnt/pmem                 is this mount safe, and what mends it

Exit status: 0 done, 1 failed or refused, 2 usage, 3 holdfastd isn't running,
4 not permitted, 5 not supported here. See holdfast(1).)";

int usage_error(const std::string& message, const std::string& next) {
  std::fprintf(stderr, "holdfast: %s\n  Next: %s\n", message.c_str(), next.c_str());
  return kUsage;
}

/// The words that are no options: the first stands where the verb belongs.
std::vector<std::string> plain_words(const std::vector<std::string>& arguments) {
  std::vector<std::string> words;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    if (arguments[i] == "--socket") {
      ++i;
    } else if (arguments[i].empty() || arguments[i][0] != '-') {
      words.push_back(arguments[i]);
    }
  }
  return words;
}

/// Names the verbs of `app` for its help. @return an exit status where `word` is none of them, with a message that says which was meant
int check_verb(CLI::App& app, const std::string& word, const std::string& command) {
  std::vector<std::string> verbs;
  for (CLI::App* verb : app.get_subcommands([](CLI::App*) { return true; })) {
    verb->group("Verbs");
    verbs.push_back(verb->get_name());
  }
  if (word.empty() || std::find(verbs.begin(), verbs.end(), word) != verbs.end()) return kOk;
  const std::string near = nearest(word, verbs);
  return usage_error(fmt::format("{} has no verb \"{}\"{}", command, word, near.empty() ? "" : fmt::format("; did you mean \"{}\"?", near)),
                     command + " --help lists the verbs");
}

int run(std::vector<std::string> arguments) {
  Cli cli;
  CLI::App app{"Holdfast keeps RDMA-registered files where they are.", "holdfast"};
  app.formatter(std::make_shared<HelpFormatter>());
  app.set_version_flag("--version", std::string("holdfast ") + hf_version(), "Print the version");
  app.set_help_flag("-h,--help", "Print this help; after a verb, the verb's");
  app.add_option("--socket", cli.socket, "holdfastd's socket; else $HOLDFAST_SOCKET, else /run/holdfast/holdfast.sock")->type_name("PATH");
  app.require_subcommand(1);
  app.fallthrough();
  app.footer(kFooter);
  add_status(app, cli);
  add_leases(app, cli);
  add_registrations(app, cli);
  add_watch(app, cli);
  add_top(app, cli);
  add_hold(app, cli);
  add_why(app, cli);
  add_devices(app, cli);
  add_escapes(app, cli);
  add_history(app, cli);
  add_recall(app, cli);
  add_guard(app, cli);
  add_unguard(app, cli);
  add_config(app, cli);
  add_reload(app, cli);
  add_gate(app, cli);
  add_sources(app, cli);
  add_probe(app, cli);
  add_qualify(app, cli);
  add_completion(app, cli);

  const std::vector<std::string> words = plain_words(arguments);
  const std::string word = words.empty() ? "" : words[0];
  if (const int wrong = check_verb(app, word, "holdfast")) return wrong;
  if (const int wrong = check_verb(*app.get_subcommand("gate"), word == "gate" && words.size() > 1 ? words[1] : "", "holdfast gate")) return wrong;
  if (const int wrong = check_verb(*app.get_subcommand("config"), word == "config" && words.size() > 1 ? words[1] : "", "holdfast config")) return wrong;
  if (word == "hold" || word == "recall") {
    // What comes after "--" is another program's: its options are not ours to read.
    const auto dashes = std::find(arguments.begin(), arguments.end(), "--");
    if (dashes != arguments.end()) {
      cli.command.assign(dashes + 1, arguments.end());
      arguments.erase(dashes, arguments.end());
      if (cli.command.empty()) return usage_error("there is no COMMAND after --", "holdfast " + word + " --help");
    }
  }

  std::reverse(arguments.begin(), arguments.end());  // as CLI11 wants them
  try {
    app.parse(arguments);
  } catch (const CLI::Success& wanted) {
    return app.exit(wanted);
  } catch (const CLI::ParseError& error) {
    if (word.empty() || (words.size() == 1 && (word == "gate" || word == "config")))
      return usage_error("what is to be done? There is no verb", (word.empty() ? "holdfast" : "holdfast " + word) + " --help lists the verbs");
    return usage_error(error.what(), "holdfast " + word + " --help");
  }
  const int status = cli.run();
  // A reader that has gone (`holdfast leases | head`) is no failure; a full disk is.
  if (std::fflush(stdout) != 0 && errno != EPIPE && status == kOk) return complain({errno, "cannot write to standard output", {}});
  return status;
}

}  // namespace
}  // namespace hf::cli

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  try {
    return hf::cli::run({argv + 1, argv + argc});
  } catch (const std::exception& error) {
    std::fprintf(stderr, "holdfast: %s\n", error.what());
    return hf::cli::kFailed;
  }
}
