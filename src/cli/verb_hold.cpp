// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// holdfast hold: a lease for as long as a command runs, or until a signal; as flock(1) does it for locks.
#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <optional>

#include "cli/cli.hpp"
#include "cli/daemon_client.hpp"
#include "cli/event_text.hpp"
#include "cli/range.hpp"
#include "cli/signals.hpp"
#include "cli/target_file.hpp"
#include "cli/terminal.hpp"

namespace hf::cli {

namespace {

constexpr int kSettleTimeoutMs = 3600 * 1000;  // it may have to write the whole file

struct HoldOptions {
  std::string file;
  std::vector<std::string> ranges;
  bool settle = false;
  bool persist = false;
  bool forget = false;
  std::string label;
};

/// The file goes into the configuration: held now, and from boot on, whoever registers it.
int persist(const Cli& cli, const HoldOptions& options) {
  if (!cli.command.empty() || !options.ranges.empty() || !options.label.empty())
    return complain({EINVAL, "--persist and --forget are about the whole file, and no command", "Next: holdfast hold FILE --persist"});
  const std::string known = options.file;
  auto target = open_target(options.file, false);
  // One that is gone can still be forgotten.
  if (!target && !options.forget) return complain(target.error());
  const auto path = target ? target->path : known;
  const auto answer =
      ask(cli, {{"do", options.forget ? "forget" : "hold"}, {"path", path}, {"settle", options.settle}}, target && !options.forget ? target->fd.get() : -1);
  if (!answer) return complain(answer.error());
  if (cli.json)
    std::printf("%s\n", dump(*answer, 2).c_str());
  else if (options.forget)
    std::printf("%s is no longer held by the configuration\n", printable(path).c_str());
  else
    std::printf("%s is held, now and from boot on; holdfast hold %s --forget ends it\n", printable(path).c_str(), printable(path).c_str());
  return kOk;
}

class Hold {
 public:
  Hold(Cli& cli, const HoldOptions& options) : cli_(cli), options_(options) {}

  int run() {
    const Status acquired = acquire();
    if (!acquired) {
      const int status = complain(acquired.error());
      return with_command() ? static_cast<int>(kHoldFailed) : status;
    }
    const Signals signals;
    if (with_command()) {
      if (const auto failed = start_command(signals)) return *failed;
    } else {
      say_held();
    }
    const int status = wait(signals);
    // Said in so many words, and waited for: when this process has ended, the file is free.
    const auto error = lease_.release();
    show_events();  // what was refused in COMMAND's last moments arrives ahead of the answer
    if (error && !lost_ && status == kOk && !with_command())
      return complain({error.value(), "the lease may stand a little longer: " + session_.error_text(), "holdfastd ends it when it runs again"});
    return status;
  }

 private:
  bool with_command() const { return !cli_.command.empty(); }

  Status acquire() {
    std::vector<hf_range> ranges;
    for (const std::string& text : options_.ranges) {
      HF_TRY_ASSIGN(const hf_range range, parse_range(text));
      ranges.push_back(range);
    }
    if (options_.label.size() > HF_LABEL_MAX)
      return fail(EINVAL, fmt::format("the label is too long: {} bytes of at most {}", options_.label.size(), HF_LABEL_MAX));
    if (ranges.size() > HF_RANGES_MAX)
      return fail(E2BIG, fmt::format("{} ranges are too many for one lease: at most {}", ranges.size(), HF_RANGES_MAX), "Next: ask for fewer, longer ones");
    HF_TRY_ASSIGN(file_, open_target(options_.file, true));
    // Files of /proc and the like say that they are empty: what can't be held at all is told first, by the daemon, which knows.
    auto fitting = fit_ranges(ranges, file_.size_bytes, options_.file);
    if (!fitting && fitting.error().code != ENODATA) return tl::unexpected(fitting.error());
    ranges_ = fitting ? *fitting : std::vector<hf_range>{{0, 0}};
    HF_TRY_ASSIGN(session_, connect(cli_));
    if (options_.settle) session_.set_timeout_ms(kSettleTimeoutMs);
    std::error_code error;
    lease_ = session_.acquire(file_.fd.get(), ranges_, {options_.settle, options_.label}, error);
    if (error.value() == ENODATA && !fitting) return tl::unexpected(fitting.error());
    if (error) return tl::unexpected(last_error(session_, error.value()));
    session_.set_timeout_ms(HF_TIMEOUT_DEFAULT_MS);
    file_.fd.reset();  // the lease is on the file, not on our descriptor; unlinking and unmounting go on as ever
    return {};
  }

  void say_held() const {
    if (cli_.json) {
      Json ranges = Json::array();
      for (const hf_range& range : ranges_) ranges.push_back({{"offset_bytes", range.offset_bytes}, {"length_bytes", range.length_bytes}});
      std::printf("%s\n", dump({{"event", "held"}, {"lease", lease_.id()}, {"path", file_.path}, {"ranges", ranges}}).c_str());
    } else {
      std::string ranges;
      for (const hf_range& range : ranges_) ranges += " " + format_range(range.offset_bytes, range.length_bytes);
      std::printf("lease %llu holds %s%s; %s\n", static_cast<unsigned long long>(lease_.id()), printable(file_.path).c_str(), ranges.c_str(),
                  isatty(STDIN_FILENO) ? "^C ends it" : fmt::format("kill {} ends it", getpid()).c_str());
    }
    std::fflush(stdout);
  }

  /// @return the exit status where it could not be started
  std::optional<int> start_command(const Signals& signals) {
    std::vector<char*> arguments;
    for (std::string& argument : cli_.command) arguments.push_back(argument.data());
    arguments.push_back(nullptr);
    child_ = fork();
    if (child_ < 0) {
      complain({errno, "cannot start " + cli_.command[0] + ": " + std::generic_category().message(errno), {}});
      return kHoldFailed;
    }
    if (child_ == 0) {
      std::signal(SIGPIPE, SIG_DFL);
      signals.restore();
      execvp(arguments[0], arguments.data());
      const int error = errno;
      complain({error, fmt::format("cannot run {}: {}", cli_.command[0], std::generic_category().message(error)), {}});
      _exit(error == ENOENT ? 127 : 126);
    }
    return {};
  }

  int wait(const Signals& signals) {
    for (;;) {
      pollfd interest[] = {{signals.fd(), POLLIN, 0}, {session_.event_fd(), POLLIN, 0}};
      if (poll(interest, 2, -1) < 0 && errno != EINTR) return complain({errno, "cannot wait", {}});
      if (interest[1].revents) show_events();
      while (const auto signal = signals.next()) {
        if (const auto status = on_signal(*signal)) return *status;
      }
      if (lost_ && !with_command()) return kFailed;
    }
  }

  std::optional<int> on_signal(Signals::Signal signal) {
    if (!with_command()) {
      if (signal.number == SIGCHLD) return {};
      return signal.number == SIGINT || signal.number == SIGTERM ? static_cast<int>(kOk) : 128 + signal.number;
    }
    if (signal.number == SIGCHLD) {
      int status = 0;
      if (waitpid(child_, &status, WNOHANG) != child_) return {};
      return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    }
    // What came from the terminal has reached COMMAND as well. Either way COMMAND's end is ours.
    if (!signal.from_terminal) kill(child_, signal.number);
    return {};
  }

  void show_events() {
    std::error_code error;
    while (const auto event = session_.next_event(error)) {
      if (event->kind == HF_LEASE_EVENT_LOST) lost_ = true;
      std::FILE* to = cli_.json && !with_command() ? stdout : stderr;
      std::fprintf(to, "%s\n", (cli_.json ? dump(event_json(*event, file_.path)) : "holdfast: " + event_text(*event, file_.path)).c_str());
      std::fflush(to);
    }
  }

  Cli& cli_;
  const HoldOptions& options_;
  TargetFile file_;
  std::vector<hf_range> ranges_;
  holdfast::Session session_;
  holdfast::Lease lease_;
  pid_t child_ = -1;
  bool lost_ = false;
};

}  // namespace

void add_hold(CLI::App& app, Cli& cli) {
  auto options = std::make_shared<HoldOptions>();
  CLI::App* verb = app.add_subcommand("hold", "Hold a file's layout until a signal, or while a command runs");
  verb->add_option("FILE", options->file, "File to hold; you must be allowed to write it")->required()->type_name("");
  verb->add_option("--range", options->ranges, "Bytes to hold, as 0:64K (OFF: is the rest); repeatable; else the whole file")
      ->type_name("OFF:LEN")
      ->allow_extra_args(false);
  verb->add_flag("--settle", options->settle, "First allocate, zero and unshare what isn't settled");
  verb->add_flag("--persist", options->persist, "Hold it from boot on, by the configuration; root only");
  verb->add_flag("--forget", options->forget, "End what --persist began");
  verb->add_option("--label", options->label, "What it is for; shown by holdfast leases")->type_name("TEXT");
  add_json(*verb, cli);
  verb->footer(
      "COMMAND is run, the file is held while it runs, and its exit status is ours.\n"
      "Sizes are bytes, or K, M, G, T for KiB to TiB. While it holds, truncate, punch, reflink\n"
      "and all else that would move these bytes is refused with ETXTBSY; each try is printed.\n"
      "Writing, growing, renaming and unlinking the file stay legal. The lease stands while\n"
      "holdfastd is restarted.\n\n"
      "Examples:\n"
      "  holdfast hold /dev/shm/cache\n"
      "  holdfast hold pool --range 0:1G --range 4G:512M --label kv-cache -- ./server --port 7\n"
      "  holdfast hold /mnt/pool/segment --persist\n\n"
      "Exit status: COMMAND's own, 128+N where signal N ended it, 127 or 126 where it could not\n"
      "be found or run, 125 where the lease could not be had; without COMMAND as holdfast's.");
  verb->callback(
      [&cli, options] { cli.run = [&cli, options] { return options->persist || options->forget ? persist(cli, *options) : Hold(cli, *options).run(); }; });
}

}  // namespace hf::cli
