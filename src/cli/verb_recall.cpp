// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// holdfast recall: asks the holders of a file or a filesystem to let go, waits, and runs a command alone when they have.
#include <poll.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>

#include "cli/answers.hpp"
#include "cli/cli.hpp"
#include "cli/daemon_client.hpp"
#include "cli/signals.hpp"
#include "cli/target_file.hpp"
#include "cli/terminal.hpp"
#include "daemon/configuration.hpp"

namespace hf::cli {

namespace {

using Clock = std::chrono::steady_clock;

struct RecallOptions {
  std::string target;
  std::string wait;
  std::string on_timeout;
};

class RecallVerb {
 public:
  RecallVerb(Cli& cli, const RecallOptions& options) : cli_(cli), options_(options) {}

  int run() {
    const Signals signals;
    if (const auto ready = prepare(); !ready) return with_command() ? complain(ready.error()), static_cast<int>(kHoldFailed) : complain(ready.error());
    auto state = begin();
    while (state) {
      show(*state);
      const auto phase = text_at(*state, "phase");
      if (phase == "window") return run_command(signals);
      if (phase == "over") return conclude(*state);
      if (interrupted(signals)) {
        (void)ask(cli_, {{"do", "recall-end"}});
        return with_command() ? static_cast<int>(kHoldFailed) : 130;
      }
      state = look();
    }
    const int status = complain(state.error());
    return with_command() ? static_cast<int>(kHoldFailed) : status;
  }

 private:
  bool with_command() const { return !cli_.command.empty(); }

  Status prepare() {
    order_ = {{"do", "recall"}, {"command", with_command()}};
    if (!options_.wait.empty()) {
      const auto seconds = parse_duration_s(options_.wait);
      if (!seconds) return fail(EINVAL, fmt::format("\"{}\" is not a time", options_.wait), "Next: --wait 30s, --wait 5min");
      order_["wait_s"] = *seconds;
      until_ = Clock::now() + std::chrono::seconds(*seconds);
    }
    if (!options_.on_timeout.empty()) order_["on_timeout"] = options_.on_timeout;
    struct stat status {};
    if (stat(options_.target.c_str(), &status) == 0 && S_ISDIR(status.st_mode)) {
      const std::unique_ptr<char, decltype(&std::free)> real(realpath(options_.target.c_str(), nullptr), std::free);
      order_["path"] = real ? real.get() : options_.target;
      return {};
    }
    HF_TRY_ASSIGN(auto target, open_target(options_.target, false));
    file_ = std::move(target.fd);
    order_["path"] = target.path;
    return {};
  }

  Result<Json> begin() { return ask(cli_, order_, file_ ? file_.get() : -1); }

  /// How it stands. A daemon that was restarted meanwhile is asked anew, with the time that is left.
  Result<Json> look() {
    auto state = ask(cli_, {{"do", "recall-status"}});
    if (state) {
      daemon_away_since_ = {};
      return state;
    }
    if (state.error().code == ENOENT) {
      if (until_) order_["wait_s"] = std::max<std::int64_t>(1, std::chrono::duration_cast<std::chrono::seconds>(*until_ - Clock::now()).count());
      return begin();
    }
    if (state.error().code != ENOTCONN && state.error().code != ECONNREFUSED) return state;
    constexpr auto kPatience = std::chrono::seconds(30);
    if (!daemon_away_since_) daemon_away_since_ = Clock::now();
    if (Clock::now() - *daemon_away_since_ > kPatience) return state;
    return last_;
  }

  bool interrupted(const Signals& signals) {
    constexpr int kLookEveryMs = 200;
    pollfd interest{signals.fd(), POLLIN, 0};
    poll(&interest, 1, kLookEveryMs);
    while (const auto signal = signals.next())
      if (signal->number != SIGCHLD) return true;
    return false;
  }

  void show(const Json& state) {
    last_ = state;
    if (cli_.json) return;
    const Json& holders = member(state, "holders");
    for (const Json& holder : holders.is_array() ? holders : Json::array()) {
      const auto what = text_at(holder, "state");
      auto& known = shown_[number_at(holder, "lease")];
      if (known == what) continue;
      known = what;
      std::fprintf(stderr, "holdfast: %s (uid %llu), %s %llu: %s\n", printable(process_text(holder)).c_str(),
                   static_cast<unsigned long long>(number_at(holder, "uid")), text_at(holder, "kind") == "registration" ? "registration" : "lease",
                   static_cast<unsigned long long>(number_at(holder, "lease")), words(what));
    }
  }

  static const char* words(const std::string& state) {
    static const std::map<std::string, const char*> kWords{
        {"asked", "asked to let go"},       {"refused", "says no"},    {"fence-asked", "asked to fence its memory now"},
        {"terminated", "got SIGTERM"},      {"killed", "got SIGKILL"}, {"let-go", "has let go"},
        {"fenced", "has fenced its memory"}};
    const auto found = kWords.find(state);
    return found == kWords.end() ? "?" : found->second;
  }

  int conclude(const Json& state) {
    const auto outcome = text_at(state, "outcome"), path = printable(text_at(state, "path"));
    const bool good = outcome == "let-go" || outcome == "done";
    if (cli_.json && !with_command()) {
      std::printf("%s\n", dump(state, 2).c_str());
    } else if (outcome == "let-go") {
      std::printf("nobody holds %s any more\n", path.c_str());
    } else if (!good) {
      std::fprintf(stderr, "holdfast: %s has not let go of %s; it is as it was\n", count_text(number_at(state, "left"), "holder").c_str(), path.c_str());
    }
    if (good) return kOk;
    return with_command() ? kHoldFailed : kFailed;
  }

  int run_command(const Signals& signals) {
    std::vector<char*> arguments;
    for (std::string& argument : cli_.command) arguments.push_back(argument.data());
    arguments.push_back(nullptr);
    const pid_t child = fork();
    if (child == 0) {
      std::signal(SIGPIPE, SIG_DFL);
      signals.restore();
      execvp(arguments[0], arguments.data());
      const int error = errno;
      complain({error, fmt::format("cannot run {}: {}", cli_.command[0], std::generic_category().message(error)), {}});
      _exit(error == ENOENT ? 127 : 126);
    }
    int status = child < 0 ? (complain({errno, "cannot start " + cli_.command[0], {}}), static_cast<int>(kHoldFailed)) : wait_for(child, signals);
    const auto ended = ask(cli_, {{"do", "recall-end"}});
    // The window goes with this process in any case.
    if (!ended && ended.error().code != ENOENT) std::fprintf(stderr, "holdfast: the window ends with this process: %s\n", ended.error().message.c_str());
    for (auto state = ended; state && text_at(*state, "phase") == "closing"; state = look()) (void)interrupted(signals);
    return status;
  }

  static int wait_for(pid_t child, const Signals& signals) {
    for (;;) {
      pollfd interest{signals.fd(), POLLIN, 0};
      poll(&interest, 1, -1);
      while (const auto signal = signals.next()) {
        int status = 0;
        if (signal->number != SIGCHLD) {
          if (!signal->from_terminal) kill(child, signal->number);
        } else if (waitpid(child, &status, WNOHANG) == child) {
          return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
        }
      }
    }
  }

  Cli& cli_;
  const RecallOptions& options_;
  Json order_;
  Fd file_;
  Json last_;
  std::map<std::uint64_t, std::string> shown_;
  std::optional<Clock::time_point> until_;
  std::optional<Clock::time_point> daemon_away_since_;
};

}  // namespace

void add_recall(CLI::App& app, Cli& cli) {
  auto options = std::make_shared<RecallOptions>();
  CLI::App* verb = app.add_subcommand("recall", "Ask holders to let go, and run a command alone when they have");
  verb->add_option("TARGET", options->target, "A file, or the folder that a filesystem is mounted on")->required()->type_name("");
  verb->add_option("--wait", options->wait, "How long holders have, as 30s or 5min; else what the configuration says")->type_name("TIME");
  verb->add_option("--on-timeout", options->on_timeout, "The last step, for those who have not: deny (give up), fence, kill; deny unless said")
      ->check(CLI::IsMember({"deny", "fence", "kill"}))
      ->type_name("STEP");
  add_json(*verb, cli);
  verb->footer(
      "Nobody can begin a lease on TARGET meanwhile. When all have let go, COMMAND runs, and it\n"
      "and its children alone may change the layout; then TARGET is protected as before.\n"
      "fence asks the holder's library to make the memory unreachable. kill then ends the\n"
      "process: SIGTERM, then SIGKILL; only where the configuration says escalation = \"kill\".\n"
      "For root, and the group that the configuration names.\n\n"
      "Examples:\n"
      "  holdfast recall /mnt/pool/segment\n"
      "  holdfast recall /mnt/pool/segment --wait 5min -- xfs_fsr /mnt/pool/segment\n"
      "  holdfast recall /mnt/pool --on-timeout fence -- fstrim /mnt/pool\n\n"
      "Exit status: COMMAND's own, 128+N where signal N ended it, 127 or 126 where it could not\n"
      "be found or run, 125 where not all let go; without COMMAND as holdfast's.");
  verb->callback([&cli, options] { cli.run = [&cli, options] { return RecallVerb(cli, *options).run(); }; });
}

}  // namespace hf::cli
