// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// hf-lab-match: sets each attempt of `hf-lab-break all --json` (standard input) against what `holdfast watch --json` (--events) said of that very process,
// and prints a line for each refusal with the breaker's name as Holdfast reported it.
//
// Exit status: 0 where every attempt came out as expected and every refusal has a complete name.
#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <time.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <deque>
#include <map>
#include <nlohmann/json.hpp>

#include "base/fd.hpp"

namespace {

using nlohmann::json;

struct Options {
  std::string events;
  std::string report;
  int bound_ms = 20'000;
  bool colour = false;
};

std::int64_t now_ms() {
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC, &time);
  return static_cast<std::int64_t>(time.tv_sec) * 1000 + time.tv_nsec / 1'000'000;
}

/// A descriptor read line by line, each a JSON object.
class Lines {
 public:
  explicit Lines(int fd) : fd_(fd) {}
  int fd() const { return open_ ? fd_ : -1; }
  bool open() const { return open_; }
  /// Takes what is there. Lines that are no objects are left out.
  void take(std::deque<json>& into) {
    char buffer[65536];
    const ssize_t got = read(fd_, buffer, sizeof buffer);
    if (got <= 0) {
      open_ = false;
      return;
    }
    text_.append(buffer, static_cast<std::size_t>(got));
    for (auto end = text_.find('\n'); end != std::string::npos; end = text_.find('\n')) {
      json value = json::parse(text_.substr(0, end), nullptr, false);
      text_.erase(0, end + 1);
      if (value.is_object()) into.push_back(std::move(value));
    }
  }

 private:
  int fd_;
  bool open_ = true;
  std::string text_;
};

/// Why a denial does not name its breaker fully; empty where it does.
std::string nameless(const json& denial) {
  const json& breaker = denial.value("breaker", json::object());
  for (const char* field : {"comm", "user", "executable", "command_line", "cgroup", "system_call"})
    if (!breaker.contains(field) || breaker[field].is_null()) return fmt::format("no {}", field);
  if (!breaker.value("complete", false)) return "not complete";
  if (denial.value("operation", std::string()).empty()) return "no operation";
  return {};
}

std::string name(const json& breaker) {
  std::string text = fmt::format("{}[{}]", breaker.value("comm", "?"), breaker.value("pid", 0));
  if (breaker.contains("user") && breaker["user"].is_string()) text += " " + breaker["user"].get<std::string>();
  if (breaker.value("kind", "") == "io_uring-worker") text += ", io_uring";
  return text;
}

class Report {
 public:
  explicit Report(const Options& options) : options_(options) {}

  /// @return false where the denial of this refusal has not been heard of yet
  bool add(const json& attempt, bool last_chance) {
    const std::string verdict = attempt.value("verdict", "");
    const bool fine = attempt.value("expected", false);
    ++tried_;
    if (attempt.value("class", "") == "control") {
      (fine ? controls_ : wrong_) += 1;
      if (!fine) line(attempt, "should have been allowed", false);
      return true;
    }
    if (!fine) {
      ++wrong_;
      line(attempt, fmt::format("should have been refused ({})", attempt.value("detail", "")), false);
      return true;
    }
    if (verdict != "refused") {
      ++cannot_run_;
      return true;
    }
    const auto found = denials_.find(attempt.value("pid", 0));
    if (found == denials_.end() && !last_chance) {
      --tried_;
      return false;
    }
    ++refused_;
    if (found == denials_.end()) {
      ++nameless_;
      line(attempt, "nobody said who it was", false);
      return true;
    }
    const std::string missing = nameless(found->second);
    nameless_ += !missing.empty();
    line(attempt, name(found->second["breaker"]) + (missing.empty() ? "" : " (" + missing + ")"), missing.empty());
    return true;
  }

  void hear(const json& event) {
    if (event.value("event", "") == "denial") denials_.emplace(event["breaker"].value("pid", 0), event);
  }

  int finish() const {
    const json sum{{"tried", tried_},           {"refused", refused_},  {"controls_allowed", controls_},
                   {"cannot_run", cannot_run_}, {"unexpected", wrong_}, {"without_a_name", nameless_}};
    if (!options_.report.empty()) {
      std::FILE* file = std::fopen(options_.report.c_str(), "w");
      if (!file) throw std::runtime_error("cannot write " + options_.report);
      fmt::print(file, "{}\n", sum.dump());
      std::fclose(file);
    }
    return wrong_ || nameless_ || refused_ == 0 ? 1 : 0;
  }

 private:
  void line(const json& attempt, const std::string& who, bool good) const {
    const char* colour = !options_.colour ? "" : good ? "\x1b[32m" : "\x1b[31m";
    std::string result = attempt.value("result", "");
    if (result.starts_with('-')) result.erase(0, 1);
    fmt::print("  {:<24} {:<27.27} {}{:<7}{} {:.36}\n", attempt.value("op", ""), attempt.value("route", ""), colour, result == "0" ? "done" : result,
               *colour ? "\x1b[0m" : "", who);
    std::fflush(stdout);
  }

  const Options& options_;
  std::map<int, json> denials_;
  int tried_ = 0, refused_ = 0, controls_ = 0, cannot_run_ = 0, wrong_ = 0, nameless_ = 0;
};

int run(const Options& options) {
  const hf::Fd file(open(options.events.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) throw std::runtime_error("cannot open " + options.events);
  Lines attempts(STDIN_FILENO), events(file.get());
  std::deque<json> waiting, heard;
  Report report(options);
  std::int64_t until = 0;
  for (;;) {
    while (!heard.empty()) {
      report.hear(heard.front());
      heard.pop_front();
    }
    const bool late = until && now_ms() >= until;
    while (!waiting.empty() && (waiting.front().contains("summary") || report.add(waiting.front(), late || !events.open()))) waiting.pop_front();
    if (!attempts.open() && waiting.empty()) return report.finish();
    if (!attempts.open() && !until) until = now_ms() + options.bound_ms;
    pollfd fds[2] = {{attempts.fd(), POLLIN, 0}, {events.fd(), POLLIN, 0}};
    if (poll(fds, 2, until ? static_cast<int>(std::max<std::int64_t>(0, until - now_ms())) : -1) < 0) continue;
    if (fds[0].revents) attempts.take(waiting);
    if (fds[1].revents) events.take(heard);
  }
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app{"Sets the attempts on standard input against the denials that were watched."};
  app.add_option("--events", options.events, "a pipe with the output of holdfast watch --json")->required();
  app.add_option("--report", options.report, "write the sums there, as JSON");
  app.add_option("--bound-ms", options.bound_ms, "how long to wait for a denial after the last attempt")->capture_default_str();
  app.add_flag("--colour", options.colour);
  CLI11_PARSE(app, argc, argv);
  try {
    return run(options);
  } catch (const std::exception& error) {
    fmt::print(stderr, "hf-lab-match: {}\n", error.what());
    return 2;
  }
}
