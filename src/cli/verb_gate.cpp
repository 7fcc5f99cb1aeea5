// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// holdfast gate: the kernel side itself, without the daemon.
#include <unistd.h>

#include <cstdio>
#include <iostream>

#include "cli/answers.hpp"
#include "cli/cli.hpp"
#include "cli/daemon_client.hpp"
#include "cli/terminal.hpp"
#include "kernel/gate.hpp"
#include "kernel/pin_device.hpp"

namespace hf::cli {

namespace {

struct GateOptions {
  bool yes = false;
};

/// Not permitted is the likeliest failure of all that look into bpffs: say what helps.
Error explain(Error error) {
  if ((error.code == EACCES || error.code == EPERM) && error.hint.empty()) error.hint = "Next: run it as root";
  return error;
}

std::string list(const std::vector<std::string>& names) { return names.empty() ? "none" : fmt::format("{}", fmt::join(names, " ")); }

struct Verdict {
  const char* word;
  Colour colour;
  std::string next;
  int status;
};

Verdict judge(const GateState& gate) {
  if (gate.other_version)
    return {"another version's", Colour::kRed,
            "holdfast gate detach --yes, then systemctl restart holdfastd (protection pauses in between); or run the holdfastd that armed it", kUnsupported};
  if (gate.armed) return {"armed", Colour::kGreen, "", kOk};
  if (!gate.hooks.empty()) return {"incomplete", Colour::kRed, "holdfast gate detach --yes, then systemctl restart holdfastd", kFailed};
  return {"not armed", Colour::kYellow, "systemctl start holdfastd", kFailed};
}

int status(const Cli& cli) {
  const auto gate = gate_state();
  if (!gate) return complain(explain(gate.error()));
  const KernelSupport support = probe_kernel_support();
  const Status usable = support.usable();
  const Verdict verdict = judge(*gate);
  if (cli.json) {
    Json out{{"state", verdict.word},       {"armed", gate->armed},         {"other_version", gate->other_version},
             {"version", gate->version},    {"hooks", gate->hooks},         {"missing", gate->missing},
             {"waiting", gate->waiting},    {"unwatched", gate->unwatched}, {"pins", kPinDirectory},
             {"kernel", support.release},   {"lsm", support.lsm_list},      {"lockdown", support.lockdown},
             {"usable", usable.has_value()}};
    if (!usable) out["unusable_because"] = usable.error().text();
    if (gate->meta)
      out["counters"] = {{"denials", gate->meta->denials}, {"denials_lost", gate->meta->denials_lost},   {"passed", gate->meta->passed},
                         {"escapes", gate->meta->escapes}, {"registrations", gate->meta->registrations}, {"unprotected", gate->meta->unprotected}};
    std::printf("%s\n", dump(out, 2).c_str());
    return verdict.status;
  }
  const Terminal terminal = Terminal::of(stdout);
  Facts facts;
  facts.add("gate", terminal.paint(verdict.colour, verdict.word) + (gate->version.empty() ? "" : ", by Holdfast " + printable(gate->version)));
  if (!gate->hooks.empty()) facts.add("hooks", std::to_string(gate->hooks.size()) + " attached, pinned in " + kPinDirectory);
  if (!gate->missing.empty() && !gate->hooks.empty()) facts.add("missing", list(gate->missing));
  if (!gate->waiting.empty()) facts.add("waiting", list(gate->waiting) + " (attached when their module is loaded)");
  if (!gate->unwatched.empty())
    facts.add("unwatched", terminal.paint(Colour::kYellow, list(gate->unwatched)) + " (not in this kernel: breaks may pass there unseen)");
  if (gate->meta) {
    facts.add("refused", std::to_string(gate->meta->denials) +
                             (gate->meta->denials_lost ? fmt::format(" ({} of them without a name: the buffer was full)", gate->meta->denials_lost) : ""));
    facts.add("let through", std::to_string(gate->meta->passed) + " layout changes that touched no lease");
    facts.add("registrations", fmt::format("{} seen, {} unprotected", gate->meta->registrations, gate->meta->unprotected));
  }
  facts.add("kernel", support.release + (usable ? ", has what the gate needs" : ""));
  std::printf("%s", facts.text(terminal).c_str());
  std::fflush(stdout);
  // On a kernel that can't, starting the daemon is no help: that comes first.
  if (!usable && !gate->armed) return complain(usable.error()) == kOk ? kOk : kUnsupported;
  if (!verdict.next.empty()) std::printf("Next: %s\n", verdict.next.c_str());
  return verdict.status;
}

/// What stands now and would not after: asked of the daemon, where there is one.
std::string what_ends(const Cli& cli, bool& daemon_runs) {
  const auto answer = ask(cli, {{"query", "status"}});
  daemon_runs = answer.has_value();
  const std::string everything = "every lease and registration loses its protection, and what the gate remembers of them is forgotten";
  return answer ? fmt::format("{} ({} now)", everything, number_at(member(*answer, "leases"), "total")) : everything;
}

int detach(const Cli& cli, const GateOptions& options) {
  const auto gate = gate_state();
  if (!gate) return complain(explain(gate.error()));
  const bool anything = gate->armed || gate->other_version || !gate->hooks.empty() || gate->meta;
  // The one thing that is worse without the gate than it ever was without Holdfast.
  if (pin_bindings() > 0)
    std::fprintf(
        stderr,
        "Files are bound by holdfast-pin: without the gate, a truncate and the like of these wait, with the file locked, until their holders let go.\n");
  if (anything && !options.yes) {
    bool daemon_runs = false;
    const std::string ends = what_ends(cli, daemon_runs);
    std::fprintf(stderr, "This ends the gate: %s.\nTruncate, punch, reflink and the like work again on every file, registered or not.\n", ends.c_str());
    if (daemon_runs) std::fprintf(stderr, "holdfastd is running and is of no use without the gate: stop it first (systemctl stop holdfastd).\n");
    if (!isatty(STDIN_FILENO))
      return complain({EINVAL, "nobody to ask whether that is wanted: standard input is not a terminal", "Next: holdfast gate detach --yes"});
    std::fprintf(stderr, "End the gate? [y/N] ");
    std::string answer;
    std::getline(std::cin, answer);
    if (answer != "y" && answer != "Y" && answer != "yes") return complain({ECANCELED, "nothing was changed", {}});
  }
  const auto gone = gate_detach();
  if (!gone) return complain(explain(gone.error()));
  if (cli.json) {
    std::printf("%s\n", dump({{"detached", *gone > 0}, {"pins_removed", *gone}}, 2).c_str());
  } else if (*gone == 0) {
    std::printf("There was no gate: nothing is pinned in %s\n", kPinDirectory);
  } else {
    std::printf("The gate has ended: %d pins removed from %s. No file is protected now.\nTo arm it again: systemctl restart holdfastd\n", *gone, kPinDirectory);
  }
  return kOk;
}

}  // namespace

void add_gate(CLI::App& app, Cli& cli) {
  auto options = std::make_shared<GateOptions>();
  CLI::App* verb = app.add_subcommand("gate", "Look at the gate in the kernel, or end it; works with holdfastd dead");
  verb->require_subcommand(1);
  CLI::App* look = verb->add_subcommand("status", "Is it armed, by which version, what has it refused");
  add_json(*look, cli);
  look->footer("Exit status: 0 armed; 1 not armed or incomplete; 4 not root; 5 armed by another version, or this kernel can't.");
  look->callback([&cli] { cli.run = [&cli] { return status(cli); }; });
  CLI::App* end = verb->add_subcommand("detach", "End the gate, the observer and all leases; asks first");
  end->add_flag("--yes,-y", options->yes, "Don't ask");
  add_json(*end, cli);
  end->footer("Nothing is protected afterwards, until holdfastd is started again. Stop holdfastd first.");
  end->callback([&cli, options] { cli.run = [&cli, options] { return detach(cli, *options); }; });
  verb->footer("Examples:\n  holdfast gate status\n  systemctl stop holdfastd && holdfast gate detach");
}

}  // namespace hf::cli
