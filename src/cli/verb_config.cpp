// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// holdfast config check: reads the configuration the way the daemon does, without one. holdfast reload: has the daemon do it.
#include <cstdio>

#include "cli/answers.hpp"
#include "cli/cli.hpp"
#include "cli/daemon_client.hpp"
#include "cli/terminal.hpp"
#include "daemon/configuration.hpp"
#include "lease/seals.hpp"

namespace hf::cli {

namespace {

struct ConfigOptions {
  std::string directory = kConfigurationDirectory;
};

Json problems_json(const std::vector<Problem>& problems) {
  auto list = Json::array();
  for (const auto& problem : problems)
    list.push_back({{"file", problem.file}, {"line", problem.line}, {"column", problem.column}, {"message", problem.message}, {"hint", problem.hint}});
  return list;
}

int check(const Cli& cli, const ConfigOptions& options) {
  const auto sources = read_sources(options.directory);
  if (!sources) return complain(sources.error());
  const auto configuration = check_configuration(*sources, Names::local());
  const int status = configuration.errors.empty() ? kOk : kFailed;
  if (cli.json) {
    std::printf("%s\n", dump({{"schema", "holdfast.config/1"},
                              {"usable", configuration.errors.empty()},
                              {"files", configuration.files},
                              {"errors", problems_json(configuration.errors)},
                              {"warnings", problems_json(configuration.warnings)}},
                             2)
                            .c_str());
    return status;
  }
  for (const auto& problem : configuration.errors) std::fprintf(stderr, "%s\n", problem.text().c_str());
  for (const auto& problem : configuration.warnings) std::fprintf(stderr, "%s (a remark)\n", problem.text().c_str());
  if (status != kOk) {
    std::fprintf(stderr, "%s; a daemon would go on with what it has\n", count_text(configuration.errors.size(), "mistake").c_str());
    return status;
  }
  const auto& policy = configuration.policy;
  if (configuration.files.empty()) std::printf("There is no configuration in %s: the defaults hold.\n", options.directory.c_str());
  std::printf("The configuration can be used: %s, %s, %s by default.\n", count_text(policy.mounts.size(), "[[mount]]").c_str(),
              count_text(policy.holds.size(), "held file").c_str(), policy.defaults.guard ? "guarded" : "not guarded");
  return kOk;
}

int reload(const Cli& cli) {
  const auto answer = ask(cli, {{"do", "reload"}});
  if (!answer) return complain(answer.error());
  if (cli.json) {
    std::printf("%s\n", dump(*answer, 2).c_str());
    return kOk;
  }
  std::printf("The configuration is in force.\n");
  const Json& warnings = member(*answer, "warnings");
  for (const Json& warning : warnings.is_array() ? warnings : Json::array())
    if (warning.is_string()) std::fprintf(stderr, "holdfast: %s\n", printable(warning.get<std::string>()).c_str());
  return kOk;
}

}  // namespace

void add_config(CLI::App& app, Cli& cli) {
  auto options = std::make_shared<ConfigOptions>();
  CLI::App* verb = app.add_subcommand("config", "Check the configuration; works without holdfastd");
  verb->require_subcommand(1);
  CLI::App* checks = verb->add_subcommand("check", "Say what is wrong with it, with line and column");
  checks->add_option("DIR", options->directory, "The folder of holdfast.toml and conf.d")->capture_default_str()->type_name("");
  add_json(*checks, cli);
  checks->footer("Exit status: 0 it can be used; 1 it can't; 4 others than root could have written it.");
  checks->callback([&cli, options] { cli.run = [&cli, options] { return check(cli, *options); }; });
  verb->footer("Example:\n  holdfast config check && holdfast reload");
}

void add_reload(CLI::App& app, Cli& cli) {
  CLI::App* verb = app.add_subcommand("reload", "Have holdfastd read its configuration again: all of it, or nothing changes");
  add_json(*verb, cli);
  verb->footer("Example:\n  holdfast config check && holdfast reload");
  verb->callback([&cli] { cli.run = [&cli] { return reload(cli); }; });
}

}  // namespace hf::cli
