// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// LeaseTable::sync() and the way from the kernel's records to leases.
#include <gtest/gtest.h>

#include <array>
#include <cstring>

#include "leases.hpp"

namespace hf {
namespace {

using testing::asks;
using testing::ids;
using testing::kFileA;
using testing::kFileB;
using testing::lease_of;

TEST(LeaseTableSync, GivesWhatWasAddedRemovedAndChanged) {
  LeaseTable table;
  ASSERT_TRUE(table.add(lease_of(1, 7, kFileA, {0, 4096})));
  ASSERT_TRUE(table.add(lease_of(2, 8, kFileA, {0, 4096})));
  ASSERT_TRUE(table.add(lease_of(3, 9, kFileA, {0, 4096})));
  const Diff diff = table.sync({lease_of(4, 9, kFileB, {0, 4096}), lease_of(3, 9, kFileA, {0, 8192}), lease_of(1, 7, kFileA, {0, 4096})});
  ASSERT_EQ(diff.added.size(), 1u);
  EXPECT_EQ(diff.added[0].id, 4u);
  ASSERT_EQ(diff.removed.size(), 1u);
  EXPECT_EQ(diff.removed[0].id, 2u);
  ASSERT_EQ(diff.changed.size(), 1u);
  EXPECT_EQ(diff.changed[0].before.leased_bytes(), 4096u);
  EXPECT_EQ(diff.changed[0].after.leased_bytes(), 8192u);
  EXPECT_EQ(diff.files_gained, std::vector{kFileB});
  EXPECT_TRUE(diff.files_lost.empty());
  EXPECT_TRUE(table.check());
}

TEST(LeaseTableSync, TheSameSnapshotTwiceChangesNothing) {
  LeaseTable table;
  const std::vector snapshot{lease_of(1, 7, kFileA, {0, 4096}), lease_of(2, 8, kFileB, {0, 4096})};
  EXPECT_EQ(table.sync(snapshot).added.size(), 2u);
  const Diff again = table.sync(snapshot);
  EXPECT_TRUE(again.empty());
  EXPECT_TRUE(again.files_gained.empty());
}

TEST(LeaseTableSync, AnEmptySnapshotEmptiesTheTable) {
  LeaseTable table;
  ASSERT_TRUE(table.add(lease_of(1, 7, kFileA, {0, 4096})));
  const Diff diff = table.sync({});
  EXPECT_EQ(diff.removed.size(), 1u);
  EXPECT_EQ(diff.files_lost, std::vector{kFileA});
  EXPECT_TRUE(table.empty());
  EXPECT_TRUE(table.check());
}

TEST(LeaseTableSync, AFileWhoseHolderIsReplacedIsNeitherLostNorGained) {
  LeaseTable table;
  ASSERT_TRUE(table.add(lease_of(1, 7, kFileA, {0, 4096})));
  const Diff diff = table.sync({lease_of(2, 8, kFileA, {0, 4096})});
  EXPECT_TRUE(diff.files_lost.empty());
  EXPECT_TRUE(diff.files_gained.empty());
}

TEST(LeaseTableSync, KeepsWhatOnlyUserSpaceKnows) {
  LeaseTable table;
  Lease known = lease_of(1, 7, kFileA, {0, 4096});
  known.holder.label = "kv cache";
  known.file(kFileA).path = "/mnt/segment";
  known.file(kFileA).page_shift = 21;
  ASSERT_TRUE(table.add(known));
  EXPECT_TRUE(table.sync({lease_of(1, 7, kFileA, {0, 4096})}).empty());
  EXPECT_EQ(*table.find(1), known);

  Lease renamed = lease_of(1, 7, kFileA, {0, 4096});
  renamed.file(kFileA).path = "/mnt/other";
  EXPECT_EQ(table.sync({renamed}).changed.size(), 1u) << "what the snapshot does know wins";
  EXPECT_EQ(table.find(1)->on(kFileA)->path, "/mnt/other");
  EXPECT_EQ(table.find(1)->holder.label, "kv cache");
}

TEST(LeaseTableSync, OfTwoWithOneIdTheLastCounts) {
  LeaseTable table;
  const Diff diff = table.sync({lease_of(1, 7, kFileA, {0, 4096}), lease_of(1, 7, kFileA, {0, 8192}), lease_of(0, 7, kFileB, {0, 4096})});
  ASSERT_EQ(diff.added.size(), 1u);
  EXPECT_EQ(diff.added[0].leased_bytes(), 8192u);
  EXPECT_EQ(table.size(), 1u);
  EXPECT_TRUE(table.check());
}

LeaseRecord record() {
  LeaseRecord kept{};
  kept.id = 42;
  kept.address = 0x7f0000000000;
  kept.length_bytes = 1 << 20;
  kept.since_ns = 5;
  kept.holder_start = 6;
  kept.tgid = 7;
  kept.uid = 8;
  kept.gid = 9;
  kept.access = 15;
  kept.reasons = HF_REASON_NO_ROOM;
  kept.kind = HF_LEASE_REGISTRATION;
  kept.state = HF_STATE_UNPROTECTED;
  kept.odp = 1;
  std::memset(kept.comm, 'x', sizeof kept.comm);
  kept.device_name = "mlx5_0";
  return kept;
}

hf_part part_of(const hf_file_key& key, __u64 first, __u64 end, __u8 slot) {
  hf_part part{};
  part.file = key;
  part.first = first;
  part.end = end;
  part.slot = slot;
  part.magic = 0x58465342;
  return part;
}

TEST(LeaseFromKernel, TakesEveryFieldOver) {
  const Lease lease = lease_from_kernel(record(), {});
  EXPECT_EQ(lease.id, 42u);
  EXPECT_EQ(lease.holder.kind, HF_LEASE_REGISTRATION);
  EXPECT_EQ(lease.holder.process(), (ProcessKey{7, 6}));
  EXPECT_EQ(lease.holder.uid, 8u);
  EXPECT_EQ(lease.holder.gid, 9u);
  EXPECT_EQ(lease.holder.comm, std::string(HF_COMM_LEN, 'x')) << "a name without a NUL ends where its array does";
  EXPECT_EQ(lease.state, HF_STATE_UNPROTECTED);
  EXPECT_EQ(lease.reasons, unsigned{HF_REASON_NO_ROOM});
  EXPECT_EQ(lease.since_ns, 5u);
  EXPECT_EQ(lease.address, 0x7f0000000000u);
  EXPECT_EQ(lease.length_bytes, 1u << 20);
  EXPECT_EQ(lease.access, 15u);
  EXPECT_TRUE(lease.odp);
  EXPECT_EQ(lease.device, "mlx5_0");
}

TEST(LeaseFromKernel, APartIsLeasedExactlyWhereItHasASlot) {
  hf_part late = part_of(kFileA, 0, 4096, 3);
  late.reasons = HF_REASON_LATE;
  late.flags = HF_PART_DAX | HF_PART_MERGED;
  hf_part none = part_of(kFileA, 4096, 8192, HF_NO_SLOT);
  none.reasons = HF_REASON_NO_ROOM;
  const std::array parts{part_of(kFileB, 0, 4096, 0), none, late};
  const Lease lease = lease_from_kernel(record(), parts);
  ASSERT_EQ(lease.files.size(), 2u);
  const LeasedFile* file = lease.on(kFileA);
  ASSERT_NE(file, nullptr);
  EXPECT_EQ(file->extents, (ExtentSet{{0, 4096}}));
  EXPECT_EQ(file->unprotected, (ExtentSet{{4096, 8192}}));
  EXPECT_EQ(file->reasons, unsigned{HF_REASON_LATE | HF_REASON_NO_ROOM});
  EXPECT_TRUE(file->dax);
  EXPECT_TRUE(file->merged);
  EXPECT_EQ(file->magic, 0x58465342u);
  EXPECT_FALSE(lease.on(kFileB)->dax);
}

}  // namespace
}  // namespace hf
