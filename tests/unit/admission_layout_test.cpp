// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// Which layouts are admitted, and the command that mends the others.
#include <gtest/gtest.h>

#include "facts.hpp"

namespace hf {
namespace {

using testing::ask;
using testing::file_on;
using testing::file_with;
using testing::kSize;
using testing::settled_file;

bool says(const Error& error, std::string_view words) { return error.text().find(words) != std::string::npos; }

TEST(AdmissionLayout, AHoleIsRefusedWithTheCommandThatFillsIt) {
  FileFacts file = settled_file();
  file.layout = {{{0, 4096}, 0}, {{8192, kSize}, 0}};
  auto refused = ask(file);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, EUCLEAN);
  EXPECT_TRUE(says(refused.error(), "[4096, 8192) are a hole")) << refused.error().text();
  EXPECT_TRUE(says(refused.error(), "dd if=/mnt/data of=/mnt/data bs=1M skip=4096 seek=4096 count=4096 ")) << refused.error().text();
  EXPECT_TRUE(says(refused.error(), "holdfast hold --settle /mnt/data")) << refused.error().text();
}

TEST(AdmissionLayout, AFileWithoutAnyExtentIsOneHole) {
  FileFacts file = settled_file();
  file.layout.clear();
  EXPECT_TRUE(says(ask(file).error(), "[0, 1048576) are a hole"));
}

TEST(AdmissionLayout, SeveralHolesAreCounted) {
  FileFacts file = settled_file();
  file.layout = {{{4096, 8192}, 0}, {{16384, kSize}, 0}};
  auto refused = ask(file);
  EXPECT_TRUE(says(refused.error(), "[0, 4096) are a hole"));
  EXPECT_TRUE(says(refused.error(), "and 1 more")) << refused.error().text();
  EXPECT_TRUE(says(refused.error(), "skip=0 seek=0 count=16384 ")) << "one command for all: " << refused.error().text();
}

TEST(AdmissionLayout, AHoleBesideTheRangeDoesNotMatter) {
  FileFacts file = settled_file();
  file.layout = {{{0, 4096}, 0}, {{8192, kSize}, 0}};
  EXPECT_TRUE(ask(file, {{0, 4096}, {8192, 0}}));
  EXPECT_FALSE(ask(file, {{0, 4097}}));
  EXPECT_FALSE(ask(file, {{8191, 0}}));
}

TEST(AdmissionLayout, UnwrittenExtentsAreRefused) {
  auto refused = ask(file_with(FIEMAP_EXTENT_UNWRITTEN));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, EUCLEAN);
  EXPECT_TRUE(says(refused.error(), "[4096, 8192) are allocated but never written")) << refused.error().text();
  EXPECT_TRUE(says(refused.error(), "dd if=/mnt/data of=/mnt/data bs=1M skip=4096 seek=4096 count=4096 ")) << refused.error().text();
}

TEST(AdmissionLayout, SharedExtentsAreRefusedWithTheCommandThatUnsharesThem) {
  auto refused = ask(file_with(FIEMAP_EXTENT_SHARED));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, EUCLEAN);
  EXPECT_TRUE(says(refused.error(), "xfs_io -c \"funshare 4096 4096\" /mnt/data")) << refused.error().text();
}

TEST(AdmissionLayout, DelayedAllocationIsRefusedUntilWriteback) {
  // The kernel sets UNKNOWN with DELALLOC.
  auto refused = ask(file_with(FIEMAP_EXTENT_DELALLOC | FIEMAP_EXTENT_UNKNOWN));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, EUCLEAN);
  EXPECT_TRUE(says(refused.error(), "sync /mnt/data")) << refused.error().text();
  EXPECT_FALSE(ask(file_with(FIEMAP_EXTENT_UNKNOWN)));
}

TEST(AdmissionLayout, InlineDataIsRefusedWithTheCommandThatMovesItOut) {
  FileFacts file = file_on(EXT4_SUPER_MAGIC);
  file.size_bytes = 60;
  file.layout = {{{0, 60}, FIEMAP_EXTENT_DATA_INLINE | FIEMAP_EXTENT_NOT_ALIGNED}};
  auto refused = ask(file);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, EUCLEAN);
  EXPECT_TRUE(says(refused.error(), "fallocate --keep-size --length 60 /mnt/data")) << refused.error().text();
}

TEST(AdmissionLayout, CompressedExtentsAreRefusedForGood) {
  auto refused = ask(file_with(FIEMAP_EXTENT_ENCODED));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, EOPNOTSUPP);
}

TEST(AdmissionLayout, EncryptedExtentsAreAdmitted) { EXPECT_TRUE(ask(file_with(FIEMAP_EXTENT_ENCODED | FIEMAP_EXTENT_DATA_ENCRYPTED))); }

TEST(AdmissionLayout, FlagsThatSayNothingAboutTheLayoutAreAdmitted) { EXPECT_TRUE(ask(file_with(FIEMAP_EXTENT_MERGED | FIEMAP_EXTENT_LAST))); }

TEST(AdmissionLayout, ALayoutThatCouldNotBeReadIsRefused) {
  FileFacts file = settled_file();
  file.layout_known = false;
  auto refused = ask(file);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, EOPNOTSUPP);
  EXPECT_TRUE(says(refused.error(), "could not be read"));
}

TEST(AdmissionLayout, TmpfsAndHugetlbfsHaveNoBlocksToSettle) {
  for (std::uint32_t magic : {std::uint32_t{TMPFS_MAGIC}, std::uint32_t{HUGETLBFS_MAGIC}}) {
    FileFacts file = file_on(magic);
    file.layout.clear();
    file.layout_known = false;
    EXPECT_TRUE(ask(file));
    EXPECT_TRUE(unsettled(file, {{0, kSize}}).empty());
  }
}

TEST(AdmissionLayout, TheNameInACommandIsQuoted) {
  FileFacts file = file_with(FIEMAP_EXTENT_SHARED);
  file.path = "/mnt/my file";
  EXPECT_TRUE(says(ask(file).error(), "funshare 4096 4096\" '/mnt/my file'"));
  file.path.clear();
  EXPECT_TRUE(says(ask(file).error(), "funshare 4096 4096\" FILE"));
}

/// XFS, with a block that another file shares, far from the range that is asked for.
FileFacts file_shared_beside() {
  FileFacts file = settled_file();
  file.layout = {{{0, 65536}, 0}, {{65536, 69632}, FIEMAP_EXTENT_SHARED}, {{69632, kSize}, FIEMAP_EXTENT_LAST}};
  return file;
}

TEST(AdmissionLayout, ABlockSharedBesideTheRangeIsRefusedWithItsMend) {
  const FileFacts file = file_shared_beside();
  const auto refused = admit_layout(file, {{0, 8192}});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, EUCLEAN);
  EXPECT_TRUE(says(refused.error(), "bytes [65536, 69632) beside the range"));
  EXPECT_TRUE(says(refused.error(), "funshare 65536 4096"));
  EXPECT_EQ(unsettled(file, {{0, 8192}}).beside, (ExtentSet{{65536, 69632}}));
}

TEST(AdmissionLayout, BesideMeansNotInTheRange) {
  const Unsettled found = unsettled(file_shared_beside(), {{0, kSize}});
  EXPECT_TRUE(found.beside.empty());
  EXPECT_EQ(found.shared, (ExtentSet{{65536, 69632}}));
}

TEST(AdmissionLayout, OtherFilesystemsMoveNothingBesideTheRange) {
  FileFacts file = file_shared_beside();
  file.magic = EXT4_SUPER_MAGIC;
  EXPECT_TRUE(admit_layout(file, {{0, 8192}}));
}

TEST(AdmissionLayout, TheWindowIsTheWholeFileWhereSharingReachesBesideTheRange) {
  const FileFacts file = settled_file();
  EXPECT_EQ(layout_window(file, {4096, 20480}), (Extent{0, kSize}));
  EXPECT_EQ(layout_window(file_on(EXT4_SUPER_MAGIC), {4096, 20480}), (Extent{4096, 20480}));
  EXPECT_TRUE(layout_window(file, {0, 0}).empty());
}

TEST(Unsettled, SortsTheBytesOfTheRangeByWhatMendsThem) {
  FileFacts file = settled_file();
  file.layout = {{{0, 8192}, FIEMAP_EXTENT_UNWRITTEN},
                 {{8192, 16384}, FIEMAP_EXTENT_SHARED},
                 {{16384, 20480}, FIEMAP_EXTENT_DELALLOC},
                 {{20480, 24576}, FIEMAP_EXTENT_ENCODED},
                 {{28672, 1 << 21}, 0}};
  const Unsettled found = unsettled(file, {{4096, 12288}, {16384, kSize}});
  EXPECT_EQ(found.unwritten, (ExtentSet{{4096, 8192}}));
  EXPECT_EQ(found.shared, (ExtentSet{{8192, 12288}}));
  EXPECT_EQ(found.delayed, (ExtentSet{{16384, 20480}}));
  EXPECT_EQ(found.encoded, (ExtentSet{{20480, 24576}}));
  EXPECT_EQ(found.holes, (ExtentSet{{24576, 28672}}));
  EXPECT_EQ(found.beside, (ExtentSet{{12288, 16384}}));
  EXPECT_TRUE(found.inlined.empty());
  EXPECT_FALSE(found.empty());
  file.layout[1].flags = 0;
  EXPECT_TRUE(unsettled(file, {{28672, kSize}}).empty());
}

}  // namespace
}  // namespace hf
