// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// What is printed for people: colours where they are wanted, and tables that fit the terminal.
#pragma once

#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

namespace hf::cli {

enum class Colour { kPlain, kBold, kDim, kRed, kGreen, kYellow, kAlarm };

class Terminal {
 public:
  /// Colours and a width only where `stream` is a terminal; NO_COLOR and TERM=dumb turn colours off.
  static Terminal of(std::FILE* stream);
  Terminal(bool colours, int columns) : colours_(colours), columns_(columns) {}

  std::string paint(Colour colour, std::string_view text) const;
  int columns() const { return columns_; }  ///< 0: no limit

 private:
  bool colours_;
  int columns_;
};

/// Rows below a heading, columns aligned. On a terminal the last column is cut to what is left of the line.
class Table {
 public:
  explicit Table(std::vector<std::string> heading);
  void row(std::vector<std::string> cells);
  std::string text(const Terminal& terminal) const;
  bool empty() const { return rows_.size() == 1; }

 private:
  std::vector<std::vector<std::string>> rows_;
};

/// "key   value" lines, keys aligned.
class Facts {
 public:
  void add(std::string key, std::string value) { facts_.emplace_back(std::move(key), std::move(value)); }
  std::string text(const Terminal& terminal) const;

 private:
  std::vector<std::pair<std::string, std::string>> facts_;
};

/// Characters on the screen, taking UTF-8 as one column a code point.
std::size_t width(std::string_view text);
/// Names of files and processes are anyone's choice: control characters, which could rewrite the terminal, come out as \xNN.
std::string printable(std::string_view text);

}  // namespace hf::cli
