// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// holdfast top: a live view that fills the terminal; a line a time where there is none.
#include <ncurses.h>
#include <poll.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <clocale>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <cstdlib>

#include "cli/answers.hpp"
#include "cli/cli.hpp"
#include "cli/signals.hpp"
#include "cli/top_model.hpp"

namespace hf::cli {

namespace {

using Clock = std::chrono::steady_clock;

constexpr int kListed = 200;  // files and refusals that are asked for
constexpr const char* kKeys = "q quit   space look now   p pause   ↑↓ files   + - interval";
constexpr const char* kPausedKeys = "PAUSED   p go on   q quit   ↑↓ files";

struct TopOptions {
  double interval_s = 1;
  std::uint64_t count = 0;
  bool lines = false;
};

std::string time_of_day() {
  const std::time_t now = std::time(nullptr);
  std::tm local{};
  ::localtime_r(&now, &local);
  std::array<char, 16> text{};
  std::strftime(text.data(), text.size(), "%H:%M:%S", &local);
  return text.data();
}

class Asker {
 public:
  explicit Asker(const Cli& cli) : cli_(cli) {}
  /// Connects where it is not; a daemon that was restarted is found again by the library.
  Result<TopSample> sample() {
    if (!session_) {
      HF_TRY_ASSIGN(session_, connect(cli_));
    }
    auto taken = ask_all();
    if (!taken) session_ = {};
    return taken;
  }

 private:
  Result<TopSample> ask_all() {
    TopSample out;
    HF_TRY_ASSIGN(out.status, query(session_, {{"query", "status"}}));
    HF_TRY_ASSIGN(out.leases, query(session_, {{"query", "leases"}, {"limit", kListed}}));
    HF_TRY_ASSIGN(out.denials, query(session_, {{"query", "denials"}, {"limit", kListed}}));
    HF_TRY_ASSIGN(out.escapes, query(session_, {{"query", "escapes"}}));
    out.at_s = std::chrono::duration<double>(Clock::now().time_since_epoch()).count();
    out.clock = time_of_day();
    return out;
  }

  const Cli& cli_;
  holdfast::Session session_;
};

/// The whole terminal, given back when this ends.
class Screen {
 public:
  Screen() {
    std::setlocale(LC_ALL, "");
    ::initscr();
    ::cbreak();
    ::noecho();
    ::nodelay(stdscr, TRUE);
    ::keypad(stdscr, TRUE);
    ::curs_set(0);
    const char* plain = std::getenv("NO_COLOR");
    if (!(plain && *plain) && ::has_colors()) {
      ::start_color();
      ::use_default_colors();
      ::init_pair(1, COLOR_RED, -1);
      ::init_pair(2, COLOR_GREEN, -1);
      ::init_pair(3, COLOR_YELLOW, -1);
      ::init_pair(4, COLOR_WHITE, COLOR_RED);
      colours_ = true;
    }
  }
  Screen(const Screen&) = delete;
  Screen& operator=(const Screen&) = delete;
  ~Screen() { ::endwin(); }

  std::size_t rows() const { return static_cast<std::size_t>(LINES); }
  std::size_t columns() const { return static_cast<std::size_t>(COLS); }

  void draw(const std::vector<TopLine>& lines) const {
    ::erase();
    for (std::size_t row = 0; row < lines.size(); row++) {
      const auto attribute = attribute_of(lines[row].colour);
      ::attron(static_cast<int>(attribute));
      mvaddstr(static_cast<int>(row), 0, lines[row].text.c_str());
      ::attroff(static_cast<int>(attribute));
    }
    ::refresh();
  }

 private:
  chtype attribute_of(Colour colour) const {
    const auto pair = [&](short number) { return colours_ ? COLOR_PAIR(number) : A_NORMAL; };
    switch (colour) {
      case Colour::kBold:
        return A_BOLD;
      case Colour::kDim:
        return A_DIM;
      case Colour::kRed:
        return static_cast<chtype>(pair(1));
      case Colour::kGreen:
        return static_cast<chtype>(pair(2));
      case Colour::kYellow:
        return static_cast<chtype>(pair(3));
      case Colour::kAlarm:
        return colours_ ? static_cast<chtype>(pair(4)) | A_BOLD : A_REVERSE;
      case Colour::kPlain:
        break;
    }
    return A_NORMAL;
  }
  bool colours_ = false;
};

class Top {
 public:
  Top(const Cli& cli, const TopOptions& options) : options_(options), asker_(cli), json_(cli.json) {}

  int run() {
    // The first time it must be there: a mistaken --socket is told as everywhere.
    auto first = asker_.sample();
    if (!first) return complain(first.error());
    model_.take(std::move(*first));
    const char* kind = std::getenv("TERM");
    const bool screen = !json_ && !options_.lines && isatty(STDOUT_FILENO) && isatty(STDIN_FILENO) && kind && std::string_view(kind) != "dumb";
    return screen ? on_screen() : in_lines();
  }

 private:
  void look() {
    auto sample = asker_.sample();
    if (sample)
      model_.take(std::move(*sample));
    else
      model_.lose(time_of_day(), sample.error().message);
  }

  bool done(std::uint64_t shown) const { return options_.count && shown >= options_.count; }

  int in_lines() {
    const Signals signals;
    for (std::uint64_t shown = 0;;) {
      std::printf("%s\n", json_ ? dump(model_.json()).c_str() : model_.line().c_str());
      if (std::fflush(stdout) != 0 || done(++shown)) return kOk;
      pollfd interest[] = {{signals.fd(), POLLIN, 0}, {STDOUT_FILENO, 0, 0}};
      const int seen = ::poll(interest, 2, milliseconds());
      if (seen > 0) {
        if (interest[1].revents) return kOk;
        const auto signal = signals.next();
        if (signal && signal->number != SIGCHLD) return kOk;
      }
      look();
    }
  }

  int on_screen() {
    const Signals signals;
    const Screen screen;
    std::uint64_t shown = 1;
    for (auto next = Clock::now() + interval();;) {
      screen.draw(model_.screen(screen.rows(), screen.columns(), skip_, paused_ ? kPausedKeys : kKeys));
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(next - Clock::now()).count();
      pollfd interest[] = {{STDIN_FILENO, POLLIN, 0}, {signals.fd(), POLLIN, 0}};
      (void)::poll(interest, 2, static_cast<int>(std::max<std::int64_t>(left, 0)));
      if (interest[0].revents & (POLLHUP | POLLERR)) return kOk;
      if (const auto signal = signals.next(); signal && signal->number != SIGCHLD) return kOk;
      bool now = false;
      for (int key = ::getch(); key != ERR; key = ::getch()) {
        if (key == 'q' || key == 'Q') return kOk;
        now |= press(key);
      }
      if (!now && Clock::now() < next) continue;
      next = Clock::now() + interval();
      if (paused_ && !now) continue;
      if (done(shown++)) return kOk;
      look();
    }
  }

  /// @return whether to look at once
  bool press(int key) {
    const std::size_t last = model_.files() ? model_.files() - 1 : 0;
    switch (key) {
      case ' ':
        return true;
      case 'p':
        paused_ = !paused_;
        return !paused_;
      case KEY_DOWN:
        skip_ = std::min(skip_ + 1, last);
        break;
      case KEY_UP:
        skip_ -= skip_ ? 1 : 0;
        break;
      case KEY_NPAGE:
        skip_ = std::min(skip_ + 10, last);
        break;
      case KEY_PPAGE:
        skip_ -= std::min<std::size_t>(skip_, 10);
        break;
      case KEY_HOME:
        skip_ = 0;
        break;
      case '+':
        options_.interval_s = std::min(options_.interval_s * 2, 3600.0);
        break;
      case '-':
        options_.interval_s = std::max(options_.interval_s / 2, 0.1);
        break;
      default:
        break;
    }
    return false;
  }

  Clock::duration interval() const { return std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(options_.interval_s)); }
  int milliseconds() const { return static_cast<int>(std::lround(options_.interval_s * 1000)); }

  TopOptions options_;
  Asker asker_;
  bool json_;
  TopModel model_;
  std::size_t skip_ = 0;
  bool paused_ = false;
};

}  // namespace

void add_top(CLI::App& app, Cli& cli) {
  auto options = std::make_shared<TopOptions>();
  CLI::App* verb = app.add_subcommand("top", "Show leases, refusals and their breakers live; a line a time without a terminal");
  verb->add_option("--interval,-i", options->interval_s, "Seconds from one look to the next, 0.1 to 3600; 1 unless said")
      ->type_name("SECONDS")
      ->check(CLI::Range(0.1, 3600.0));
  verb->add_option("--count,-n", options->count, "End after so many looks; else when it is told to")
      ->type_name("N")
      ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{1} << 32));
  verb->add_flag("--lines", options->lines, "A line a time on a terminal, too");
  add_json(*verb, cli);
  verb->footer(
      "Keys: q ends it, space looks at once, p pauses, the arrows scroll the files, + and - change the interval.\n\n"
      "Examples:\n  holdfast top\n  holdfast top -n 1 | cat\n  holdfast top --json --interval 10 | jq .denials_per_second");
  verb->callback([&cli, options] { cli.run = [&cli, options] { return Top(cli, *options).run(); }; });
}

}  // namespace hf::cli
