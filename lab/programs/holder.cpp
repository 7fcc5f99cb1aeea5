// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// hf-lab-holder: holds a file through libholdfast and answers a recall as it is told to: lets go, fences, says no, or does nothing. A line for each event.
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <holdfast/holdfast.hpp>
#include <string>

namespace {

struct Options {
  std::string file;
  std::string on_recall = "release";
  std::string on_fence = "ignore";
  bool stubborn = false;
};

void say(const char* what, std::uint64_t lease) {
  std::printf("{\"event\": \"%s\", \"lease\": %llu}\n", what, static_cast<unsigned long long>(lease));
  std::fflush(stdout);
}

/// @return whether it still holds
bool answer(const holdfast::Session& session, holdfast::Lease& lease, const std::string& how) {
  const auto id = lease.id();
  if (how == "release") {
    lease.release();
    say("released", id);
    return false;
  }
  if (how == "fence" || how == "refuse") {
    const int error = hf_recall_answer(session.get(), id, how == "fence" ? HF_RECALL_FENCED : HF_RECALL_REFUSED);
    if (error) std::fprintf(stderr, "hf_recall_answer: %d: %s\n", error, session.error_text().c_str());
    say(how == "fence" ? "fenced" : "refused", id);
    return how != "fence";
  }
  return true;
}

int hold(const Options& options) {
  if (options.stubborn) std::signal(SIGTERM, SIG_IGN);
  const int fd = open(options.file.c_str(), O_RDWR | O_CLOEXEC);
  if (fd < 0) return std::perror(options.file.c_str()), 1;
  auto session = holdfast::Session::connect();
  auto lease = session.acquire(fd, {}, {.settle = false, .label = "holder"});
  say("held", lease.id());
  for (;;) {
    pollfd interest{session.event_fd(), POLLIN, 0};
    poll(&interest, 1, -1);
    std::error_code error;
    while (const auto event = session.next_event(error)) {
      static constexpr const char* kNames[] = {"?", "denied", "escaped", "lost", "reclaimed", "recall", "fence", "recall-over"};
      say(event->kind < std::size(kNames) ? kNames[event->kind] : "?", event->lease_id);
      if (event->kind == HF_LEASE_EVENT_RECALL && lease) answer(session, lease, options.on_recall);
      if (event->kind == HF_LEASE_EVENT_FENCE && lease) answer(session, lease, options.on_fence);
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Holds a file and answers a recall as it is told to", "hf-lab-holder"};
  Options options;
  app.add_option("FILE", options.file)->required();
  app.add_option("--on-recall", options.on_recall)->check(CLI::IsMember({"release", "refuse", "fence", "ignore"}))->capture_default_str();
  app.add_option("--on-fence", options.on_fence)->check(CLI::IsMember({"release", "fence", "ignore"}))->capture_default_str();
  app.add_flag("--stubborn", options.stubborn, "Ignore SIGTERM");
  CLI11_PARSE(app, argc, argv);
  try {
    return hold(options);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
