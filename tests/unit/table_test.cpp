// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "lease/table.hpp"

#include <gtest/gtest.h>

#include "leases.hpp"

namespace hf {
namespace {

using testing::asks;
using testing::ids;
using testing::kFileA;
using testing::kFileAReused;
using testing::kFileB;
using testing::lease_of;
using Ids = std::vector<LeaseId>;

#define EXPECT_CONSISTENT(table)                    \
  do {                                              \
    auto checked = (table).check();                 \
    EXPECT_TRUE(checked) << checked.error().text(); \
  } while (0)

TEST(LeaseTable, AddedLeaseIsFoundByIdFileProcessAndUser) {
  LeaseTable table;
  auto diff = table.add(lease_of(1, 7, kFileA, {0, 4096}));
  ASSERT_TRUE(diff);
  ASSERT_EQ(diff->added.size(), 1u);
  EXPECT_EQ(diff->added[0].id, 1u);
  EXPECT_EQ(diff->files_gained, std::vector{kFileA});
  ASSERT_NE(table.find(1), nullptr);
  EXPECT_EQ(ids(table.on_file(kFileA)), Ids{1});
  EXPECT_TRUE(table.holds({7, 1007}, HF_LEASE_PROCESS));
  EXPECT_FALSE(table.holds({7, 1007}, HF_LEASE_REGISTRATION));
  EXPECT_FALSE(table.holds({7, 1}, HF_LEASE_PROCESS));
  EXPECT_EQ(ids(table.of_process({7, 1007})), Ids{1});
  EXPECT_EQ(table.count_of_user(507), 1u);
  EXPECT_EQ(table.files(), std::vector{kFileA});
  EXPECT_CONSISTENT(table);
}

TEST(LeaseTable, AnIdIsTakenOnce) {
  LeaseTable table;
  ASSERT_TRUE(table.add(lease_of(1, 7, kFileA, {0, 4096})));
  auto again = table.add(lease_of(1, 8, kFileB, {0, 4096}));
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, EEXIST);
  EXPECT_EQ(table.find(1)->holder.tgid, 7u);
  EXPECT_TRUE(table.on_file(kFileB).empty());
  EXPECT_CONSISTENT(table);
}

TEST(LeaseTable, ALeaseWithoutAnIdIsRefused) {
  LeaseTable table;
  auto added = table.add(lease_of(0, 7, kFileA, {0, 4096}));
  ASSERT_FALSE(added);
  EXPECT_EQ(added.error().code, EINVAL);
}

TEST(LeaseTable, WhatIsNotThereCannotBeUpdatedOrRemoved) {
  LeaseTable table;
  EXPECT_EQ(table.update(lease_of(4, 7, kFileA, {0, 4096})).error().code, ENOENT);
  EXPECT_EQ(table.remove(4).error().code, ENOENT);
}

TEST(LeaseTable, RemovedLeaseIsGoneFromEveryIndex) {
  LeaseTable table;
  ASSERT_TRUE(table.add(lease_of(1, 7, kFileA, {0, 4096})));
  auto diff = table.remove(1);
  ASSERT_TRUE(diff);
  EXPECT_EQ(diff->removed.at(0), lease_of(1, 7, kFileA, {0, 4096}));
  EXPECT_EQ(diff->files_lost, std::vector{kFileA});
  EXPECT_EQ(table.find(1), nullptr);
  EXPECT_TRUE(table.on_file(kFileA).empty());
  EXPECT_TRUE(table.of_process({7, 1007}).empty());
  EXPECT_EQ(table.count_of_user(507), 0u);
  EXPECT_TRUE(table.files().empty());
  EXPECT_EQ(table.decide(kFileA, asks(HF_OP_PUNCH, 0, 4096)).error, 0u);
  EXPECT_CONSISTENT(table);
}

TEST(LeaseTable, ARangeStaysHeldUntilItsLastHolderLetsGo) {
  LeaseTable table;
  ASSERT_TRUE(table.add(lease_of(1, 7, kFileA, {0, 4096})));
  ASSERT_TRUE(table.add(lease_of(2, 8, kFileA, {0, 4096})));
  auto first = table.remove(1);
  ASSERT_TRUE(first);
  EXPECT_TRUE(first->files_lost.empty());
  EXPECT_EQ(table.decide(kFileA, asks(HF_OP_PUNCH, 0, 1)).error, unsigned{ETXTBSY});
  ASSERT_TRUE(table.remove(2));
  EXPECT_EQ(table.decide(kFileA, asks(HF_OP_PUNCH, 0, 1)).error, 0u);
}

TEST(LeaseTable, UpdateMovesTheLeaseInTheIndexes) {
  LeaseTable table;
  ASSERT_TRUE(table.add(lease_of(1, 7, kFileA, {0, 4096})));
  auto diff = table.update(lease_of(1, 8, kFileB, {0, 4096}));
  ASSERT_TRUE(diff);
  ASSERT_EQ(diff->changed.size(), 1u);
  EXPECT_EQ(diff->changed[0].before.holder.tgid, 7u);
  EXPECT_EQ(diff->changed[0].after.holder.tgid, 8u);
  EXPECT_EQ(diff->files_gained, std::vector{kFileB});
  EXPECT_EQ(diff->files_lost, std::vector{kFileA});
  EXPECT_TRUE(table.of_process({7, 1007}).empty());
  EXPECT_CONSISTENT(table);
}

TEST(LeaseTable, AnUpdateThatChangesNothingSaysSo) {
  LeaseTable table;
  ASSERT_TRUE(table.add(lease_of(1, 7, kFileA, {0, 4096})));
  auto diff = table.update(lease_of(1, 7, kFileA, {0, 4096}));
  ASSERT_TRUE(diff);
  EXPECT_TRUE(diff->empty());
}

TEST(LeaseTable, AReusedInodeNumberIsAnotherFile) {
  LeaseTable table;
  ASSERT_TRUE(table.add(lease_of(1, 7, kFileA, {0, 4096})));
  EXPECT_EQ(table.decide(kFileAReused, asks(HF_OP_PUNCH, 0, 4096)).error, 0u);
  EXPECT_TRUE(table.on_file(kFileAReused).empty());
}

TEST(LeaseTable, AReusedPidIsAnotherProcess) {
  LeaseTable table;
  ASSERT_TRUE(table.add(lease_of(1, 7, kFileA, {0, 4096})));
  EXPECT_TRUE(table.of_process({7, 99999}).empty());
}

TEST(LeaseTable, ARegistrationOverTwoFilesHoldsBoth) {
  LeaseTable table;
  Lease lease = lease_of(1, 7, kFileB, {0, 4096});
  lease.file(kFileA).extents.add({8192, 12288});
  ASSERT_TRUE(table.add(lease));
  EXPECT_EQ(table.decide(kFileA, asks(HF_OP_PUNCH, 8192, 8193)).error, unsigned{ETXTBSY});
  EXPECT_EQ(table.decide(kFileA, asks(HF_OP_PUNCH, 0, 4096)).error, 0u);
  EXPECT_EQ(table.decide(kFileB, asks(HF_OP_PUNCH, 0, 4096)).error, unsigned{ETXTBSY});
  EXPECT_EQ(lease.leased_bytes(), 8192u);
  EXPECT_CONSISTENT(table);
}

TEST(LeaseTable, TheOrderOfFilesInALeaseMakesNoDifference) {
  LeaseTable table;
  Lease lease = lease_of(1, 7, kFileA, {0, 4096});
  lease.file(kFileB).extents.add({0, 4096});
  ASSERT_TRUE(table.add(lease));
  std::swap(lease.files[0], lease.files[1]);
  lease.files.push_back(lease.files[0]);
  EXPECT_TRUE(table.update(lease)->empty());
}

TEST(LeaseTable, BytesThatAreRegisteredWithoutALeaseAreNotHeld) {
  LeaseTable table;
  Lease lease = lease_of(1, 7, kFileA, {0, 4096});
  lease.file(kFileA).unprotected.add({4096, 65536});
  ASSERT_TRUE(table.add(lease));
  EXPECT_EQ(table.decide(kFileA, asks(HF_OP_PUNCH, 4096, 65536)).error, 0u);
  EXPECT_TRUE(table.touched(kFileA, asks(HF_OP_PUNCH, 4096, 65536)).empty());
}

TEST(LeaseTable, HugePagesAreHeldWhole) {
  LeaseTable table;
  Lease lease = lease_of(1, 7, kFileA, {4096, 8192});
  ASSERT_TRUE(table.add(lease));
  EXPECT_EQ(table.decide(kFileA, asks(HF_OP_PUNCH, 65536, 65537)).error, 0u);
  lease.file(kFileA).page_shift = 21;
  ASSERT_TRUE(table.update(lease));
  const hf_answer answer = table.decide(kFileA, asks(HF_OP_PUNCH, 65536, 65537));
  EXPECT_EQ(answer.error, unsigned{ETXTBSY});
  EXPECT_EQ(answer.lease_first, 0u);
  EXPECT_EQ(answer.lease_end, 2u << 20);
  EXPECT_EQ(table.decide(kFileA, asks(HF_OP_PUNCH, 2 << 20, HF_RANGE_END)).error, 0u);
}

TEST(LeaseTable, AFileThatIsHeldWholeIsHeldBesideTheBytes) {
  LeaseTable table;
  Lease lease = lease_of(1, 7, kFileA, {4096, 8192});
  lease.file(kFileA).whole = true;
  ASSERT_TRUE(table.add(lease));
  EXPECT_EQ(table.decide(kFileA, asks(HF_OP_PUNCH, 1 << 20, 2 << 20)).error, unsigned{ETXTBSY});
  hf_question grows = asks(HF_OP_TRUNCATE, 0, 0);
  hf_range_whole(&grows);
  EXPECT_EQ(table.decide(kFileA, grows).error, unsigned{ETXTBSY});
  EXPECT_EQ(ids(table.touched(kFileA, grows)), Ids{1});
}

TEST(LeaseTable, TouchedNamesEveryLeaseTheBreakersOwnFirst) {
  LeaseTable table;
  ASSERT_TRUE(table.add(lease_of(1, 7, kFileA, {0, 4096})));
  ASSERT_TRUE(table.add(lease_of(2, 8, kFileA, {0, 8192})));
  ASSERT_TRUE(table.add(lease_of(3, 9, kFileA, {65536, 69632})));
  ASSERT_TRUE(table.add(lease_of(4, 7, kFileB, {0, 4096})));
  EXPECT_EQ(ids(table.touched(kFileA, asks(HF_OP_PUNCH, 0, 1))), (Ids{1, 2}));
  EXPECT_EQ(ids(table.touched(kFileA, asks(HF_OP_PUNCH, 0, 1, 8))), (Ids{2, 1}));
  EXPECT_EQ(ids(table.touched(kFileA, asks(HF_OP_PUNCH, 4096, HF_RANGE_END))), (Ids{2, 3}));
}

TEST(LeaseTable, TheBreakersOwnLeaseDecides) {
  LeaseTable table;
  ASSERT_TRUE(table.add(lease_of(1, 7, kFileA, {0, 4096})));
  ASSERT_TRUE(table.add(lease_of(2, 8, kFileA, {0, 4096})));
  EXPECT_EQ(table.decide(kFileA, asks(HF_OP_PUNCH, 0, 1, 8)).error, unsigned{EDEADLK});
  EXPECT_EQ(table.decide(kFileA, asks(HF_OP_PUNCH, 0, 1, 9)).error, unsigned{ETXTBSY});
}

TEST(LeaseTable, AStaticHoldIsNobodysOwn) {
  LeaseTable table;
  Lease hold = lease_of(1, 0, kFileA, {0, HF_RANGE_END});
  hold.holder.kind = HF_LEASE_STATIC;
  ASSERT_TRUE(table.add(hold));
  EXPECT_EQ(table.decide(kFileA, asks(HF_OP_TRUNCATE, 1 << 20, HF_RANGE_END, 0)).error, unsigned{ETXTBSY});
}

TEST(LeaseTable, SealsRefuseWhereNothingIsLeased) {
  LeaseTable table;
  EXPECT_EQ(table.decide(kFileA, asks(HF_OP_REFLINK_FROM, 0, 4096), 1u << HF_OP_REFLINK_FROM).error, unsigned{ETXTBSY});
  EXPECT_EQ(table.decide(kFileA, asks(HF_OP_PUNCH, 0, 4096), 1u << HF_OP_REFLINK_FROM).error, 0u);
}

TEST(LeaseTable, LeasedBytesSaturate) {
  Lease lease = lease_of(1, 7, kFileA, {0, HF_RANGE_END - 1});
  lease.file(kFileB).extents.add({0, HF_RANGE_END - 1});
  EXPECT_EQ(lease.leased_bytes(), HF_RANGE_END);
}

}  // namespace
}  // namespace hf
