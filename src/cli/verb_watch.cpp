// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// holdfast watch: every event as it happens, one line each.
#include <poll.h>

#include <cstdio>

#include "cli/answers.hpp"
#include "cli/cli.hpp"
#include "cli/event_text.hpp"
#include "cli/terminal.hpp"

namespace hf::cli {

namespace {

struct WatchOptions {
  bool denials = false;
};

/// @return whether there is still someone who reads
bool show(const Cli& cli, const WatchOptions& options, const Terminal& terminal, const std::string& text) {
  const Json event = Json::parse(text, nullptr, false);
  const std::string kind = text_at(event, "event");
  if (options.denials && (kind.starts_with("registration") || kind.starts_with("lease"))) return true;
  std::printf("%s\n", cli.json || event.is_discarded() ? text.c_str() : watch_text(event, terminal).c_str());
  return std::fflush(stdout) == 0;
}

int watch(const Cli& cli, const WatchOptions& options) {
  auto session = connect(cli);
  if (!session) return complain(session.error());
  if (const int error = hf_watch(session->get())) return complain(last_error(*session, -error));
  const Terminal terminal = Terminal::of(stdout);
  // On standard error: what is piped on is events and nothing else.
  std::fprintf(stderr, "holdfast: watching; ^C ends it\n");
  for (;;) {
    char* text = nullptr;
    int result;
    while ((result = hf_next_watch_event(session->get(), &text)) > 0) {
      const bool read = show(cli, options, terminal, text);
      hf_free(text);
      if (!read) return kOk;
    }
    if (result < 0) return complain(last_error(*session, -result));
    // Standard output too: a reader that has gone is seen without an event.
    pollfd interest[] = {{session->event_fd(), POLLIN, 0}, {fileno(stdout), 0, 0}};
    if (poll(interest, 2, -1) < 0 && errno != EINTR) return complain({errno, "cannot wait for events", {}});
    if (interest[1].revents & (POLLERR | POLLHUP)) return kOk;
  }
}

}  // namespace

void add_watch(CLI::App& app, Cli& cli) {
  auto options = std::make_shared<WatchOptions>();
  CLI::App* verb = app.add_subcommand("watch", "Follow events as they happen, one line each");
  verb->add_flag("--denials", options->denials, "Only what was refused, not registrations and leases that come and go");
  add_json(*verb, cli);
  verb->footer(
      "A refusal reads: TIME OPERATION RANGE FILE ERRNO BREAKER (EXECUTABLE, PID, USER, UNIT): COMMAND LINE.\n"
      "With --json each line is an object. Users other than root hear of what concerns their own.\n"
      "It goes on when holdfastd is restarted, and says so.\n\n"
      "Examples:\n  holdfast watch --denials\n  holdfast watch --json | jq -c 'select(.event==\"denial\") | .breaker.executable'");
  verb->callback([&cli, options] { cli.run = [&cli, options] { return watch(cli, *options); }; });
}

}  // namespace hf::cli
