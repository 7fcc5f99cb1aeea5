// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "journal/journal.hpp"

#include <gtest/gtest.h>

#include <ctime>
#include <fstream>
#include <nlohmann/json.hpp>

#include "journal/history.hpp"
#include "scratch.hpp"

namespace hf {
namespace {

constexpr std::uint64_t kWithinMs = 10'000;

std::uint64_t now_ns() {
  timespec now{};
  ::clock_gettime(CLOCK_BOOTTIME, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(now.tv_nsec);
}

class AJournal : public ::testing::Test {
 protected:
  std::unique_ptr<Journal> open(const std::string& path) {
    return std::make_unique<Journal>(
        Journal::Options{.path = path, .version = "1.2.3", .node = {"node-a", "machine", "boot"}, .tell = [this](bool good, const std::string& text) {
                           const std::lock_guard lock(mutex);
                           told.push_back((good ? "good: " : "bad: ") + text);
                           heard.notify_all();
                         }});
  }
  static JournalEntry denial(const std::string& path = "/pool/file", const std::string& executable = "/usr/bin/truncate", std::uint32_t uid = 1000) {
    return {.kind = journal_kind::kDenial,
            .time_ns = now_ns(),
            .path = path,
            .file = {.inode = 77, .device = (259u << 20) | 3, .generation = 1},
            .operation = "truncate",
            .pid = 4242,
            .uid = uid,
            .comm = "truncate",
            .executable = executable,
            .data = [] { return std::string(R"({"event":"denial","leases":[{"uid":1001}]})"); }};
  }
  std::vector<HistoryRow> history(HistoryQuery query = {}) {
    auto page = read_history(file, query);
    EXPECT_TRUE(page) << page.error().text();
    return page ? page->rows : std::vector<HistoryRow>();
  }
  std::size_t count(const HistoryQuery& query) { return history(query).size(); }
  bool told_of(const std::string& words) {
    std::unique_lock lock(mutex);
    return heard.wait_for(lock, std::chrono::milliseconds(kWithinMs), [&] {
      return std::any_of(told.begin(), told.end(), [&](const std::string& line) { return line.find(words) != std::string::npos; });
    });
  }

  test::Scratch scratch;
  std::string file = scratch.path("state/journal.db");
  std::mutex mutex;
  std::condition_variable heard;
  std::vector<std::string> told;
};

TEST_F(AJournal, KeepsWhatItWasGivenAcrossRuns) {
  {
    const auto journal = open(file);
    journal->add(denial());
    ASSERT_TRUE(journal->flush(kWithinMs));
    EXPECT_EQ(journal->figures().written, 1u);
    EXPECT_EQ(journal->figures().waiting, 0u);
  }
  const auto journal = open(file);
  journal->add(denial("/pool/other"));
  ASSERT_TRUE(journal->flush(kWithinMs));
  const auto rows = history();
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0].path, "/pool/file");
  EXPECT_EQ(rows[0].node, "node-a");
  EXPECT_EQ(rows[0].version, "1.2.3");
  EXPECT_EQ(rows[1].path, "/pool/other");
  EXPECT_LT(rows[0].id, rows[1].id);
  EXPECT_EQ(nlohmann::json::parse(history_json(rows[0]))["data"]["event"], "denial");
}

TEST_F(AJournal, KeepsEachEntryOfABatchWhole) {
  // Full statements, and what is left over.
  constexpr std::size_t kEntries = 2 * Journal::kRowsAtOnce + 3;
  const auto journal = open(file);
  for (std::size_t i = 0; i < kEntries; i++) {
    auto entry = denial(fmt::format("/pool/{}", i));
    entry.lease = i + 1;
    entry.file.inode = i % 2 ? 0 : 100 + i;
    entry.data = [i] { return fmt::format(R"({{"number":{}}})", i); };
    journal->add(std::move(entry));
  }
  ASSERT_TRUE(journal->flush(kWithinMs));
  const auto rows = history();
  ASSERT_EQ(rows.size(), kEntries);
  for (std::size_t i = 0; i < kEntries; i++) {
    EXPECT_EQ(rows[i].path, fmt::format("/pool/{}", i));
    EXPECT_EQ(rows[i].id, rows[0].id + static_cast<std::int64_t>(i));
    EXPECT_EQ(nlohmann::json::parse(history_json(rows[i]))["data"]["number"], i);
  }
  const auto database = Database::open(file, Database::Mode::kRead);
  ASSERT_TRUE(database);
  EXPECT_EQ(database->number("SELECT count(*) FROM event WHERE (device IS NULL) = (lease % 2 = 0)").value_or(0), kEntries);
}

TEST_F(AJournal, IsReadByNobodyElse) {
  const auto journal = open(file);
  journal->add(denial());
  ASSERT_TRUE(journal->flush(kWithinMs));
  EXPECT_EQ(std::filesystem::status(file).permissions(), std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
}

TEST_F(AJournal, IsAskedByTimeFileBreakerKindAndUser) {
  const auto journal = open(file);
  auto old = denial("/pool/a/one", "/usr/bin/rm");
  old.time_ns = now_ns() - 3'600'000'000'000 > now_ns() ? 1 : now_ns() - std::min<std::uint64_t>(now_ns() - 1, 3'600'000'000'000);
  journal->add(old);
  journal->add(denial("/pool/a/two"));
  journal->add({.kind = journal_kind::kDaemon, .time_ns = now_ns(), .operation = "started"});
  ASSERT_TRUE(journal->flush(kWithinMs));
  EXPECT_EQ(count({.file = "/pool/a/two"}), 1u);
  EXPECT_EQ(count({.file = "/pool/a"}), 2u) << "a folder is all below it";
  EXPECT_EQ(count({.file = "/pool/a_"}), 0u) << "no letter stands for others by accident";
  EXPECT_EQ(count({.file = "/pool/*/t*"}), 1u);
  EXPECT_EQ(count({.file = "/gone", .device = "259:3", .inode = 77}), 2u) << "by whatever name";
  EXPECT_EQ(count({.file = "/gone", .device = "259:3"}), 2u) << "on whatever it was";
  EXPECT_EQ(count({.file = "/gone", .device = "259:4"}), 0u);
  EXPECT_EQ(count({.without = "*/two"}), 2u) << "what has no path stays";
  EXPECT_EQ(count({.breaker = "rm"}), 1u);
  EXPECT_EQ(count({.breaker = "/usr/bin/truncate"}), 1u);
  EXPECT_EQ(count({.breaker = "4242"}), 2u);
  EXPECT_EQ(count({.breaker = "r"}), 0u);
  EXPECT_EQ(count({.kinds = {"daemon"}}), 1u);
  EXPECT_EQ(count({.kinds = {"daemon", "denial"}}), 3u);
  EXPECT_EQ(count({.seen_by = 1000}), 2u);
  EXPECT_EQ(count({.seen_by = 1001}), 2u) << "whose leases would have been broken";
  EXPECT_EQ(count({.seen_by = 1002}), 0u);
  const auto minute_ago = static_cast<std::int64_t>(std::time(nullptr) - 60) * 1000;
  EXPECT_EQ(count({.since_ms = minute_ago}), 2u);
  EXPECT_EQ(count({.until_ms = minute_ago}), 1u);
  const auto last = history({.newest = true, .limit = 2});
  ASSERT_EQ(last.size(), 2u);
  EXPECT_EQ(last[1].kind, "daemon");
  const auto newest = read_history(file, {.newest = true, .limit = 2}), all = read_history(file, {.newest = true, .limit = 3});
  ASSERT_TRUE(newest && all);
  EXPECT_TRUE(newest->more) << "there are older ones";
  EXPECT_FALSE(all->more);
  const auto page = read_history(file, {.limit = 2});
  ASSERT_TRUE(page);
  EXPECT_TRUE(page->more);
  EXPECT_EQ(count({.after = page->rows.back().id}), 1u);
}

TEST_F(AJournal, ThatCanNotBeWrittenKeepsInMemoryWhatItCanAndCountsTheRest) {
  scratch.write("state", "not a folder");
  const auto journal = open(file);
  journal->look();
  ASSERT_TRUE(told_of("can't be written"));
  for (std::size_t i = 0; i < Journal::kQueueMax + 500; i++) journal->add(denial());
  EXPECT_FALSE(journal->flush(1));
  EXPECT_EQ(journal->figures().lost, 500u);
  EXPECT_FALSE(journal->figures().trouble.empty());
  auto escape = denial();
  escape.kind = journal_kind::kEscape;
  journal->add(escape);
  EXPECT_EQ(journal->figures().lost, 500u) << "there is room for an escape";
  std::filesystem::remove(scratch.path("state"));
  ASSERT_TRUE(journal->flush(kWithinMs));
  ASSERT_TRUE(told_of("entries lost since the start: 500"));
  EXPECT_EQ(count({.kinds = {"escape"}}), 1u);
  const auto database = Database::open(file, Database::Mode::kRead);
  ASSERT_TRUE(database);
  EXPECT_EQ(database->number("SELECT count(*) FROM event WHERE kind = 'denial'").value_or(0), Journal::kQueueMax);
  const auto lost = history({.kinds = {"lost"}});
  ASSERT_EQ(lost.size(), 1u);
  EXPECT_EQ(lost[0].count, 500u);
  EXPECT_EQ(nlohmann::json::parse(lost[0].data)["what"], "denial");
}

TEST_F(AJournal, IsTriedAgainByItselfUntilItCanBeWritten) {
  scratch.write("state", "not a folder");
  const auto journal = open(file);
  for (const auto* path : {"/pool/1", "/pool/2", "/pool/3"}) journal->add(denial(path));
  ASSERT_TRUE(told_of("can't be written"));
  EXPECT_EQ(journal->figures().waiting, 3u);
  std::filesystem::remove(scratch.path("state"));
  ASSERT_TRUE(told_of("is written again"));
  const auto rows = history();
  ASSERT_EQ(rows.size(), 3u);
  for (std::size_t i = 0; i < rows.size(); i++) EXPECT_EQ(rows[i].path, fmt::format("/pool/{}", i + 1));
}

TEST_F(AJournal, ThatIsDamagedIsSetAside) {
  scratch.write("state/journal.db", std::string(8192, 'x'));
  const auto journal = open(file);
  journal->add(denial());
  ASSERT_TRUE(journal->flush(kWithinMs));
  EXPECT_EQ(count({.kinds = {"denial"}}), 1u);
  EXPECT_TRUE(told_of("was set aside"));
  EXPECT_EQ(scratch.read("state/journal.db.damaged"), std::string(8192, 'x'));
  ASSERT_TRUE(journal->flush(kWithinMs));
  EXPECT_EQ(count({.kinds = {"daemon"}}), 1u) << "and says so";
}

TEST_F(AJournal, ThatIsDamagedInTheMiddleIsSetAside) {
  {
    const auto journal = open(file);
    for (int i = 0; i < 5000; i++) journal->add(denial("/pool/" + std::to_string(i)));
    ASSERT_TRUE(journal->flush(kWithinMs));
  }
  {
    std::fstream damage(file, std::ios::in | std::ios::out | std::ios::binary);
    for (int page = 3; page < 60; page++) {
      damage.seekp(page * 4096 + 5);
      damage << std::string(200, '\xee');
    }
  }
  const auto journal = open(file);
  journal->add(denial());
  ASSERT_TRUE(journal->flush(kWithinMs));
  EXPECT_TRUE(told_of("was set aside"));
  EXPECT_EQ(count({.kinds = {"denial"}}), 1u);
}

TEST_F(AJournal, OfAnotherVersionIsSetAsideAndNotTouched) {
  {
    const auto journal = open(file);
    ASSERT_TRUE(journal->flush(kWithinMs));
  }
  {
    const auto database = Database::open(file, Database::Mode::kWrite);
    ASSERT_TRUE(database);
    ASSERT_TRUE(database->run("PRAGMA user_version = 9"));
  }
  const auto journal = open(file);
  journal->add(denial());
  ASSERT_TRUE(journal->flush(kWithinMs));
  EXPECT_TRUE(told_of("version 9"));
  const auto aside = Database::open(file + ".damaged", Database::Mode::kRead);
  ASSERT_TRUE(aside);
  EXPECT_EQ(*aside->number("PRAGMA user_version"), 9);
}

TEST_F(AJournal, DropsTheOldestWhereItIsTooLargeAndEscapesLast) {
  const auto journal = open(file);
  journal->set_limits({.size_bytes = 1 << 20, .age_s = 0});
  auto escape = denial("/pool/escaped");
  escape.kind = journal_kind::kEscape;
  journal->add(escape);
  ASSERT_TRUE(journal->flush(kWithinMs));
  for (int batch = 0; batch < 20; batch++) {
    for (int i = 0; i < 2000; i++) journal->add(denial(fmt::format("/pool/{}", batch)));
    ASSERT_TRUE(journal->flush(kWithinMs));
  }
  EXPECT_LE(journal->figures().bytes, 1u << 20);
  EXPECT_EQ(count({.kinds = {"escape"}}), 1u);
  EXPECT_EQ(count({.file = "/pool/0"}), 0u);
  EXPECT_GT(count({.file = "/pool/19"}), 0u);
  EXPECT_EQ(journal->figures().lost, 0u) << "what was kept long enough is not lost";
}

TEST_F(AJournal, DropsWhatIsTooOld) {
  {
    const auto journal = open(file);
    journal->add(denial());
    ASSERT_TRUE(journal->flush(kWithinMs));
  }
  {
    auto database = Database::open(file, Database::Mode::kWrite);
    ASSERT_TRUE(database);
    ASSERT_TRUE(database->run("INSERT INTO event (run, time_ms, boot_ns, kind, count, data) VALUES (1, 1000, 1, 'denial', 1, '{}')"));
  }
  const auto next = open(file);
  next->set_limits({.size_bytes = 0, .age_s = 3600});
  next->add(denial());
  ASSERT_TRUE(next->flush(kWithinMs));
  // Retention follows the writing.
  next->add(denial());
  ASSERT_TRUE(next->flush(kWithinMs));
  EXPECT_EQ(count({.until_ms = 2000}), 0u);
}

TEST(AJournalThatIsNotThere, IsAnError) { EXPECT_EQ(read_history("/nonexistent/journal.db", {}).error().code, ENOENT); }

}  // namespace
}  // namespace hf
