// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "qualify/probe.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <set>
#include <thread>

#include "catalog/break_sources.hpp"
#include "catalog/choke_points.hpp"
#include "qualify/layout.hpp"
#include "qualify/scratch.hpp"
#include "qualify/sources.hpp"

namespace hf::qualify {
namespace {

namespace fs = std::filesystem;
using actions::Action;
using actions::Place;
using actions::Route;
using actions::Verdict;

/// A folder of the test's own, on tmpfs.
class Folder {
 public:
  Folder() {
    char name[] = "/dev/shm/hf-probe-test-XXXXXX";
    path = mkdtemp(name);
  }
  ~Folder() { fs::remove_all(path); }
  std::string path;
};

Trial trial(const char* action, bool leased, int error) {
  Trial trial;
  trial.action = actions::find_action(action);
  trial.route = Route::user;
  trial.leased = leased;
  trial.attempt.outcome.error = error;
  trial.verdict = actions::judge(trial.attempt.outcome);
  if (trial.verdict == Verdict::refused) {
    trial.denials = {std::string(trial.action->source)};
    trial.named = true;
  }
  return trial;
}

Place tmpfs() {
  Place place;
  place.where = actions::kTmpfs;
  return place;
}

TEST(Catalogue, EveryActionIsOfASourceThatItNames) {
  std::set<std::string_view> names;
  for (const Action& action : actions::actions()) {
    EXPECT_TRUE(action.source == "control" || find_break_source(action.source)) << action.name;
    EXPECT_TRUE(names.insert(action.name).second) << action.name;
    EXPECT_NE(action.perform, nullptr) << action.name;
  }
}

TEST(Catalogue, EverySourceThatTheGateRefusesIsTried) {
  for (const BreakSource& source : break_sources()) {
    // No kernel has an unknown mode yet, and the gate falls back on the call stack only where a hint is lost.
    if (source.verdict != hf::Verdict::refused || source.op == HF_OP_FALLOCATE_NEW || source.op == HF_OP_LAYOUT_CALL) continue;
    EXPECT_TRUE(std::ranges::any_of(actions::actions(), [&](const Action& action) { return action.source == source.id && action.refused != 0; })) << source.id;
  }
}

TEST(Catalogue, WhatTheActionsSayOfTheGateIsWhatTheCatalogueSays) {
  for (const Action& action : actions::actions()) {
    const BreakSource* source = find_break_source(action.source);
    EXPECT_EQ(action.refused != 0, source && source->verdict == hf::Verdict::refused) << action.name;
  }
}

TEST(Catalogue, ChokePointsAreTheTripwires) {
  std::set<std::string_view> known;
  for (const ChokePoint& point : choke_points()) known.insert(point.function);
  for (const BreakSource& source : break_sources())
    for (std::string_view point : source.choke_points) EXPECT_TRUE(known.contains(point)) << source.id << " " << point;
}

TEST(Differences, ARefusalUnderALeaseIsAsItShouldBe) { EXPECT_EQ(differences(trial("punch", true, ETXTBSY), tmpfs(), true), std::vector<std::string>{}); }

TEST(Differences, ABreakThatIsLetThroughIsOne) {
  Trial open = trial("punch", true, 0);
  open.changed = "other pages";
  open.escaped = true;
  open.choke_points = {"shmem_undo_range"};
  ASSERT_EQ(differences(open, tmpfs(), true).size(), 1u);
  EXPECT_NE(differences(open, tmpfs(), true)[0].find("should be refused"), std::string::npos);
}

TEST(Differences, UnderASealTheOtherFileMayBeTheOneThatIsRefused) {
  Place xfs;
  xfs.where = actions::kXfsDax;
  xfs.reflink = true;
  auto clone = trial("clone-to", true, ETXTBSY);
  clone.denials = {"reflink-from"};
  EXPECT_EQ(differences(clone, xfs, true).size(), 1u);
  clone.sealed = true;
  EXPECT_EQ(differences(clone, xfs, true), std::vector<std::string>{});
  clone.denials = {"truncate"};
  EXPECT_EQ(differences(clone, xfs, true).size(), 1u) << "of another seal";
}

TEST(Differences, ASealRefusesWithoutALeaseToo) {
  auto punch = trial("punch", false, ETXTBSY), beside = trial("punch-beside", false, ETXTBSY), open = trial("punch", false, 0);
  EXPECT_EQ(differences(punch, tmpfs(), true).size(), 1u) << "there is neither lease nor seal";
  punch.by_seal = beside.by_seal = true;
  EXPECT_TRUE(differences(punch, tmpfs(), true).empty());
  EXPECT_TRUE(differences(beside, tmpfs(), true).empty());
  punch.named = false;
  EXPECT_EQ(differences(punch, tmpfs(), true).size(), 1u);
  open.sealed = true;
  open.changed = "its blocks";
  open.choke_points = {"truncate_inode_pages_range"};
  ASSERT_EQ(differences(open, tmpfs(), true).size(), 1u);
  EXPECT_NE(differences(open, tmpfs(), true)[0].find("should be refused"), std::string::npos);
}

TEST(Differences, AnotherErrnoIsOne) { EXPECT_EQ(differences(trial("punch", true, EPERM), tmpfs(), true).size(), 1u); }

TEST(Differences, OnlyTheHolderHearsOfADeadlock) {
  Trial deadlock = trial("punch", true, EDEADLK);
  EXPECT_EQ(differences(deadlock, tmpfs(), true).size(), 1u);
  deadlock.route = Route::holder;
  EXPECT_TRUE(differences(deadlock, tmpfs(), true).empty());
}

TEST(Differences, ARefusalWithoutANameIsOne) {
  Trial nameless = trial("punch", true, ETXTBSY);
  nameless.denials.clear();
  EXPECT_EQ(differences(nameless, tmpfs(), true).size(), 1u);
  nameless = trial("punch", true, ETXTBSY);
  nameless.named = false;
  EXPECT_EQ(differences(nameless, tmpfs(), true).size(), 1u);
  nameless = trial("punch", true, ETXTBSY);
  nameless.denials = {"truncate"};
  EXPECT_EQ(differences(nameless, tmpfs(), true).size(), 1u);
}

TEST(Differences, ABreakThatNoChokePointSawIsOne) {
  Trial unseen = trial("punch", false, 0);
  unseen.changed = "other pages";
  EXPECT_TRUE(differences(unseen, tmpfs(), false).empty());
  EXPECT_EQ(differences(unseen, tmpfs(), true).size(), 1u);
}

TEST(Differences, AControlThatIsRefusedIsOne) {
  EXPECT_EQ(differences(trial("write", true, ETXTBSY), tmpfs(), true).size(), 1u);
  EXPECT_TRUE(differences(trial("write", true, 0), tmpfs(), true).empty());
}

TEST(Differences, AFalseEscapeIsOne) {
  Trial alarm = trial("write", true, 0);
  alarm.escaped = true;
  EXPECT_EQ(differences(alarm, tmpfs(), true).size(), 1u);
}

TEST(Differences, WhatCannotRunWhereItShouldIsOne) {
  EXPECT_EQ(differences(trial("punch", false, EOPNOTSUPP), tmpfs(), true).size(), 1u);
  EXPECT_TRUE(differences(trial("collapse", false, EOPNOTSUPP), tmpfs(), true).empty());
}

class LayoutOfPages : public ::testing::Test {
 protected:
  void SetUp() override {
    place_ = actions::place_of(folder_.path);
    if (place_.where != actions::kTmpfs) GTEST_SKIP() << "/dev/shm is no tmpfs here";
    const std::string path = folder_.path + "/file";
    fd_ = Fd(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    ASSERT_TRUE(fd_);
    ASSERT_EQ(fallocate(fd_.get(), 0, 0, 16 * 4096), 0);
  }
  Result<Layout> take() { return Layout::take(fd_.get(), place_, 4096, 8 * 4096); }
  Folder folder_;
  Place place_;
  Fd fd_;
};

TEST_F(LayoutOfPages, IsTheSameAfterAWrite) {
  auto layout = take();
  ASSERT_TRUE(layout) << layout.error().text();
  ASSERT_EQ(pwrite(fd_.get(), "x", 1, 8192), 1);
  EXPECT_EQ(layout->changed(fd_.get()).value(), "");
  EXPECT_EQ(layout->changed(fd_.get()).value(), "");
}

TEST_F(LayoutOfPages, ChangesWithOnePunchedPage) {
  auto layout = take();
  ASSERT_TRUE(layout) << layout.error().text();
  ASSERT_EQ(fallocate(fd_.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 8 * 4096, 4096), 0);
  EXPECT_EQ(layout->changed(fd_.get()).value(), "other pages");
}

TEST_F(LayoutOfPages, DoesNotChangeWithAPunchBeside) {
  auto layout = take();
  ASSERT_TRUE(layout) << layout.error().text();
  ASSERT_EQ(fallocate(fd_.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 9 * 4096, 4096), 0);
  EXPECT_EQ(layout->changed(fd_.get()).value(), "");
}

TEST_F(LayoutOfPages, ChangesWithTheSize) {
  auto layout = take();
  ASSERT_TRUE(layout) << layout.error().text();
  ASSERT_EQ(ftruncate(fd_.get(), 4096), 0);
  EXPECT_EQ(layout->changed(fd_.get()).value(), "the file is shorter");
  ASSERT_EQ(ftruncate(fd_.get(), 16 * 4096), 0);
  EXPECT_EQ(layout->changed(fd_.get()).value(), "other pages");
}

bool soon_empty(const std::string& path) {
  for (int i = 0; i < 600; i++) {
    if (fs::is_empty(path)) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  return false;
}

TEST(ScratchFolder, GoesWithItsObject) {
  const Folder folder;
  {
    const auto scratch = Scratch::make(folder.path);
    ASSERT_TRUE(scratch) << scratch.error().text();
    std::ofstream(scratch->path() + "/file") << "x";
    EXPECT_FALSE(fs::is_empty(folder.path));
  }
  EXPECT_TRUE(fs::is_empty(folder.path));
}

TEST(ScratchFolder, GoesWithItsKilledMakerAndTheLastOfItsChildren) {
  const Folder folder;
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  Fd reading(ends[0]), writing(ends[1]);
  const pid_t maker = fork();
  if (maker == 0) {
    const auto scratch = Scratch::make(folder.path);
    std::ofstream(scratch->path() + "/file") << "x";
    const pid_t child = fork();
    if (child == 0) pause();
    if (write(writing.get(), &child, sizeof child) != sizeof child) _exit(1);
    pause();
  }
  pid_t child = 0;
  ASSERT_EQ(read(reading.get(), &child, sizeof child), static_cast<ssize_t>(sizeof child));
  kill(maker, SIGKILL);
  waitpid(maker, nullptr, 0);
  EXPECT_FALSE(fs::is_empty(folder.path)) << "a child still works there";
  kill(child, SIGKILL);
  EXPECT_TRUE(soon_empty(folder.path));
}

TEST(ScratchFolder, RemovesWhatNobodyOwnsAnyMore) {
  const Folder folder;
  fs::create_directory(folder.path + "/.holdfast-probe-abcdef");
  fs::create_directory(folder.path + "/else");
  { ASSERT_TRUE(Scratch::make(folder.path)); }
  EXPECT_FALSE(fs::exists(folder.path + "/.holdfast-probe-abcdef"));
  EXPECT_TRUE(fs::exists(folder.path + "/else"));
}

TEST(Kernel, PartsAreFoundInTheirModules) {
  const Folder folder;
  fs::create_directories(folder.path + "/proc");
  std::ofstream(folder.path + "/proc/kallsyms") << "0000 T notify_change\n0000 t folded.isra.0\n0000 d data_symbol\n0000 t xfs_one\t[xfs]\n";
  auto first = KernelView::read(folder.path);
  ASSERT_TRUE(first) << first.error().text();
  fs::create_directories(folder.path + "/lib/modules/" + first->release());
  std::ofstream(folder.path + "/lib/modules/" + first->release() + "/modules.dep") << "kernel/drivers/block/lo-op.ko.xz: kernel/x.ko\n";
  const auto kernel = KernelView::read(folder.path);
  ASSERT_TRUE(kernel);
  EXPECT_EQ(kernel->presence("notify_change"), Presence::here);
  EXPECT_EQ(kernel->presence("folded"), Presence::here);
  EXPECT_EQ(kernel->presence("data_symbol"), Presence::absent);
  EXPECT_EQ(kernel->presence("xfs:xfs_one"), Presence::here);
  EXPECT_EQ(kernel->presence("xfs:xfs_two"), Presence::absent);
  EXPECT_EQ(kernel->presence("xfs:notify_change"), Presence::here) << "built in";
  EXPECT_EQ(kernel->presence("lo_op:any"), Presence::not_loaded);
  EXPECT_EQ(kernel->presence("none:any"), Presence::absent);
  EXPECT_EQ(kernel->presence("none:any|notify_change"), Presence::here);
  EXPECT_EQ(kernel->presence("?any"), Presence::unknown);
}

}  // namespace
}  // namespace hf::qualify
