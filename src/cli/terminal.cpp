// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "cli/terminal.hpp"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

namespace hf::cli {

namespace {

constexpr std::size_t kLastColumnLeast = 16;

const char* code(Colour colour) {
  switch (colour) {
    case Colour::kBold:
      return "1";
    case Colour::kDim:
      return "2";
    case Colour::kRed:
      return "31";
    case Colour::kGreen:
      return "32";
    case Colour::kYellow:
      return "33";
    case Colour::kAlarm:
      return "1;37;41";
    case Colour::kPlain:
      break;
  }
  return "0";
}

bool continues(char c) { return (static_cast<unsigned char>(c) & 0xc0) == 0x80; }

/// The first `columns` columns, the last of them an ellipsis where something is left out.
std::string cut(const std::string& text, std::size_t columns) {
  if (width(text) <= columns) return text;
  std::size_t at = 0, seen = 0;
  for (; at < text.size(); ++at) {
    if (!continues(text[at]) && seen++ == columns - 1) break;
  }
  return text.substr(0, at) + "…";
}

/// Breaks the text between words into lines of at most `columns`; colours, which take none, are left where they are.
std::string wrapped(const std::string& text, std::size_t columns, const std::string& indent) {
  std::string out;
  std::size_t used = 0, at = 0;
  while (at < text.size()) {
    const std::size_t end = std::min(text.find(' ', at), text.size());
    const std::string word = text.substr(at, end - at);
    const std::size_t takes = word.find('\x1b') == std::string::npos ? width(word) : 0;
    if (used != 0 && used + 1 + takes > columns) {
      out += "\n" + indent;
      used = 0;
    } else if (at != 0) {
      out += ' ';
      ++used;
    }
    out += word;
    used += takes;
    at = end + 1;
  }
  return out;
}

}  // namespace

Terminal Terminal::of(std::FILE* stream) {
  const int fd = fileno(stream);
  if (!isatty(fd)) return {false, 0};
  const char* no_colour = std::getenv("NO_COLOR");
  const char* kind = std::getenv("TERM");
  const bool colours = !(no_colour && *no_colour) && kind && std::strcmp(kind, "dumb") != 0;
  winsize size{};
  const bool known = ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
  return {colours, known ? size.ws_col : 80};
}

std::string Terminal::paint(Colour colour, std::string_view text) const {
  if (!colours_ || colour == Colour::kPlain) return std::string(text);
  return fmt::format("\x1b[{}m{}\x1b[0m", code(colour), text);
}

std::size_t width(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) { return !continues(c); }));
}

std::string printable(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    // C1 controls arrive as U+0080..U+009F: two bytes, 0xc2 and the number.
    const bool c1 = c == 0xc2 && i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) < 0xa0 && continues(text[i + 1]);
    if (c < 0x20 || c == 0x7f) {
      out += fmt::format("\\x{:02x}", c);
    } else if (c1) {
      out += fmt::format("\\u{:04x}", static_cast<unsigned char>(text[++i]));
    } else {
      out += text[i];
    }
  }
  return out;
}

Table::Table(std::vector<std::string> heading) { rows_.push_back(std::move(heading)); }

void Table::row(std::vector<std::string> cells) {
  for (std::string& cell : cells) cell = cell.empty() ? "-" : printable(cell);
  rows_.push_back(std::move(cells));
}

std::string Table::text(const Terminal& terminal) const {
  const std::size_t columns = rows_.front().size();
  std::vector<std::size_t> widths(columns, 0);
  for (const auto& row : rows_) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], width(row[i]));
  }
  std::size_t before_last = 0;
  for (std::size_t i = 0; i + 1 < columns; ++i) before_last += widths[i] + 2;
  const auto limit = static_cast<std::size_t>(std::max(terminal.columns(), 0));
  const std::size_t last = limit > before_last + kLastColumnLeast ? limit - before_last : kLastColumnLeast;

  std::string out;
  for (std::size_t r = 0; r < rows_.size(); ++r) {
    std::string line;
    for (std::size_t i = 0; i < rows_[r].size(); ++i) {
      if (i + 1 < columns) {
        line += rows_[r][i] + std::string(widths[i] - width(rows_[r][i]) + 2, ' ');
      } else {
        line += limit ? cut(rows_[r][i], last) : rows_[r][i];
      }
    }
    out += (r == 0 ? terminal.paint(Colour::kBold, line) : line) + "\n";
  }
  return out;
}

std::string Facts::text(const Terminal& terminal) const {
  std::size_t widest = 0;
  for (const auto& [key, value] : facts_) widest = std::max(widest, width(key));
  const auto limit = static_cast<std::size_t>(std::max(terminal.columns(), 0));
  std::string out;
  for (const auto& [key, value] : facts_) {
    const std::string indent(widest + 2, ' ');
    out += terminal.paint(Colour::kBold, key) + std::string(widest - width(key) + 2, ' ');
    const bool room = limit > widest + 2 + kLastColumnLeast;
    out += (room ? wrapped(value, limit - widest - 2, indent) : value) + "\n";
  }
  return out;
}

}  // namespace hf::cli
