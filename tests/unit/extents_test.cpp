// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "lease/extents.hpp"

#include <gtest/gtest.h>

#include <array>
#include <ostream>
#include <random>

namespace hf {

std::ostream& operator<<(std::ostream& out, const ExtentSet& set) {
  for (const Extent& extent : set) out << '[' << extent.first << ", " << extent.end << ") ";
  return out << (set.empty() ? "nothing" : "");
}

namespace {

TEST(ExtentSet, NeighboursBecomeOne) {
  EXPECT_EQ((ExtentSet{{0, 10}, {10, 20}}), (ExtentSet{{0, 20}}));
  EXPECT_EQ((ExtentSet{{10, 20}, {0, 10}}).size(), 1u);
}

TEST(ExtentSet, OneByteBetweenKeepsThemApart) { EXPECT_EQ((ExtentSet{{0, 10}, {11, 20}}).size(), 2u); }

TEST(ExtentSet, AnExtentThatBridgesJoinsThemAll) {
  ExtentSet set{{0, 10}, {20, 30}, {40, 50}, {60, 70}};
  set.add({5, 45});
  EXPECT_EQ(set, (ExtentSet{{0, 50}, {60, 70}}));
}

TEST(ExtentSet, EmptyAndReversedExtentsAddNothing) { EXPECT_TRUE((ExtentSet{{5, 5}, {9, 3}}).empty()); }

TEST(ExtentSet, RemoveFromTheMiddleLeavesBothSides) {
  ExtentSet set{{0, 100}};
  set.remove({40, 60});
  EXPECT_EQ(set, (ExtentSet{{0, 40}, {60, 100}}));
}

TEST(ExtentSet, RemoveOfWhatTouchesChangesNothing) {
  ExtentSet set{{10, 20}};
  set.remove({0, 10});
  set.remove({20, 30});
  set.remove({15, 15});
  EXPECT_EQ(set, (ExtentSet{{10, 20}}));
}

TEST(ExtentSet, RemoveAcrossSeveralCutsTheOuterOnes) {
  ExtentSet set{{0, 10}, {20, 30}, {40, 50}};
  set.remove({5, 45});
  EXPECT_EQ(set, (ExtentSet{{0, 5}, {45, 50}}));
}

TEST(ExtentSet, RemoveOfItselfLeavesNothing) {
  ExtentSet set{{0, 10}, {20, 30}};
  set.add(set);
  EXPECT_EQ(set, (ExtentSet{{0, 10}, {20, 30}}));
  set.remove(set);
  EXPECT_TRUE(set.empty());
}

TEST(ExtentSet, UnboundedReachesPastEveryOffset) {
  ExtentSet set{{4096, HF_RANGE_END}};
  EXPECT_TRUE(set.contains(HF_RANGE_END - 1));
  EXPECT_TRUE(set.overlaps({1ull << 63, HF_RANGE_END}));
  EXPECT_FALSE(set.overlaps({0, 4096}));
  set.remove({8192, HF_RANGE_END});
  EXPECT_EQ(set, (ExtentSet{{4096, 8192}}));
}

TEST(ExtentSet, TotalBytesSaturatesWhenUnbounded) {
  EXPECT_EQ((ExtentSet{{0, 10}, {20, 25}}).total_bytes(), 15u);
  EXPECT_EQ((ExtentSet{{5, HF_RANGE_END}}).total_bytes(), HF_RANGE_END);
  EXPECT_EQ((ExtentSet{{0, HF_RANGE_END - 1}}).total_bytes(), HF_RANGE_END - 1);
  EXPECT_EQ(ExtentSet{}.total_bytes(), 0u);
}

TEST(ExtentSet, GapsAreWhatIsMissingInBetweenAndAtBothEnds) {
  const ExtentSet set{{10, 20}, {30, 40}};
  EXPECT_EQ(set.gaps({0, 50}), (ExtentSet{{0, 10}, {20, 30}, {40, 50}}));
  EXPECT_EQ(set.gaps({12, 18}), ExtentSet{});
  EXPECT_EQ(set.gaps({15, 35}), (ExtentSet{{20, 30}}));
  EXPECT_EQ(set.gaps({40, HF_RANGE_END}), (ExtentSet{{40, HF_RANGE_END}}));
  EXPECT_TRUE(set.gaps({0, 0}).empty());
}

TEST(ExtentSet, RoundOutJoinsExtentsOfOnePage) {
  EXPECT_EQ((ExtentSet{{100, 200}, {300, 400}}).round_out(12), (ExtentSet{{0, 4096}}));
  EXPECT_EQ((ExtentSet{{4095, 4096}, {8192, 8193}}).round_out(12), (ExtentSet{{0, 4096}, {8192, 12288}}));
  EXPECT_EQ((ExtentSet{{4095, 4096}, {8192, 8193}}).round_out(21), (ExtentSet{{0, 2 << 20}}));
}

TEST(ExtentSet, ContainsNeedsEveryByteAndOverlapsOne) {
  const ExtentSet set{{0, 10}, {20, 30}};
  EXPECT_FALSE(set.contains(Extent{5, 25}));
  EXPECT_TRUE(set.overlaps(Extent{5, 25}));
  EXPECT_TRUE(set.contains(Extent{20, 30}));
  EXPECT_FALSE(set.contains(10));
  EXPECT_TRUE(set.contains(Extent{15, 15}));
  EXPECT_FALSE(set.overlaps(Extent{5, 5}));
}

// Against a bitmap that cannot be wrong: once at the start of the file, once at the very end of what 64 bits address.
class ExtentSetModel : public testing::TestWithParam<std::uint64_t> {
 protected:
  static constexpr std::size_t kBytes = 200;
  using Bitmap = std::array<bool, kBytes>;

  Extent any() {
    const std::uint64_t first = dice_() % (kBytes + 1);
    const std::uint64_t length = dice_() % (dice_() % 4 ? 20 : kBytes);
    return {GetParam() + first, GetParam() + std::min<std::uint64_t>(kBytes, first + length)};
  }
  bool covers(const Extent& extent, std::size_t i) const { return extent.first <= GetParam() + i && GetParam() + i < extent.end; }
  void set(Bitmap& bitmap, const Extent& extent, bool value) {
    for (std::size_t i = 0; i < kBytes; i++)
      if (covers(extent, i)) bitmap[i] = value;
  }
  void expect_same(const ExtentSet& set, const Bitmap& bitmap) {
    for (std::size_t i = 0; i < kBytes; i++) ASSERT_EQ(set.contains(GetParam() + i), bitmap[i]) << "byte " << i << " of " << set;
    for (auto at = set.begin(); at != set.end(); ++at) {
      ASSERT_FALSE(at->empty()) << set;
      if (at != set.begin()) {
        ASSERT_GT(at->first, (at - 1)->end) << set;
      }
    }
  }

  std::mt19937_64 dice_{20240229};
};

TEST_P(ExtentSetModel, AgreesAfterEveryStep) {
  ExtentSet set;
  Bitmap bitmap{};
  ExtentSet other;
  Bitmap other_bitmap{};
  for (int step = 0; step < 20000; step++) {
    const Extent extent = any();
    if (dice_() % 2) {
      set.add(extent);
      this->set(bitmap, extent, true);
    } else {
      set.remove(extent);
      this->set(bitmap, extent, false);
    }
    if (dice_() % 8 == 0) {
      std::swap(set, other);
      std::swap(bitmap, other_bitmap);
    }
    ASSERT_NO_FATAL_FAILURE(expect_same(set, bitmap)) << "step " << step;

    const Extent window = any();
    Bitmap both{}, cut{}, missing{}, joined{}, less{};
    bool all = true, some = false, sets_meet = false;
    std::uint64_t count = 0;
    for (std::size_t i = 0; i < kBytes; i++) {
      const bool in = covers(window, i);
      both[i] = bitmap[i] && other_bitmap[i];
      joined[i] = bitmap[i] || other_bitmap[i];
      less[i] = bitmap[i] && !other_bitmap[i];
      cut[i] = bitmap[i] && in;
      missing[i] = !bitmap[i] && in;
      all = all && (!in || bitmap[i]);
      some = some || cut[i];
      sets_meet = sets_meet || both[i];
      count += bitmap[i];
    }
    ASSERT_NO_FATAL_FAILURE(expect_same(set.intersection(window), cut));
    ASSERT_NO_FATAL_FAILURE(expect_same(set.intersection(other), both));
    ASSERT_NO_FATAL_FAILURE(expect_same(set.gaps(window), missing));
    ExtentSet sum = set;
    sum.add(other);
    ASSERT_NO_FATAL_FAILURE(expect_same(sum, joined));
    ExtentSet difference = set;
    difference.remove(other);
    ASSERT_NO_FATAL_FAILURE(expect_same(difference, less));
    ASSERT_EQ(set.contains(window), all);
    ASSERT_EQ(set.overlaps(window), some);
    ASSERT_EQ(set.overlaps(other), sets_meet);
    const bool unbounded = GetParam() + kBytes == HF_RANGE_END && bitmap[kBytes - 1];
    ASSERT_EQ(set.total_bytes(), unbounded ? HF_RANGE_END : count);
  }
}

TEST_P(ExtentSetModel, RoundOutTakesEveryPageThatHasAByte) {
  constexpr std::uint32_t kShift = 3;
  for (int round = 0; round < 3000; round++) {
    ExtentSet set;
    Bitmap bitmap{};
    for (int i = 0; i < 4; i++) {
      const Extent extent = any();
      set.add(extent);
      this->set(bitmap, extent, true);
    }
    Bitmap pages{};
    for (std::size_t i = 0; i < kBytes; i++) {
      for (std::size_t j = 0; j < kBytes; j++) pages[i] = pages[i] || (bitmap[j] && (GetParam() + i) >> kShift == (GetParam() + j) >> kShift);
    }
    const ExtentSet rounded = set.round_out(kShift);
    for (std::size_t i = 0; i < kBytes; i++) ASSERT_EQ(rounded.contains(GetParam() + i), pages[i]) << set << "to " << rounded;
    ASSERT_EQ(rounded.round_out(kShift), rounded);
  }
}

INSTANTIATE_TEST_SUITE_P(AtEitherEnd, ExtentSetModel, testing::Values(0, HF_RANGE_END - 200),
                         [](const auto& instance) { return instance.param ? "TheLastBytes" : "TheFirstBytes"; });

}  // namespace
}  // namespace hf
