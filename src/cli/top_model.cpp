// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "cli/top_model.hpp"

#include <algorithm>
#include <array>

#include "cli/answers.hpp"

namespace hf::cli {

namespace {

constexpr std::size_t kRatesKept = 240;
constexpr std::size_t kHeldFewest = 3;  ///< rows that each part gets before another gets more

const Json& list_at(const Json& object, const char* name) {
  static const Json kNone = Json::array();
  const Json& list = member(object, name);
  return list.is_array() ? list : kNone;
}

std::string rate_text(double rate) { return rate >= 100 ? fmt::format("{:.0f}", rate) : fmt::format("{:.1f}", rate); }

/// Columns but the last as wide as their widest cell.
std::vector<std::string> aligned(const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); i++) widths[i] = std::max(widths[i], width(row[i]));
  }
  std::vector<std::string> lines;
  for (const auto& row : rows) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); i++) line += i + 1 == row.size() ? row[i] : row[i] + std::string(widths[i] - width(row[i]) + 2, ' ');
    lines.push_back(std::move(line));
  }
  return lines;
}

std::vector<TopLine> table(const std::vector<std::vector<std::string>>& rows) {
  std::vector<TopLine> out;
  for (auto& line : aligned(rows)) out.push_back({std::move(line), out.empty() ? Colour::kBold : Colour::kPlain});
  return out;
}

std::string cut(std::string text, std::size_t columns) {
  if (width(text) <= columns) return text;
  std::size_t at = 0, seen = 0;
  for (; at < text.size(); at++)
    if ((static_cast<unsigned char>(text[at]) & 0xc0) != 0x80 && seen++ + 1 == columns) break;
  return text.substr(0, at) + "…";
}

std::uint64_t held_bytes(const Json& file, bool& to_end) {
  std::uint64_t bytes = 0;
  for (const Json& extent : list_at(file, "protected")) {
    const Json& end = member(extent, "end");
    if (end.is_number())
      bytes += end.get<std::uint64_t>() - number_at(extent, "first");
    else
      to_end = true;
  }
  return bytes;
}

std::string held_text(const Json& file) {
  bool to_end = false;
  const auto bytes = held_bytes(file, to_end);
  return to_end ? "whole" : size_text(bytes);
}

/// "job[12] +3"
std::string holders_text(const Json& file) {
  const Json& leases = list_at(file, "leases");
  if (leases.empty()) return "others";
  std::string text = printable(process_text(member(leases[0], "holder")));
  if (text_at(leases[0], "kind") == "static") text = "configuration";
  return leases.size() > 1 ? text + fmt::format(" +{}", leases.size() - 1) : text;
}

std::string breaker_name(const Json& event) {
  const Json& breaker = member(event, "breaker");
  const std::string executable = text_at(breaker, "executable");
  return printable(fmt::format("{}[{}]", executable.empty() ? text_at(breaker, "comm") : executable, number_at(breaker, "pid")));
}

/// The time of day, without its fraction.
std::string second_of(const Json& event) { return local_time(text_at(event, "time")).substr(0, 8); }

}  // namespace

void TopModel::take(TopSample sample) {
  rate_.reset();
  if (sample_) {
    const auto before = number_at(member(sample_->status, "gate"), "denials"), now = number_at(member(sample.status, "gate"), "denials");
    const double seconds = sample.at_s - sample_->at_s;
    // A gate that was armed anew begins at 0.
    if (seconds > 0 && now >= before) rate_ = static_cast<double>(now - before) / seconds;
  }
  if (rate_) rates_.push_back(*rate_);
  if (rates_.size() > kRatesKept) rates_.pop_front();
  sample_ = std::move(sample);
  lost_why_.clear();
}

void TopModel::lose(std::string clock, std::string why) {
  if (lost_why_.empty()) lost_clock_ = std::move(clock);
  lost_why_ = std::move(why);
  rate_.reset();
}

std::size_t TopModel::files() const { return sample_ ? list_at(sample_->leases, "files").size() : 0; }

std::string TopModel::history_bars(std::size_t columns) const {
  static constexpr std::array<const char*, 8> kBars{"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
  const auto count = std::min(columns, rates_.size());
  const auto first = rates_.end() - static_cast<std::ptrdiff_t>(count);
  const double most = count ? *std::max_element(first, rates_.end()) : 0;
  std::string out;
  for (auto rate = first; rate != rates_.end(); ++rate) out += most <= 0 ? kBars[0] : kBars[static_cast<std::size_t>(*rate / most * (kBars.size() - 1) + 0.5)];
  return out;
}

std::vector<TopLine> TopModel::head() const {
  const Json &status = sample_->status, &gate = member(status, "gate"), &leases = member(status, "leases"), &kinds = member(leases, "by_kind"),
             &registrations = member(status, "registrations"), &journal = member(status, "journal"), &uptime = member(status, "uptime_s");
  std::vector<TopLine> out;
  out.push_back({fmt::format("{}  Holdfast {}, up {}  {}", printable(text_at(member(status, "node"), "name")), printable(text_at(status, "version")),
                             age_text(uptime.is_number() ? uptime.get<double>() : 0), sample_->clock),
                 Colour::kBold});
  if (!lost_why_.empty())
    out.push_back(
        {fmt::format("holdfastd does not answer since {} ({}); what follows is from before. The gate goes on deciding.", lost_clock_, printable(lost_why_)),
         Colour::kAlarm});
  const std::string broken = text_at(gate, "error");
  const auto lost = number_at(gate, "denials_lost");
  if (!broken.empty()) out.push_back({"gate           " + printable(broken), Colour::kAlarm});
  out.push_back({fmt::format("refused        {} since the gate was armed{}{}", number_at(gate, "denials"),
                             rate_ ? fmt::format(", {} a second", rate_text(*rate_)) : "", lost ? fmt::format(", {} without a name", lost) : ""),
                 rate_.value_or(0) > 0 ? Colour::kYellow : Colour::kPlain});
  out.push_back(
      {fmt::format("leases         {} on {}: {}, {}, {} static", number_at(leases, "total"), count_text(number_at(status, "files"), "file"),
                   count_text(number_at(kinds, "registration"), "registration"), count_text(number_at(kinds, "process"), "hold"), number_at(kinds, "static")),
       Colour::kPlain});
  const auto bare = number_at(registrations, "unprotected");
  out.push_back({fmt::format("registrations  {} protected, {} unprotected, {} only observed", number_at(registrations, "protected"), bare,
                             number_at(registrations, "observed")),
                 bare ? Colour::kRed : Colour::kPlain});
  const auto escapes = number_at(gate, "escapes") + number_at(gate, "escapes_lost");
  out.push_back({escapes ? fmt::format("escapes        {} since the gate was armed: holdfast escapes", escapes) : "escapes        none",
                 escapes ? Colour::kAlarm : Colour::kGreen});
  const std::string trouble = text_at(journal, "trouble");
  if (!trouble.empty()) out.push_back({"journal        can't be written: " + printable(trouble), Colour::kRed});
  if (const auto missing = number_at(journal, "lost")) out.push_back({fmt::format("journal        {} entries lost", missing), Colour::kRed});
  return out;
}

std::vector<TopLine> TopModel::escape_lines() const {
  const Json& escapes = list_at(sample_->escapes, "escapes");
  if (escapes.empty()) return {};
  std::vector<std::vector<std::string>> rows{{"ESCAPED", "BREAKER", "FILE"}};
  for (const Json& escape : escapes) rows.push_back({second_of(escape), breaker_name(escape), printable(file_text(escape))});
  auto lines = table(rows);
  for (auto& line : lines) line.colour = Colour::kRed;
  return lines;
}

std::vector<TopLine> TopModel::denial_lines() const {
  std::vector<std::vector<std::string>> rows{{"REFUSED", "OPERATION", "BREAKER", "FILE"}};
  for (const Json& denial : list_at(sample_->denials, "denials"))
    rows.push_back({second_of(denial), printable(text_at(denial, "operation")), breaker_name(denial), printable(file_text(denial))});
  if (rows.size() == 1) return {{"REFUSED", Colour::kBold}, {"nothing since holdfastd started", Colour::kDim}};
  return table(rows);
}

std::vector<TopLine> TopModel::file_lines() const {
  std::vector<std::vector<std::string>> rows{{"LEASES", "HELD", "HOLDER", "FILE"}};
  for (const Json& file : list_at(sample_->leases, "files"))
    rows.push_back({std::to_string(list_at(file, "leases").size() + number_at(file, "leases_of_others")), held_text(file), holders_text(file),
                    printable(file_text(file))});
  if (rows.size() == 1) return {{"LEASES", Colour::kBold}, {"no file is leased", Colour::kDim}};
  return table(rows);
}

std::vector<TopLine> TopModel::screen(std::size_t rows, std::size_t columns, std::size_t skip, const std::string& keys) const {
  std::vector<TopLine> out;
  if (!sample_) {
    out.push_back({lost_why_.empty() ? "waiting for holdfastd" : "holdfastd does not answer: " + printable(lost_why_), Colour::kRed});
  } else {
    out = head();
    if (columns > 30 && !rates_.empty()) out.push_back({"               " + history_bars(columns - 16), Colour::kDim});
    auto files = file_lines(), denials = denial_lines(), escapes = escape_lines();
    skip = std::min(skip, files.size() > 2 ? files.size() - 2 : 0);
    files.erase(files.begin() + 1, files.begin() + 1 + static_cast<std::ptrdiff_t>(skip));
    const auto used = out.size() + 1;  // the last line has the keys
    auto room = rows > used ? rows - used : 0;
    const auto take = [&](std::vector<TopLine>& part, std::size_t least_after) {
      if (part.empty() || room < 2) return;
      const auto space = room - 1 > least_after ? room - 1 - least_after : 0;
      const auto count = std::min(part.size(), std::max<std::size_t>(space, std::min<std::size_t>(kHeldFewest, room - 1)));
      out.push_back({});
      out.insert(out.end(), part.begin(), part.begin() + static_cast<std::ptrdiff_t>(count));
      room -= count + 1;
    };
    if (escapes.size() > kHeldFewest + 1) escapes.resize(kHeldFewest + 1);
    take(escapes, 2 * (kHeldFewest + 1));
    // Half of what is left for each, more where the other needs less.
    take(files, std::min(denials.size() + 1, room / 2));
    take(denials, 0);
  }
  if (out.size() + 1 > rows) out.resize(rows ? rows - 1 : 0);
  while (out.size() + 1 < rows) out.push_back({});
  if (rows) out.push_back({keys, Colour::kDim});
  for (auto& line : out) line.text = cut(std::move(line.text), columns);
  return out;
}

std::string TopModel::line() const {
  if (!lost_why_.empty() || !sample_) return fmt::format("{}  holdfastd does not answer: {}", lost_clock_, printable(lost_why_));
  const Json &status = sample_->status, &gate = member(status, "gate"), &registrations = member(status, "registrations");
  const Json& denials = list_at(sample_->denials, "denials");
  std::string last;
  if (!denials.empty())
    last = fmt::format("  last: {} of {} by {}", printable(text_at(denials[0], "operation")), printable(file_text(denials[0])), breaker_name(denials[0]));
  return fmt::format("{}  leases {}  files {}  registrations {}  unprotected {}  refused {}  refused/s {}  escapes {}{}", sample_->clock,
                     number_at(member(status, "leases"), "total"), number_at(status, "files"),
                     number_at(registrations, "protected") + number_at(registrations, "unprotected") + number_at(registrations, "observed"),
                     number_at(registrations, "unprotected"), number_at(gate, "denials"), rate_ ? rate_text(*rate_) : "-",
                     number_at(gate, "escapes") + number_at(gate, "escapes_lost"), last);
}

Json TopModel::json() const {
  if (!lost_why_.empty() || !sample_) return {{"schema", "holdfast.top/1"}, {"error", lost_why_}};
  const Json &status = sample_->status, &gate = member(status, "gate");
  const Json& denials = list_at(sample_->denials, "denials");
  return {{"schema", "holdfast.top/1"},
          {"node", member(member(status, "node"), "name")},
          {"leases", number_at(member(status, "leases"), "total")},
          {"files", number_at(status, "files")},
          {"registrations", member(status, "registrations")},
          {"denials", number_at(gate, "denials")},
          {"denials_per_second", rate_ ? Json(*rate_) : Json()},
          {"escapes", number_at(gate, "escapes") + number_at(gate, "escapes_lost")},
          {"last_denial", denials.empty() ? Json() : denials[0]}};
}

}  // namespace hf::cli
