// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// What holdfast top makes of the daemon's answers, without a terminal.
#include <gtest/gtest.h>

#include "cli/top_model.hpp"

namespace hf::cli {
namespace {

Json status(std::uint64_t denials, std::uint64_t escapes = 0, std::uint64_t unprotected = 0) {
  return {{"version", "1.2.3"},
          {"node", {{"name", "node-a"}}},
          {"uptime_s", 60},
          {"files", 2},
          {"gate", {{"denials", denials}, {"denials_lost", 0}, {"escapes", escapes}, {"escapes_lost", 0}}},
          {"leases", {{"total", 3}, {"by_kind", {{"registration", 1}, {"process", 2}, {"static", 0}}}}},
          {"registrations", {{"protected", 1}, {"unprotected", unprotected}, {"observed", 0}}},
          {"journal", {{"trouble", nullptr}, {"lost", 0}}}};
}

Json lease(const char* comm, int pid) { return {{"kind", "process"}, {"holder", {{"comm", comm}, {"pid", pid}}}}; }

Json denial(const char* path, const char* operation = "truncate") {
  return {{"time", "2026-01-02T03:04:05.678Z"},
          {"operation", operation},
          {"path", path},
          {"breaker", {{"executable", "/usr/bin/truncate"}, {"comm", "truncate"}, {"pid", 77}}}};
}

TopSample sample(double at_s, std::uint64_t denials, int files = 1) {
  TopSample out{
      .at_s = at_s, .clock = "12:00:00", .status = status(denials), .leases = {{"files", Json::array()}}, .registrations = {}, .denials = {}, .escapes = {}};
  for (int i = 0; i < files; i++)
    out.leases["files"].push_back({{"path", "/mnt/file" + std::to_string(i)},
                                   {"protected", Json::array({{{"first", 0}, {"end", 65536}}})},
                                   {"leases", Json::array({lease("job", 12), lease("job", 13)})}});
  out.denials = {{"denials", Json::array({denial("/mnt/file0")})}};
  return out;
}

std::string all(const std::vector<TopLine>& lines) {
  std::string text;
  for (const auto& line : lines) text += line.text + "\n";
  return text;
}

bool shows(const std::vector<TopLine>& lines, const std::string& text) { return all(lines).find(text) != std::string::npos; }

TEST(Top, RateIsRefusalsASecondBetweenSamples) {
  TopModel model;
  model.take(sample(10, 100));
  EXPECT_FALSE(model.rate()) << "one sample has no rate";
  model.take(sample(12, 150));
  EXPECT_DOUBLE_EQ(model.rate().value(), 25);
  EXPECT_TRUE(shows(model.screen(30, 100, 0, "keys"), "150 since the gate was armed, 25.0 a second"));
}

TEST(Top, AGateArmedAnewHasNoRate) {
  TopModel model;
  model.take(sample(10, 100));
  model.take(sample(11, 3));
  EXPECT_FALSE(model.rate());
}

TEST(Top, ShowsFilesHoldersAndBreakers) {
  TopModel model;
  model.take(sample(1, 0));
  const auto lines = model.screen(30, 120, 0, "keys");
  EXPECT_TRUE(shows(lines, "node-a  Holdfast 1.2.3")) << all(lines);
  EXPECT_TRUE(shows(lines, "2       64 KiB  job[12] +1  /mnt/file0")) << all(lines);
  EXPECT_TRUE(shows(lines, "truncate   /usr/bin/truncate[77]  /mnt/file0")) << all(lines);
  EXPECT_EQ(lines.back().text, "keys");
}

TEST(Top, FillsTheScreenExactlyAndNeverMore) {
  TopModel model;
  auto many = sample(1, 0, 500);
  for (int i = 0; i < 500; i++) many.denials["denials"].push_back(denial("/a/very/long/path/that/does/not/fit/into/a/narrow/terminal"));
  many.escapes = {{"escapes", Json::array({denial("/mnt/file0")})}};
  model.take(many);
  for (const std::size_t rows : {1u, 2u, 5u, 10u, 24u, 25u, 60u, 200u})
    for (const std::size_t columns : {1u, 20u, 80u, 200u}) {
      const auto lines = model.screen(rows, columns, 0, "keys");
      EXPECT_EQ(lines.size(), rows);
      for (const auto& line : lines) EXPECT_LE(width(line.text), columns) << line.text;
    }
}

TEST(Top, BothListsKeepTheirPlace) {
  TopModel model;
  auto many = sample(1, 0, 500);
  for (int i = 0; i < 500; i++) many.denials["denials"].push_back(denial("/mnt/other", "punch"));
  model.take(many);
  const auto lines = model.screen(24, 100, 0, "keys");
  EXPECT_TRUE(shows(lines, "LEASES  HELD"));
  EXPECT_TRUE(shows(lines, "REFUSED  "));
  EXPECT_TRUE(shows(lines, "punch"));
}

TEST(Top, ScrollsPastFilesButNotPastTheLast) {
  TopModel model;
  model.take(sample(1, 0, 50));
  EXPECT_FALSE(shows(model.screen(24, 100, 3, ""), "/mnt/file2\n"));
  EXPECT_TRUE(shows(model.screen(24, 100, 3, ""), "/mnt/file3\n"));
  EXPECT_TRUE(shows(model.screen(24, 100, 5000, ""), "/mnt/file49\n"));
}

TEST(Top, EscapesAndUnprotectedRegistrationsAreSeen) {
  TopModel model;
  auto bad = sample(1, 0);
  bad.status = status(0, 2, 1);
  bad.escapes = {{"escapes", Json::array({denial("/mnt/broken")})}};
  model.take(bad);
  const auto lines = model.screen(40, 100, 0, "");
  EXPECT_TRUE(shows(lines, "escapes        2 since the gate was armed"));
  EXPECT_TRUE(shows(lines, "1 unprotected"));
  EXPECT_TRUE(shows(lines, "/mnt/broken"));
  for (const auto& line : lines) {
    if (line.text.starts_with("escapes ")) {
      EXPECT_EQ(line.colour, Colour::kAlarm);
    }
    if (line.text.starts_with("registrations")) {
      EXPECT_EQ(line.colour, Colour::kRed);
    }
  }
}

TEST(Top, ADaemonThatIsGoneIsSaidAndTheLastIsKept) {
  TopModel model;
  model.take(sample(1, 0));
  model.lose("12:00:05", "holdfastd isn't running");
  model.lose("12:00:06", "holdfastd isn't running");
  EXPECT_TRUE(shows(model.screen(30, 200, 0, ""), "does not answer since 12:00:05 (holdfastd isn't running)"));
  EXPECT_TRUE(shows(model.screen(30, 200, 0, ""), "/mnt/file0"));
  EXPECT_NE(model.line().find("does not answer"), std::string::npos);
  model.take(sample(9, 0));
  EXPECT_FALSE(shows(model.screen(30, 200, 0, ""), "does not answer"));
}

TEST(Top, NamesCannotRewriteTheTerminal) {
  TopModel model;
  auto evil = sample(1, 0, 0);
  evil.denials = {{"denials", Json::array({denial("/mnt/\x1b[2J\nevil")})}};
  evil.leases = {{"files", Json::array({{{"path", "/mnt/\x07"}, {"leases", Json::array({lease("\x1b]0;x", 1)})}}})}};
  model.take(evil);
  for (const auto& line : model.screen(30, 200, 0, ""))
    for (const char c : line.text) EXPECT_FALSE(c == '\x1b' || c == '\n' || c == '\x07') << line.text;
  EXPECT_EQ(model.line().find('\x1b'), std::string::npos);
}

TEST(Top, AnAnswerWithoutMembersIsShownAllTheSame) {
  TopModel model;
  model.take({.at_s = 1, .clock = "", .status = Json::object(), .leases = Json(), .registrations = Json(), .denials = Json(), .escapes = Json()});
  EXPECT_TRUE(shows(model.screen(20, 80, 0, ""), "no file is leased"));
  EXPECT_TRUE(shows(model.screen(20, 80, 0, ""), "escapes        none"));
}

TEST(Top, OneLineHasTheFiguresAndTheLastBreaker) {
  TopModel model;
  model.take(sample(1, 0));
  model.take(sample(2, 4));
  EXPECT_EQ(model.line(),
            "12:00:00  leases 3  files 2  registrations 1  unprotected 0  refused 4  refused/s 4.0  escapes 0  last: truncate of /mnt/file0 by "
            "/usr/bin/truncate[77]");
  EXPECT_EQ(model.json().at("denials_per_second"), 4.0);
}

}  // namespace
}  // namespace hf::cli
