// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "daemon/grants.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <set>

#include "scratch.hpp"

namespace hf {
namespace {

const auto kAll = [](LeaseId) { return true; };

TEST(Grants, SurviveARestart) {
  test::Scratch scratch;
  std::uint64_t token = 0;
  {
    auto grants = Grants::open(scratch.path("grants"), kAll);
    ASSERT_TRUE(grants);
    token = grants->add(1, "label \"quoted\"\n\xff", "/a/b").value();
    ASSERT_TRUE(grants->add(2, "", ""));
  }
  const auto grants = Grants::open(scratch.path("grants"), [](LeaseId lease) { return lease == 1; });
  ASSERT_TRUE(grants);
  ASSERT_TRUE(grants->find(1));
  EXPECT_EQ(grants->find(1)->token, token);
  EXPECT_EQ(grants->find(1)->path, "/a/b");
  EXPECT_FALSE(grants->find(2));
}

TEST(Grants, OfLeasesThatTheKernelHasNotAreForgotten) {
  test::Scratch scratch;
  ASSERT_TRUE(Grants::open(scratch.path("grants"), kAll)->add(1, "", ""));
  EXPECT_EQ(Grants::open(scratch.path("grants"), [](LeaseId) { return false; })->size(), 0u);
  EXPECT_EQ(Grants::open(scratch.path("grants"), kAll)->size(), 0u);
}

TEST(Grants, HaveTokensThatAreAllDifferentAndNoneIsNone) {
  test::Scratch scratch;
  auto grants = Grants::open(scratch.path("grants"), kAll);
  ASSERT_TRUE(grants);
  std::set<std::uint64_t> tokens;
  constexpr LeaseId kMany = 200;
  for (LeaseId lease = 1; lease <= kMany; lease++) tokens.insert(grants->add(lease, "", "").value());
  EXPECT_EQ(tokens.size(), kMany);
  EXPECT_FALSE(tokens.contains(0));
}

TEST(Grants, WriteNothingOfAnEnd) {
  test::Scratch scratch;
  auto grants = Grants::open(scratch.path("grants"), kAll);
  ASSERT_TRUE(grants);
  ASSERT_TRUE(grants->add(1, "", "/p"));
  const auto before = scratch.read("grants");
  grants->remove(1);
  EXPECT_EQ(scratch.read("grants"), before);
  EXPECT_FALSE(grants->find(1));
}

TEST(Grants, SkipALineThatWasHalfWritten) {
  test::Scratch scratch;
  const auto token = Grants::open(scratch.path("grants"), kAll)->add(1, "x", "/p").value();
  const auto text = scratch.read("grants");
  for (std::size_t cut = 0; cut < text.size() - 1; cut++) {
    scratch.write("grants", text + text.substr(0, cut));
    const auto grants = Grants::open(scratch.path("grants"), kAll);
    ASSERT_TRUE(grants) << cut;
    ASSERT_TRUE(grants->find(1)) << cut;
    EXPECT_EQ(grants->find(1)->token, token);
  }
}

TEST(Grants, AreForRootOnly) {
  test::Scratch scratch;
  ASSERT_TRUE(Grants::open(scratch.path("grants"), kAll));
  struct stat status {};
  ASSERT_EQ(::stat(scratch.path("grants").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
}

TEST(Grants, SayWhenTheirFolderCannotBeWritten) {
  const auto grants = Grants::open("/proc/no-such-folder/grants", kAll);
  ASSERT_FALSE(grants);
  EXPECT_NE(grants.error().hint, "");
}

}  // namespace
}  // namespace hf
