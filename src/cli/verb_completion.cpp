// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// holdfast completion: what a shell needs to complete the command line.
#include <cstdio>

#include "catalog/actions/perform.hpp"
#include "catalog/break_sources.hpp"
#include "cli/cli.hpp"
#include "cli/completion.hpp"
#include "journal/entry.hpp"
#include "lease/seals.hpp"

namespace hf::cli {

namespace {

CompletionWords words() {
  CompletionWords out = {{"SHELL", {"bash", "zsh", "fish"}},
                         {"--on-timeout", {"deny", "fence", "kill"}},
                         {"--since", {"today", "yesterday", "-1h", "-1d"}},
                         {"--until", {"now", "today", "yesterday", "-1h", "-1d"}}};
  for (const auto& seal : seals()) out["SEAL"].emplace_back(seal.name);
  out["SEAL"].emplace_back("all");
  for (const auto kind : journal_kind::kAll) out["KINDS"].emplace_back(kind);
  for (const auto& source : break_sources()) out["ID"].emplace_back(source.id);
  out["SOURCE"] = out["ID"];
  for (const auto route : actions::routes()) out["ROUTE"].emplace_back(actions::name(route));
  return out;
}

}  // namespace

void add_completion(CLI::App& app, Cli& cli) {
  auto shell = std::make_shared<std::string>();
  CLI::App* verb = app.add_subcommand("completion", "Print what a shell needs to complete this command line");
  verb->add_option("SHELL", *shell, "bash, zsh or fish")->required()->check(CLI::IsMember({"bash", "zsh", "fish"}))->type_name("");
  verb->footer(
      "Examples:\n  source <(holdfast completion bash)\n  holdfast completion zsh >/usr/local/share/zsh/site-functions/_holdfast\n"
      "  holdfast completion fish >~/.config/fish/completions/holdfast.fish\n\nThe packages install all three.");
  verb->callback([&app, &cli, shell] {
    cli.run = [&app, shell] {
      const auto command = describe_command_line(app, words());
      const auto text = *shell == "bash" ? bash_completion(command) : *shell == "zsh" ? zsh_completion(command) : fish_completion(command);
      std::printf("%s", text.c_str());
      return static_cast<int>(kOk);
    };
  });
}

}  // namespace hf::cli
