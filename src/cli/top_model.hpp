// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// What holdfast top shows, without a terminal: answers of holdfastd go in, lines come out.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "cli/daemon_client.hpp"
#include "cli/terminal.hpp"

namespace hf::cli {

/// What holdfastd said at one time.
struct TopSample {
  double at_s = 0;    ///< of a clock that only goes forward
  std::string clock;  ///< the time of day
  Json status, leases, registrations, denials, escapes;
};

struct TopLine {
  std::string text;  ///< without control characters
  Colour colour = Colour::kPlain;
};

class TopModel {
 public:
  void take(TopSample sample);
  /// holdfastd doesn't answer: what was last known stays, and is said to be old.
  void lose(std::string clock, std::string why);

  /// The screen, at most so many lines of at most so many columns. @param skip files that are scrolled past
  std::vector<TopLine> screen(std::size_t rows, std::size_t columns, std::size_t skip, const std::string& keys) const;
  /// One line for a reader that is no terminal.
  std::string line() const;
  Json json() const;

  std::size_t files() const;
  /// Refusals a second since the sample before; nothing after the first, or when the gate was armed anew.
  std::optional<double> rate() const { return rate_; }

 private:
  std::vector<TopLine> head() const;
  std::vector<TopLine> file_lines() const;
  std::vector<TopLine> denial_lines() const;
  std::vector<TopLine> escape_lines() const;
  std::string history_bars(std::size_t columns) const;

  std::optional<TopSample> sample_;
  std::optional<double> rate_;
  std::deque<double> rates_;  ///< the newest last
  std::string lost_clock_, lost_why_;
};

}  // namespace hf::cli
