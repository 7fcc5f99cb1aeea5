// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// abi/decide.h: what the gate refuses, at the boundaries.
#include "decide.h"

#include <ostream>
#include <gtest/gtest.h>
#include <linux/falloc.h>

#include <array>

namespace {

constexpr __u32 kHolder = 100;
constexpr __u32 kOther = 200;
constexpr __u32 kStranger = 300;

hf_slot leased(__u64 first, __u64 end, __u32 holder = kHolder) { return {.state = 1, .first = first, .end = end, .holder = holder, .flags = 0}; }

hf_question asks(__u32 op, __u64 first, __u64 end, __u32 task = kStranger) { return {.op = op, .task = task, .first = first, .end = end}; }

int answer_to(const hf_question& question, const hf_slot& slot) {
  hf_answer answer{};
  hf_decide_slot(&question, &slot, &answer);
  return static_cast<int>(answer.error);
}

hf_question truncates(__u64 new_size, __u64 size) {
  hf_question question = asks(HF_OP_TRUNCATE, 0, 0);
  hf_range_truncate(new_size, size, &question);
  return question;
}

hf_question fallocates(__u32 mode, __u64 offset, __u64 length) {
  hf_question question{};
  question.task = kStranger;
  hf_question_fallocate(mode, offset, length, &question);
  return question;
}

hf_question waits(__u32 op, __u32 task = kStranger) {
  hf_question question = asks(op, 0, 0, task);
  hf_range_whole(&question);
  return question;
}

TEST(Decide, WhatMovesNoByteIsRefusedWhereAllOfTheFileIsHeld) {
  hf_slot whole = leased(0, HF_RANGE_END);
  EXPECT_EQ(answer_to(waits(HF_OP_TRUNCATE), whole), 0) << "a window's hold, or a lease to the end, is not of the whole file";
  whole.flags = HF_SLOT_WHOLE;
  EXPECT_EQ(answer_to(waits(HF_OP_TRUNCATE), whole), HF_ETXTBSY);
  EXPECT_EQ(answer_to(waits(HF_OP_TRUNCATE, kHolder), whole), HF_EDEADLK);
  EXPECT_EQ(answer_to(asks(HF_OP_PUNCH, 1 << 20, 2 << 20), whole), HF_ETXTBSY) << "anywhere in it";
  EXPECT_EQ(answer_to(waits(HF_OP_LAYOUT_CALL), leased(0, 1 << 20)), 0);
}

TEST(Decide, AHolderMayNeverBreakAFileThatIsHeldWhole) {
  hf_slot whole = leased(0, HF_RANGE_END);
  auto question = asks(HF_OP_TRUNCATE, 0, HF_RANGE_END, kHolder);
  question.flags = HF_MOUNT_OWN_ALLOWED;
  EXPECT_EQ(answer_to(question, whole), 0);
  whole.flags = HF_SLOT_WHOLE;
  EXPECT_EQ(answer_to(question, whole), HF_EDEADLK);
}

TEST(Decide, TheTripwireGoesByTheBytesOfAFileThatIsHeldWhole) {
  hf_slot whole = leased(0, HF_RANGE_END);
  whole.flags = HF_SLOT_WHOLE;
  auto question = asks(HF_OP_NONE, 1 << 20, 2 << 20);
  question.flags = HF_QUESTION_LEASES_ONLY;
  EXPECT_EQ(answer_to(question, whole), 0);
  EXPECT_EQ(answer_to(question, leased(1 << 20, 2 << 20)), HF_ETXTBSY);
}

TEST(Decide, SealsAreForWhatMovesBytes) {
  auto question = waits(HF_OP_TRUNCATE);
  hf_answer answer{};
  hf_decide_seals(&question, ~0u, &answer);
  EXPECT_EQ(answer.error, 0u);
}

TEST(Decide, RangesThatShareAByteOverlap) {
  EXPECT_TRUE(hf_overlap(0, 10, 9, 20));
  EXPECT_TRUE(hf_overlap(9, 20, 0, 10));
  EXPECT_TRUE(hf_overlap(0, 100, 40, 50));
  EXPECT_TRUE(hf_overlap(40, 50, 0, 100));
  EXPECT_TRUE(hf_overlap(0, HF_RANGE_END, HF_RANGE_END - 1, HF_RANGE_END));
}

TEST(Decide, RangesThatOnlyTouchDoNotOverlap) {
  EXPECT_FALSE(hf_overlap(0, 10, 10, 20));
  EXPECT_FALSE(hf_overlap(10, 20, 0, 10));
}

TEST(Decide, EmptyRangesOverlapNothing) {
  EXPECT_FALSE(hf_overlap(5, 5, 0, 10));
  EXPECT_FALSE(hf_overlap(0, 10, 5, 5));
  EXPECT_FALSE(hf_overlap(0, 10, 8, 3));
}

TEST(Decide, TruncateToTheEndOfTheLeaseIsAllowed) { EXPECT_EQ(answer_to(truncates(8192, 65536), leased(4096, 8192)), HF_ALLOW); }

TEST(Decide, TruncateOneByteBelowTheEndOfTheLeaseIsRefused) { EXPECT_EQ(answer_to(truncates(8191, 65536), leased(4096, 8192)), HF_ETXTBSY); }

TEST(Decide, TruncateWithinTheLeasesLastPageIsRefused) {
  // The lease of [4096, 6000) holds the page to 8192: cutting it at 7000 zeroes bytes of a page that the adapter has.
  hf_slot slot = leased(4096, 6000);
  hf_round_out(&slot.first, &slot.end, 12);
  EXPECT_EQ(answer_to(truncates(7000, 65536), slot), HF_ETXTBSY);
  EXPECT_EQ(answer_to(truncates(8192, 65536), slot), HF_ALLOW);
}

TEST(Decide, TruncateBelowTheLeaseIsRefused) { EXPECT_EQ(answer_to(truncates(0, 65536), leased(4096, 8192)), HF_ETXTBSY); }

TEST(Decide, GrowingIsAllowed) {
  EXPECT_EQ(answer_to(truncates(65536, 8192), leased(4096, 8192)), HF_ALLOW);
  EXPECT_EQ(answer_to(truncates(8192, 8192), leased(0, HF_RANGE_END)), HF_ALLOW) << "the size that it has";
  EXPECT_EQ(answer_to(truncates(65536, 0), leased(0, HF_RANGE_END)), HF_ALLOW);
}

TEST(Decide, ShrinkingUnderALeaseToTheEndOfTheFileIsRefused) { EXPECT_EQ(answer_to(truncates(65535, 65536), leased(0, HF_RANGE_END)), HF_ETXTBSY); }

TEST(Decide, PunchBesideTheLeaseIsAllowed) {
  EXPECT_EQ(answer_to(fallocates(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096), leased(4096, 8192)), HF_ALLOW);
  EXPECT_EQ(answer_to(fallocates(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 8192, 4096), leased(4096, 8192)), HF_ALLOW);
}

TEST(Decide, PunchOfOneLeasedByteIsRefused) {
  EXPECT_EQ(answer_to(fallocates(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4097), leased(4096, 8192)), HF_ETXTBSY);
  EXPECT_EQ(answer_to(fallocates(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 8191, 1), leased(4096, 8192)), HF_ETXTBSY);
}

TEST(Decide, TheHolderItselfGetsEdeadlk) {
  const hf_slot slot = leased(4096, 8192);
  EXPECT_EQ(answer_to(asks(HF_OP_PUNCH, 4096, 8192, kHolder), slot), HF_EDEADLK);
  EXPECT_EQ(answer_to(asks(HF_OP_PUNCH, 0, 4096, kHolder), slot), HF_ALLOW);
}

TEST(Decide, EdeadlkWinsOverEtxtbsyInEitherOrder) {
  const hf_question question = asks(HF_OP_PUNCH, 0, 8192, kHolder);
  std::array slots{leased(0, 4096, kOther), leased(4096, 8192, kHolder)};
  for (int order = 0; order < 2; order++) {
    hf_answer answer{};
    hf_decide_slots(&question, slots.data(), 2, &answer);
    EXPECT_EQ(answer.error, HF_EDEADLK);
    EXPECT_EQ(answer.holder, kHolder);
    EXPECT_EQ(answer.lease_first, 4096u);
    EXPECT_EQ(answer.lease_end, 8192u);
    std::swap(slots[0], slots[1]);
  }
}

TEST(Decide, TheAnswerNamesTheExtentThatRefused) {
  const hf_question question = asks(HF_OP_PUNCH, 9000, 9001);
  const std::array slots{leased(0, 4096), leased(8192, 12288, kOther)};
  hf_answer answer{};
  hf_decide_slots(&question, slots.data(), 2, &answer);
  EXPECT_EQ(answer.error, HF_ETXTBSY);
  EXPECT_EQ(answer.holder, kOther);
  EXPECT_EQ(answer.lease_first, 8192u);
  EXPECT_EQ(answer.lease_end, 12288u);
}

TEST(Decide, SlotsPastTheCountAreNotLookedAt) {
  const hf_question question = asks(HF_OP_PUNCH, 0, HF_RANGE_END);
  std::array<hf_slot, HF_CHUNK_SLOTS> slots{};
  slots[1] = leased(0, 4096);
  hf_answer answer{};
  hf_decide_slots(&question, slots.data(), 1, &answer);
  EXPECT_EQ(answer.error, HF_ALLOW);
  hf_decide_slots(&question, slots.data(), HF_CHUNK_SLOTS, &answer);
  EXPECT_EQ(answer.error, HF_ETXTBSY);
}

TEST(Decide, TheLastSlotOfAChunkProtects) {
  const hf_question question = asks(HF_OP_PUNCH, 0, 1);
  std::array<hf_slot, HF_CHUNK_SLOTS> slots{};
  slots.back() = leased(0, 4096);
  hf_answer answer{};
  hf_decide_slots(&question, slots.data(), HF_CHUNK_SLOTS, &answer);
  EXPECT_EQ(answer.error, HF_ETXTBSY);
}

TEST(Decide, FreeAndFillingSlotsProtectNothing) {
  const hf_question question = asks(HF_OP_PUNCH, 0, HF_RANGE_END);
  hf_slot slot = leased(0, HF_RANGE_END);
  slot.state = 0;
  EXPECT_EQ(answer_to(question, slot), HF_ALLOW);
  slot.state = HF_SLOT_FILLING;
  EXPECT_EQ(answer_to(question, slot), HF_ALLOW);
  slot.state = HF_SLOT_FILLING | 1;
  EXPECT_EQ(answer_to(question, slot), HF_ALLOW);
}

TEST(Decide, AMergedSlotProtectsAndHasNoHolderOfItsOwn) {
  hf_slot slot = leased(0, 4096, 0);
  slot.state = 7;
  EXPECT_EQ(answer_to(asks(HF_OP_PUNCH, 0, 1, kHolder), slot), HF_ETXTBSY);
  EXPECT_EQ(answer_to(asks(HF_OP_PUNCH, 0, 1, 0), slot), HF_ETXTBSY) << "holder 0 is nobody, not task 0";
}

TEST(Decide, ASealRefusesItsOperationOnBytesWithoutALease) {
  hf_question question = asks(HF_OP_REFLINK, 0, 4096);
  hf_answer answer{};
  hf_decide_seals(&question, 1u << HF_OP_REFLINK, &answer);
  EXPECT_EQ(answer.error, HF_ETXTBSY);
  EXPECT_EQ(answer.holder, 0u);
  EXPECT_EQ(answer.lease_end, 0u) << "no lease refused it";
}

TEST(Decide, ASealLeavesOtherOperationsAlone) {
  for (__u32 op = 1; op < HF_OP_COUNT; op++) {
    hf_question question = asks(op, 0, 4096);
    hf_answer answer{};
    hf_decide_seals(&question, ~(1u << op), &answer);
    EXPECT_EQ(answer.error, HF_ALLOW) << op;
    hf_decide_seals(&question, 1u << op, &answer);
    EXPECT_EQ(answer.error, HF_ETXTBSY) << op;
  }
}

TEST(Decide, ASealKeepsTheAnswerOfALease) {
  hf_question question = asks(HF_OP_PUNCH, 0, 4096, kHolder);
  const hf_slot slot = leased(0, 4096);
  hf_answer answer{};
  hf_decide_slot(&question, &slot, &answer);
  hf_decide_seals(&question, ~0u, &answer);
  EXPECT_EQ(answer.error, HF_EDEADLK);
  EXPECT_EQ(answer.holder, kHolder);
}

TEST(Decide, ASealLeavesAGrowingTruncateAlone) {
  hf_question question = asks(HF_OP_TRUNCATE, 0, 0);
  hf_range_truncate(8192, 4096, &question);
  hf_answer answer{};
  hf_decide_seals(&question, 1u << HF_OP_TRUNCATE, &answer);
  EXPECT_EQ(answer.error, HF_ALLOW);
}

TEST(Decide, AnOperationWithoutASealBitIsNotShiftedOutOfRange) {
  hf_question question = asks(33, 0, 4096);
  hf_answer answer{};
  hf_decide_seals(&question, ~0u, &answer);
  EXPECT_EQ(answer.error, HF_ALLOW);
}

struct FallocateMode {
  const char* name;
  __u32 mode;
  __u32 op;
  bool to_the_end;
};

void PrintTo(const FallocateMode& mode, std::ostream* out) { *out << mode.name; }

class Fallocate : public testing::TestWithParam<FallocateMode> {};

TEST_P(Fallocate, IsReadAsItsOperationAndRange) {
  for (__u32 extra : {0u, static_cast<__u32>(FALLOC_FL_KEEP_SIZE)}) {
    const hf_question question = fallocates(GetParam().mode | extra, 4096, 8192);
    EXPECT_EQ(question.op, GetParam().op);
    const bool shifts = question.op == HF_OP_COLLAPSE || question.op == HF_OP_INSERT;
    EXPECT_EQ(question.first, shifts ? 0u : 4096u) << "a shift takes the block before it from the page cache";
    if (question.op == HF_OP_NONE)
      EXPECT_EQ(question.end, 4096u) << "a plain allocation touches nothing";
    else
      EXPECT_EQ(question.end, GetParam().to_the_end ? HF_RANGE_END : 12288u);
  }
}

INSTANTIATE_TEST_SUITE_P(
    EveryMode, Fallocate,
    testing::Values(FallocateMode{"Allocate", 0, HF_OP_NONE, false}, FallocateMode{"NoHideStale", FALLOC_FL_NO_HIDE_STALE, HF_OP_NONE, false},
                    FallocateMode{"PunchHole", FALLOC_FL_PUNCH_HOLE, HF_OP_PUNCH, false},
                    FallocateMode{"CollapseRange", FALLOC_FL_COLLAPSE_RANGE, HF_OP_COLLAPSE, true},
                    FallocateMode{"ZeroRange", FALLOC_FL_ZERO_RANGE, HF_OP_ZERO, false},
                    FallocateMode{"InsertRange", FALLOC_FL_INSERT_RANGE, HF_OP_INSERT, true},
                    FallocateMode{"UnshareRange", FALLOC_FL_UNSHARE_RANGE, HF_OP_UNSHARE, false}, FallocateMode{"WriteZeroes", 0x80, HF_OP_WRITE_ZEROES, false},
                    FallocateMode{"TheNextFlag", 0x100, HF_OP_FALLOCATE_NEW, true}, FallocateMode{"TheLastFlag", 0x80000000, HF_OP_FALLOCATE_NEW, true},
                    FallocateMode{"TwoKnownOnes", FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE, HF_OP_FALLOCATE_NEW, true}),
    [](const auto& instance) { return instance.param.name; });

TEST(FallocateRange, FlagsAreTheKernels) {
  EXPECT_EQ(HF_FALLOC_KEEP_SIZE, FALLOC_FL_KEEP_SIZE);
  EXPECT_EQ(HF_FALLOC_PUNCH_HOLE, FALLOC_FL_PUNCH_HOLE);
  EXPECT_EQ(HF_FALLOC_NO_HIDE_STALE, FALLOC_FL_NO_HIDE_STALE);
  EXPECT_EQ(HF_FALLOC_COLLAPSE_RANGE, FALLOC_FL_COLLAPSE_RANGE);
  EXPECT_EQ(HF_FALLOC_ZERO_RANGE, FALLOC_FL_ZERO_RANGE);
  EXPECT_EQ(HF_FALLOC_INSERT_RANGE, FALLOC_FL_INSERT_RANGE);
  EXPECT_EQ(HF_FALLOC_UNSHARE_RANGE, FALLOC_FL_UNSHARE_RANGE);
}

TEST(FallocateRange, AnUnknownModeIsRefusedOnLeasedBytes) {
  EXPECT_EQ(answer_to(fallocates(0x200, 0, 1), leased(1 << 30, (1 << 30) + 4096)), HF_ETXTBSY) << "nobody knows how far it reaches";
  EXPECT_EQ(answer_to(fallocates(0x200, 8192, 1), leased(4096, 8192)), HF_ALLOW);
}

TEST(FallocateRange, ASumThatOverflowsReachesToTheEnd) {
  const hf_question question = fallocates(FALLOC_FL_PUNCH_HOLE, 8192, ~0ull - 4096);
  EXPECT_EQ(question.end, HF_RANGE_END);
  EXPECT_EQ(answer_to(question, leased(1ull << 62, (1ull << 62) + 4096)), HF_ETXTBSY);
  EXPECT_EQ(fallocates(FALLOC_FL_PUNCH_HOLE, 1, ~0ull).end, HF_RANGE_END);
}

TEST(FallocateRange, CollapseBelowTheLeaseIsRefusedAndAboveItIsAllowed) {
  EXPECT_EQ(answer_to(fallocates(FALLOC_FL_COLLAPSE_RANGE, 0, 4096), leased(65536, 69632)), HF_ETXTBSY) << "the lease would move down";
  EXPECT_EQ(answer_to(fallocates(FALLOC_FL_INSERT_RANGE, 0, 4096), leased(65536, 69632)), HF_ETXTBSY) << "the lease would move up";
  EXPECT_EQ(answer_to(fallocates(FALLOC_FL_COLLAPSE_RANGE, 69632, 4096), leased(65536, 69632)), HF_ETXTBSY) << "XFS flushes the block before it";
  EXPECT_EQ(answer_to(fallocates(FALLOC_FL_INSERT_RANGE, 69632, 4096), leased(65536, 69632)), HF_ETXTBSY) << "XFS flushes the block before it";
  EXPECT_EQ(answer_to(fallocates(FALLOC_FL_COLLAPSE_RANGE, 73728, 4096), leased(65536, 69632)), HF_ALLOW);
}

TEST(FallocateRange, PlainAllocationOverTheLeaseIsAllowed) {
  EXPECT_EQ(answer_to(fallocates(0, 0, HF_RANGE_END), leased(0, HF_RANGE_END)), HF_ALLOW);
  EXPECT_EQ(answer_to(fallocates(FALLOC_FL_KEEP_SIZE, 4096, 4096), leased(4096, 8192)), HF_ALLOW);
}

struct Rounded {
  __u64 first, end;
};
Rounded round_out(__u64 first, __u64 end, __u32 shift) {
  hf_round_out(&first, &end, shift);
  return {first, end};
}

TEST(RoundOut, WholePagesStayAsTheyAre) {
  EXPECT_EQ(round_out(4096, 8192, 12).first, 4096u);
  EXPECT_EQ(round_out(4096, 8192, 12).end, 8192u);
}

TEST(RoundOut, OneByteTakesItsPage) {
  EXPECT_EQ(round_out(4097, 4098, 12).first, 4096u);
  EXPECT_EQ(round_out(4097, 4098, 12).end, 8192u);
}

TEST(RoundOut, TwoMebibytePagesAreHeldWhole) {
  constexpr __u64 kPage = 2ull << 20;
  EXPECT_EQ(round_out(kPage + 4096, kPage + 8192, 21).first, kPage);
  EXPECT_EQ(round_out(kPage + 4096, kPage + 8192, 21).end, 2 * kPage);
  EXPECT_EQ(round_out(kPage - 1, kPage + 1, 21).first, 0u);
  EXPECT_EQ(round_out(kPage - 1, kPage + 1, 21).end, 2 * kPage);
  EXPECT_EQ(round_out(kPage, 2 * kPage, 21).end, 2 * kPage);
}

TEST(RoundOut, AnEndInTheLastPageBecomesUnbounded) {
  EXPECT_EQ(round_out(0, HF_RANGE_END, 12).end, HF_RANGE_END);
  EXPECT_EQ(round_out(0, HF_RANGE_END - 1, 12).end, HF_RANGE_END);
  EXPECT_EQ(round_out(0, HF_RANGE_END - 4095, 12).end, HF_RANGE_END - 4095) << "a page's boundary is exact";
  EXPECT_EQ(round_out(0, HF_RANGE_END - 4094, 12).end, HF_RANGE_END);
}

}  // namespace
