// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "catalog/break_sources.hpp"

#include <gtest/gtest.h>

#include <set>

#include "decide.h"

namespace hf {
namespace {

TEST(Catalog, EveryOperationHasItsEntry) {
  for (int op = 1; op < HF_OP_COUNT; op++) {
    const BreakSource* source = find_break_source(static_cast<hf_op>(op));
    ASSERT_NE(source, nullptr) << op;
    EXPECT_EQ(source->op, op);
    EXPECT_EQ(find_break_source(source->id), source);
    EXPECT_EQ(op_name(static_cast<std::uint32_t>(op)), source->id);
  }
}

TEST(Catalog, TheNamesOfTheGatesOperationsAreStable) {
  // They are in configurations and journals: a change here breaks someone.
  const char* const names[] = {"truncate",     "punch",        "zero",    "collapse",    "insert", "unshare",     "write-zeroes", "fallocate-new",
                               "reflink",      "reflink-from", "dedupe",  "dedupe-from", "copy",   "copy-from",   "exchange",     "swap-extents",
                               "move-extents", "swap-boot",    "migrate", "attributes",  "verity", "layout-call", "direct-write", "loop-attach"};
  ASSERT_EQ(std::size(names), HF_OP_COUNT - 1u);
  for (std::size_t i = 0; i < std::size(names); i++) EXPECT_EQ(op_name(static_cast<std::uint32_t>(i + 1)), names[i]);
}

TEST(Catalog, WhatIsNoOperationHasNoEntry) {
  EXPECT_EQ(find_break_source(HF_OP_NONE), nullptr);
  EXPECT_EQ(find_break_source(HF_OP_COUNT), nullptr);
  EXPECT_EQ(find_break_source(std::string_view{"tuncate"}), nullptr);
  EXPECT_EQ(op_name(HF_OP_NONE), "operation 0");
  EXPECT_EQ(op_name(4000000000u), "operation 4000000000");
}

TEST(Catalog, IdsAreWordsForAShell) {
  for (const BreakSource& source : break_sources()) EXPECT_EQ(source.id.find_first_not_of("abcdefghijklmnopqrstuvwxyz-"), std::string_view::npos) << source.id;
}

TEST(Catalog, DescriptionsAreOneShortLine) {
  for (const BreakSource& source : break_sources()) {
    EXPECT_EQ(source.description.find('\n'), std::string_view::npos) << source.id;
    EXPECT_LE(source.description.size(), 120u) << source.id;
    EXPECT_FALSE(source.description.ends_with('.')) << source.id;
  }
}

TEST(Catalog, RoutesAreNamedOnceEach) {
  for (const BreakSource& source : break_sources()) {
    EXPECT_EQ(std::set(source.routes.begin(), source.routes.end()).size(), source.routes.size()) << source.id;
    for (std::string_view route : source.routes) EXPECT_FALSE(route.empty()) << source.id;
  }
}

TEST(Catalog, TheTouchedRangeIsTheOneThatDecideReads) {
  for (__u32 mode :
       {HF_FALLOC_PUNCH_HOLE, HF_FALLOC_ZERO_RANGE, HF_FALLOC_COLLAPSE_RANGE, HF_FALLOC_INSERT_RANGE, HF_FALLOC_UNSHARE_RANGE, HF_FALLOC_WRITE_ZEROES, 0x100}) {
    hf_question question{};
    const BreakSource* source = find_break_source(static_cast<hf_op>(hf_question_fallocate(mode, 4096, 4096, &question)));
    ASSERT_NE(source, nullptr) << mode;
    EXPECT_EQ(source->touches, question.end == HF_RANGE_END ? Touches::from_offset : Touches::range) << source->id;
  }
}

TEST(Catalog, TruncateAndPunchBreakEveryKindOfFile) {
  EXPECT_EQ(find_break_source(HF_OP_TRUNCATE)->kinds, kAllKinds);
  EXPECT_EQ(kinds_letters(find_break_source(HF_OP_PUNCH)->kinds), "D S H P");
  EXPECT_EQ(kinds_letters(find_break_source(HF_OP_REFLINK)->kinds), "D P");
  EXPECT_EQ(kinds_letters(0), "");
}

TEST(Catalog, EveryValueOfItsTypesHasAName) {
  std::set<std::string_view> names;
  for (int i = 0; i <= static_cast<int>(BreakClass::hardware); i++) names.insert(name(static_cast<BreakClass>(i)));
  EXPECT_EQ(names.size(), static_cast<std::size_t>(BreakClass::hardware) + 1);
  EXPECT_FALSE(names.contains("?"));
  for (const BreakSource& source : break_sources()) {
    EXPECT_NE(name(source.touches), "?");
    EXPECT_NE(name(source.verdict), "?");
  }
}

}  // namespace
}  // namespace hf
