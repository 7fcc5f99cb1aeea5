// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// What the command line reads and prints, without a daemon.
#include <gtest/gtest.h>

#include "cli/when.hpp"
#include "cli/answers.hpp"
#include "cli/event_text.hpp"
#include "cli/range.hpp"
#include "cli/suggest.hpp"
#include "cli/terminal.hpp"

namespace hf::cli {
namespace {

TEST(ParseSize, ReadsBytesAndBinaryUnits) {
  EXPECT_EQ(parse_size("0").value(), 0u);
  EXPECT_EQ(parse_size("4096").value(), 4096u);
  EXPECT_EQ(parse_size("4096B").value(), 4096u);
  EXPECT_EQ(parse_size("64K").value(), 65536u);
  EXPECT_EQ(parse_size("64k").value(), 65536u);
  EXPECT_EQ(parse_size("64KiB").value(), 65536u);
  EXPECT_EQ(parse_size("3MiB").value(), 3u << 20);
  EXPECT_EQ(parse_size("1G").value(), 1ull << 30);
  EXPECT_EQ(parse_size("2T").value(), 2ull << 40);
}

TEST(ParseSize, RefusesWhatIsNoSize) {
  for (const char* text : {"", "K", "-1", "+1", "1.5G", "4 K", "64KB", "64X", "0x10", "64KiBs", "99999999999999999999", "99999999T"})
    EXPECT_FALSE(parse_size(text)) << text;
}

TEST(ParseRange, ReadsOffsetAndLength) {
  const auto range = parse_range("1M:64K").value();
  EXPECT_EQ(range.offset_bytes, 1u << 20);
  EXPECT_EQ(range.length_bytes, 65536u);
  EXPECT_EQ(parse_range("4K:").value().length_bytes, 0u) << "the rest of the file";
}

TEST(ParseRange, RefusesAndSaysWhatToWrite) {
  for (const char* text : {"", ":", "5", ":5", "a:b", "0:0", "1:2:3", "18446744073709551615:2"}) {
    const auto range = parse_range(text);
    ASSERT_FALSE(range) << text;
    EXPECT_EQ(range.error().code, EINVAL);
  }
  EXPECT_NE(parse_range("5").error().hint.find("OFFSET:LENGTH"), std::string::npos);
}

TEST(FitRanges, TakesTheWholeFileWhereNoneIsGiven) {
  const auto ranges = fit_ranges({}, 8192, "f").value();
  ASSERT_EQ(ranges.size(), 1u);
  EXPECT_EQ(ranges[0].length_bytes, 8192u);
}

TEST(FitRanges, FillsInTheRest) { EXPECT_EQ(fit_ranges({{4096, 0}}, 8192, "f").value()[0].length_bytes, 4096u); }

TEST(FitRanges, RefusesWhatReachesBeyondTheFile) {
  EXPECT_TRUE(fit_ranges({{4096, 4096}}, 8192, "f"));
  EXPECT_FALSE(fit_ranges({{4096, 4097}}, 8192, "f"));
  EXPECT_FALSE(fit_ranges({{8192, 0}}, 8192, "f"));
  EXPECT_FALSE(fit_ranges({{~0ull - 1, 1}}, 8192, "f"));
  EXPECT_FALSE(fit_ranges({}, 0, "f")) << "an empty file";
}

TEST(FitRanges, RefusesOverlapsInAnyOrder) {
  EXPECT_TRUE(fit_ranges({{4096, 4096}, {0, 4096}}, 8192, "f"));
  const auto overlapping = fit_ranges({{4096, 4096}, {0, 4097}}, 8192, "f");
  ASSERT_FALSE(overlapping);
  EXPECT_NE(overlapping.error().hint.find("--range 0:8K"), std::string::npos) << overlapping.error().hint;
}

TEST(FormatRange, IsExactAndCanBeReadBack) {
  EXPECT_EQ(format_range(0, 65536), "0:64K");
  EXPECT_EQ(format_range(1ull << 30, 4097), "1G:4097");
  EXPECT_EQ(format_range(4096, HF_LENGTH_TO_END), "4K:");
  EXPECT_EQ(format_range(4096, HF_LENGTH_TO_END - 4096), "4K:");
  for (const std::uint64_t bytes : {1ull, 1023ull, 1024ull, 1025ull, 1ull << 20, 3ull << 40, 1ull << 63})
    EXPECT_EQ(parse_size(format_size(bytes)).value(), bytes);
}

TEST(Nearest, FindsTheVerbThatWasMeant) {
  const std::vector<std::string> verbs{"status", "leases", "registrations", "watch", "hold", "why", "gate"};
  EXPECT_EQ(nearest("stauts", verbs), "status");
  EXPECT_EQ(nearest("lease", verbs), "leases");
  EXPECT_EQ(nearest("reg", verbs), "registrations");
  EXPECT_EQ(nearest("hodl", verbs), "hold");
  EXPECT_EQ(nearest("frobnicate", verbs), "");
}

TEST(Table, AlignsAndCutsTheLastColumnOnATerminalOnly) {
  Table table({"A", "FILE"});
  table.row({"1", "/a/rather/long/path/to/some/file"});
  table.row({"long", ""});
  EXPECT_EQ(table.text(Terminal(false, 0)), "A     FILE\n1     /a/rather/long/path/to/some/file\nlong  -\n");
  EXPECT_EQ(table.text(Terminal(false, 24)), "A     FILE\n1     /a/rather/long/pa…\nlong  -\n");
}

TEST(Facts, BreakLongValuesBetweenWordsOnATerminalOnly) {
  Facts facts;
  facts.add("a", "one two three four five six");
  facts.add("long", "x");
  EXPECT_EQ(facts.text(Terminal(false, 0)), "a     one two three four five six\nlong  x\n");
  EXPECT_EQ(facts.text(Terminal(false, 25)), "a     one two three four\n      five six\nlong  x\n");
}

TEST(Printable, DisarmsWhatWouldRewriteTheTerminal) {
  EXPECT_EQ(printable("a\x1b[2Jb\nc"), "a\\x1b[2Jb\\x0ac");
  EXPECT_EQ(printable("gr\xc3\xbc\xc3\x9f"), "gr\xc3\xbc\xc3\x9f");
  EXPECT_EQ(printable("\xc2\x9b"), "\\u009b");
}

TEST(BreakerText, NamesAProcess) {
  const Json breaker = Json::parse(R"({"kind":"process","pid":12,"uid":0,"user":"root","comm":"truncate","executable":"/usr/bin/truncate",
    "unit":"cron.service","container":null,"command_line":["truncate","-s","0","a b"]})");
  EXPECT_EQ(breaker_text(breaker), "truncate (/usr/bin/truncate, pid 12, root, cron.service): truncate -s 0 'a b'");
}

TEST(BreakerText, NamesAContainerAKernelThreadAndWhatIsMissing) {
  EXPECT_EQ(breaker_text(Json::parse(
                R"({"kind":"process","pid":1,"uid":9,"user":null,"comm":"sh","executable":null,"container":{"runtime":"docker","id":"0123456789abcdef"}})")),
            "sh (pid 1, uid 9, docker 0123456789ab)");
  EXPECT_EQ(breaker_text(Json::parse(R"({"kind":"kernel-thread","pid":7,"uid":0,"user":"root","comm":"nfsd","works_for":"an NFS client"})")),
            "kernel thread nfsd (pid 7, root), for an NFS client");
}

TEST(WatchText, IsOneLineForEveryEvent) {
  const Terminal plain(false, 0);
  const Json denial = Json::parse(R"({"event":"denial","time":"","operation":"punch","range":{"first":0,"end":4096},"path":"/f\n/g","error":"ETXTBSY",
    "breaker":{"kind":"process","pid":3,"uid":1,"comm":"x"}})");
  EXPECT_EQ(watch_text(denial, plain), "punch 0:4K  /f\\x0a/g  ETXTBSY  x (pid 3, uid 1)");
  const Json registration = Json::parse(R"({"event":"registration","lease":4,"state":"unprotected","device":"rxe0","holder":{"pid":9,"comm":"app","label":null},
    "reasons":[{"text":"too late"}],"files":[{"path":"/f","extents":[],"unprotected":[{"first":0,"end":null}]}]})");
  EXPECT_EQ(watch_text(registration, plain), "registered 4  /f (unprotected: 0:)  unprotected  app[9] on rxe0: too late");
  EXPECT_EQ(watch_text(Json::parse(R"({"event":"of another version","x":1})"), plain), R"({"event":"of another version","x":1})");
  EXPECT_FALSE(watch_text(Json::parse(R"([1,2])"), plain).empty());
}

TEST(Answers, MissingMembersReadAsEmpty) {
  const Json empty = Json::object();
  EXPECT_EQ(text_at(empty, "x"), "");
  EXPECT_EQ(text_at(Json(), "x"), "");
  EXPECT_EQ(number_at(Json::parse(R"({"x":"y"})"), "x"), 0u);
  EXPECT_EQ(extents_text(Json::parse(R"([{"first":0,"end":1},{"first":2,"end":3},{"first":4,"end":5},{"first":6,"end":7}])")), "0:1 2:1 4:1 +1");
}

TEST(Sizes, AreRoundedForPeople) {
  EXPECT_EQ(size_text(512), "512 B");
  EXPECT_EQ(size_text(1536), "1.5 KiB");
  EXPECT_EQ(size_text(1ull << 30), "1 GiB");
}

TEST(Times, AreReadAsPeopleWriteThem) {
  ::setenv("TZ", "UTC", 1);
  ::tzset();
  constexpr std::int64_t kNow = 1'700'000'000'000;  // 2023-11-14 22:13:20
  constexpr std::int64_t kMidnight = 1'699'920'000'000;
  EXPECT_EQ(parse_time("now", kNow), kNow);
  EXPECT_EQ(parse_time("today", kNow), kMidnight);
  EXPECT_EQ(parse_time("yesterday", kNow), kMidnight - 86'400'000);
  EXPECT_EQ(parse_time("-2h", kNow), kNow - 7'200'000);
  EXPECT_EQ(parse_time("-30min", kNow), kNow - 1'800'000);
  EXPECT_EQ(parse_time("2023-11-14", kNow), kMidnight);
  EXPECT_EQ(parse_time("2023-11-14 22:13", kNow), 1'699'999'980'000);
  EXPECT_EQ(parse_time("2023-11-14T22:13:20.5Z", kNow), kNow + 500);
  EXPECT_EQ(parse_time("22:13:20", kNow), kNow);
  for (const char* wrong : {"", "someday", "-2", "-h", "-2weeks", "2023-11-14x", "25:00", "--2h"}) EXPECT_FALSE(parse_time(wrong, kNow)) << wrong;
}

}  // namespace
}  // namespace hf::cli
