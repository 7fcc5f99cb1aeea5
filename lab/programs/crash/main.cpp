// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// hf-lab-crash: kills holdfastd at a step of its work, starts the next one, and looks whether its table is exact again; over and over, while breakers of a held
// file never stop.
//
// The daemon that puts things right after one crash is the one that dies in the next. Counted: breaks that got through, and the time to an exact table.
#include <bpf/bpf.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <holdfast/holdfast.hpp>
#include <map>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <vector>

#include "base/fd.hpp"
#include "crash/beside.hpp"

namespace {

using Clock = std::chrono::steady_clock;
using Milliseconds = std::chrono::duration<double, std::milli>;
using Json = nlohmann::json;
namespace fs = std::filesystem;

constexpr const char* kPins = "/sys/fs/bpf/holdfast";
constexpr auto kPatience = std::chrono::seconds(60);

struct Options {
  std::string folder = "/mnt/hf";
  std::vector<std::string> only;
  int runs = 100;
  unsigned seed = 1;
  bool verbose = false;
};

/// Where a daemon dies: at a crash point, or (without a name) where the seed has it.
struct Point {
  std::string name;
  bool upgrade = false;  ///< it replaces the programs of the armed gate
  bool recall = false;   ///< it is met in recalls, else in grants
  std::string title() const { return !name.empty() ? name : upgrade ? "by chance in an upgrade" : recall ? "by chance in recalls" : "by chance in grants"; }
};

std::vector<Point> points() {
  std::vector<Point> all;
  for (const char* name : {"arm.loaded", "arm.hooks_attached", "arm.attached", "arm.new_links", "arm.new_call", "arm.call", "arm.links"})
    all.push_back({name, true, false});
  for (const char* name : {"lease.begun", "lease.part", "lease.committed", "lease.ending", "lease.ended", "grant.remembered"})
    all.push_back({name, false, false});
  for (const char* name : {"window.opening", "window.closing", "recall.held", "recall.closing", "recall.closed"}) all.push_back({name, false, true});
  all.push_back({"", true, false});
  all.push_back({"", false, false});
  all.push_back({"", false, true});
  return all;
}

double since(Clock::time_point start) { return Milliseconds(Clock::now() - start).count(); }

struct Times {
  std::vector<double> ms;
  void add(double value) { ms.push_back(value); }
  std::string text() {
    if (ms.empty()) return "none";
    std::sort(ms.begin(), ms.end());
    return fmt::format("{} of them, median {:.0f} ms, worst {:.0f} ms", ms.size(), ms[ms.size() / 2], ms.back());
  }
  double worst() const { return ms.empty() ? 0 : *std::max_element(ms.begin(), ms.end()); }
};

/// Leases in the kernel's map; -1 where there is none.
int kernel_leases() {
  const hf::Fd map(bpf_obj_get(fmt::format("{}/maps/hf_leases", kPins).c_str()));
  if (!map) return -1;
  int count = 0;
  std::uint64_t key = 0, next = 0;
  for (const void* from = nullptr; bpf_map_get_next_key(map.get(), from, &next) == 0; from = &key, count++) key = next;
  return count;
}

Json ask(holdfast::Session& session, const char* question) {
  char* text = nullptr;
  if (hf_query(session.get(), question, -1, &text)) return Json::object();
  const Json answer = Json::parse(text, nullptr, false);
  hf_free(text);
  return answer;
}

std::string table_of(holdfast::Session& session) {
  const auto answer = ask(session, R"({"query":"leases"})");
  if (answer.empty()) return "no answer";
  std::string table;
  for (const auto& file : answer.value("files", Json::array()))
    table += fmt::format("{} {};", file.value("path", "?"), file.value("leases", Json::array()).size());
  return table;
}

std::size_t count_pins(const char* folder) {
  std::error_code error;
  fs::directory_iterator pins(fmt::format("{}/{}", kPins, folder), error);
  return error ? 0 : static_cast<std::size_t>(std::distance(fs::begin(pins), fs::end(pins)));
}

class Crashes {
 public:
  explicit Crashes(const Options& options) : options_(options), random_(options.seed) {
    for (const auto& point : points())
      if (options.only.empty() || std::find(options.only.begin(), options.only.end(), point.name) != options.only.end()) points_.push_back(point);
    if (points_.empty()) lab::give_up("no such point");
  }

  int run() {
    prepare();
    for (run_ = 1; run_ <= options_.runs && !wrong_; run_++) one_run(points_[random_() % points_.size()]);
    end_daemon();
    if (!wrong_) (void)start({}, true);
    end_daemon();
    lab::end(breaker_);
    lab::end(keeper_);
    return say();
  }

 private:
  void prepare() {
    struct stat facts {};
    if (::stat(kept_.c_str(), &facts)) lab::give_up(kept_ + " is missing");
    blocks_ = facts.st_blocks;
    if (!start({}, false)) lab::give_up("the first daemon did not come up");
    keeper_ = lab::start_keeper(kept_, counts_);
    const auto begun = Clock::now();
    while (!counts_.holding && Clock::now() - begun < kPatience) (void)::poll(nullptr, 0, 5);
    if (!counts_.holding) lab::give_up("the file is not held");
    breaker_ = lab::start_breaker(kept_, counts_);
    links_ = count_pins("links");
    // What a program's start alone takes here.
    for (int i = 0; i < 5; i++) {
      const auto start = Clock::now();
      if (std::system("holdfastd --version >/dev/null")) lab::give_up("holdfastd --version");
      bare_.add(since(start));
    }
    end_daemon();
  }

  /// A daemon that dies there, at its start or in its work; every one that serves before has put right what the one before it left.
  void one_run(const Point& point) {
    const auto times = random_() % 3 + 1;
    const auto crash = point.name.empty() ? std::string() : fmt::format("{}:{}", point.name, point.upgrade ? 1 : times);
    const auto before = counts_.tries.load();
    if (start({crash, point.upgrade, point.upgrade && point.name.empty()}, true)) work(point);
    end_daemon();
    died_at_[point.title()]++;
    if (options_.verbose)
      fmt::print("run {}: {}, {} tries of breakers, {} openings\n", run_, crash.empty() ? point.title() : crash, counts_.tries - before,
                 counts_.openings.load());
    std::fflush(stdout);
  }

  struct Start {
    std::string crash;
    bool upgrade = false;
    bool cut_short = false;  ///< don't wait for the upgrade to be done
  };

  /// @return whether it came to serve, and was exact where that is asked for
  bool start(const Start& how, bool look) {
    const auto begun = Clock::now();
    int words = -1;
    daemon_ = lab::start_daemon(how.crash, how.upgrade, words);
    words_ = hf::Fd(words);
    said_.clear();
    died_ = false;
    if (!hear_serving()) {
      died_ = true;
      at_start_++;
      return false;
    }
    serving_.add(since(begun));
    if (!look) return true;
    holdfast::Session session;
    return look_at_table(session, how.upgrade, begun) && (how.cut_short || see_it_complete(session, begun));
  }

  bool hear_serving() {
    const auto begun = Clock::now();
    while (said_.find("; serving ") == std::string::npos) {
      pollfd interest{words_.get(), POLLIN, 0};
      const auto left = kPatience - (Clock::now() - begun);
      if (left.count() <= 0) return wrong("no daemon within a minute: " + said_), false;
      (void)::poll(&interest, 1, static_cast<int>(std::chrono::duration_cast<std::chrono::milliseconds>(left).count()) + 1);
      if (!interest.revents) continue;
      char buffer[4096];
      const auto got = ::read(words_.get(), buffer, sizeof buffer);
      if (got <= 0) return dead_at_start();
      said_.append(buffer, static_cast<std::size_t>(got));
    }
    return true;
  }

  /// What the daemon has said since, and nobody has read.
  std::string all_words() {
    std::string words;
    char buffer[4096];
    for (pollfd interest{words_.get(), POLLIN, 0}; ::poll(&interest, 1, 0) > 0 && (interest.revents & POLLIN);) {
      const auto got = ::read(words_.get(), buffer, sizeof buffer);
      if (got <= 0) break;
      words.append(buffer, static_cast<std::size_t>(got));
    }
    return words;
  }

  bool dead_at_start() {
    int status = 0;
    (void)::waitpid(daemon_, &status, 0);
    daemon_ = -1;
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL) wrong(fmt::format("the daemon ended with {}: {}", status, said_));
    return false;
  }

  /// Exact: the one lease whose holder lives, in the daemon and in the kernel, and nothing else.
  bool look_at_table(holdfast::Session& session, bool upgrade, Clock::time_point begun) {
    const auto wanted = kept_ + " 1;";
    std::string table;
    int kernel = 0;
    while (Clock::now() - begun < kPatience) {
      if (has_died()) return at_start_++, false;
      std::error_code error;
      if (!session) session = holdfast::Session::connect({}, error);
      if (!session) continue;
      table = table_of(session);
      kernel = kernel_leases();
      if (table == wanted && kernel == 1) {
        (upgrade ? upgraded_ : taken_over_).add(since(begun));
        return true;
      }
    }
    wrong(fmt::format("the table is not exact after a minute: {} ({} in the kernel)", table, kernel));
    return false;
  }

  /// What it took over from one that was cut off, or for an upgrade, it makes complete while it serves.
  bool see_it_complete(holdfast::Session& session, Clock::time_point begun) {
    while (Clock::now() - begun < kPatience) {
      if (has_died()) return at_start_++, false;
      const auto gate = ask(session, R"({"query":"status"})").value("gate", Json::object());
      if (gate.value("complete", false)) {
        complete_.add(since(begun));
        if (options_.verbose) fmt::print("  complete after {:.0f} ms\n", since(begun));
        return look_at_pins();
      }
      if (gate.contains("trouble") && !gate["trouble"].is_null()) return wrong("the gate is not made complete: " + gate["trouble"].dump()), false;
      (void)::poll(nullptr, 0, 20);
    }
    wrong("the gate is not complete after a minute: " + said_ + all_words());
    return false;
  }

  bool look_at_pins() {
    const auto links = count_pins("links"), fresh = count_pins("links_new");
    if (links_ && (links != links_ || fresh)) wrong(fmt::format("pins are left over: {} links, not {}; {} new", links, links_, fresh));
    return !wrong_;
  }

  bool has_died() {
    if (daemon_ <= 0 || ::waitpid(daemon_, nullptr, WNOHANG) != daemon_) return daemon_ <= 0;
    daemon_ = -1;
    died_ = true;
    return true;
  }

  /// What a machine does, until the daemon dies of it or by the seed.
  void work(const Point& point) {
    if (point.upgrade) return cut_upgrade_short();
    const pid_t worker = point.recall ? lab::start_recalls(recalled_) : lab::start_grants(granted_);
    const auto begun = Clock::now();
    const auto bound = point.name.empty() ? Clock::duration(std::chrono::milliseconds(random_() % 400)) : Clock::duration(kPatience);
    while (!has_died() && Clock::now() - begun < bound) {
      pollfd interest{words_.get(), POLLIN, 0};  // its end closes it
      (void)::poll(&interest, 1, 5);
      char buffer[4096];
      if (interest.revents & POLLIN) (void)::read(words_.get(), buffer, sizeof buffer);
    }
    if (!died_ && !point.name.empty()) wrong(fmt::format("{} was not met within a minute", point.name));
    end_daemon();
    lab::end(worker);
  }

  void cut_upgrade_short() {
    const auto begun = Clock::now();
    const auto bound = std::chrono::milliseconds(random_() % 6000);
    while (!has_died() && Clock::now() - begun < bound) (void)::poll(nullptr, 0, 5);
    end_daemon();
  }

  void end_daemon() {
    if (daemon_ > 0) lab::end(daemon_);
    forget_daemon();
  }
  void forget_daemon() {
    daemon_ = -1;
    words_.reset();
  }

  void wrong(const std::string& what) {
    wrong_ = true;
    fmt::print("WRONG in run {} of seed {}: {}\n", run_, options_.seed, what);
  }

  int say() {
    struct stat facts {};
    if (::stat(kept_.c_str(), &facts) || facts.st_blocks != blocks_) wrong("the held file has lost blocks");
    for (const auto& [title, count] : died_at_) fmt::print("  killed {}: {}\n", title, count);
    fmt::print("  runs {} (seed {}), {} of them killed while they started; breaks tried {}, openings {}, other errors {}, leases lost {}\n", run_ - 1,
               options_.seed, at_start_, counts_.tries.load(), counts_.openings.load(), counts_.other_errors.load(), counts_.leases_lost.load());
    fmt::print("  start to an exact table: took over: {}\n", taken_over_.text());
    fmt::print("  start to an exact table: took over, to replace the programs: {}\n", upgraded_.text());
    fmt::print("  start to a complete gate: {}\n", complete_.text());
    fmt::print("  start to the first answer: {}\n", serving_.text());
    fmt::print("  start of a program that does nothing (holdfastd --version): {}\n", bare_.text());
    fmt::print("{}\n", Json({{"runs", run_ - 1},
                             {"wrong", wrong_},
                             {"tries", counts_.tries.load()},
                             {"openings", counts_.openings.load()},
                             {"other_errors", counts_.other_errors.load()},
                             {"leases_lost", counts_.leases_lost.load()},
                             {"points", died_at_.size()},
                             {"bare_worst_ms", bare_.worst()},
                             {"took_over_worst_ms", taken_over_.worst()},
                             {"upgraded_worst_ms", upgraded_.worst()}})
                           .dump());
    return wrong_ ? 1 : 0;
  }

  const Options& options_;
  std::mt19937 random_;
  std::vector<Point> points_;
  std::string kept_ = options_.folder + "/kept", granted_ = options_.folder + "/granted", recalled_ = options_.folder + "/recalled";
  lab::Counts& counts_ = lab::shared_counts();
  pid_t keeper_ = -1, breaker_ = -1, daemon_ = -1;
  hf::Fd words_;
  std::string said_;
  std::map<std::string, int> died_at_;
  Times taken_over_, upgraded_, complete_, serving_, bare_;
  std::size_t links_ = 0;
  blkcnt_t blocks_ = 0;
  int run_ = 0, at_start_ = 0;
  bool died_ = false, wrong_ = false;
};

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app{"Kills holdfastd at every step of its work; FOLDER has the files kept, granted and recalled", "hf-lab-crash"};
  app.add_option("--folder", options.folder)->capture_default_str();
  app.add_option("--runs", options.runs)->capture_default_str();
  app.add_option("--seed", options.seed)->capture_default_str();
  app.add_option("--only", options.only, "these crash points");
  app.add_flag("--verbose", options.verbose, "a line for each run");
  CLI11_PARSE(app, argc, argv);
  try {
    return Crashes(options).run();
  } catch (const std::exception& error) {
    lab::give_up(error.what());
  }
}
