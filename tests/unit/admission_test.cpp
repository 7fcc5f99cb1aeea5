// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// Which files, callers and ranges are admitted.
#include <ostream>
#include <gtest/gtest.h>

#include "facts.hpp"

namespace hf {
namespace {

using testing::ask;
using testing::file_on;
using testing::kSize;
using testing::kXfs;
using testing::settled_file;
using ::testing::Values;

template <class T>
void expect_refused(const Result<T>& asked, int code, std::string_view words) {
  ASSERT_FALSE(asked) << "is admitted";
  EXPECT_EQ(asked.error().code, code) << asked.error().text();
  EXPECT_NE(asked.error().text().find(words), std::string::npos) << asked.error().text();
  EXPECT_FALSE(asked.error().hint.empty()) << asked.error().text();
}

TEST(Admission, ASettledFileOnEachSupportedFilesystemIsAdmitted) {
  for (std::uint32_t magic : {kXfs, std::uint32_t{EXT4_SUPER_MAGIC}, std::uint32_t{TMPFS_MAGIC}, std::uint32_t{HUGETLBFS_MAGIC}}) {
    auto admitted = ask(file_on(magic));
    ASSERT_TRUE(admitted) << admitted.error().text();
    EXPECT_EQ(admitted->extents, (ExtentSet{{0, kSize}}));
    EXPECT_TRUE(supported_filesystem(magic));
  }
}

TEST(Admission, DaxAndPageCacheAreBothAdmitted) {
  FileFacts file = settled_file();
  for (bool dax : {false, true}) {
    file.dax = dax;
    EXPECT_TRUE(ask(file));
  }
}

struct Unsupported {
  const char* name;
  std::uint32_t magic;
  const char* reason;
};
void PrintTo(const Unsupported& unsupported, std::ostream* out) { *out << unsupported.name; }

class UnsupportedFilesystem : public ::testing::TestWithParam<Unsupported> {};

TEST_P(UnsupportedFilesystem, IsRefusedWithItsReason) {
  auto refused = ask(file_on(GetParam().magic));
  expect_refused(refused, EOPNOTSUPP, GetParam().reason);
  EXPECT_NE(refused.error().message.find("/mnt/data"), std::string::npos);
  EXPECT_NE(refused.error().message.find(filesystem_name(GetParam().magic)), std::string::npos);
}

INSTANTIATE_TEST_SUITE_P(Each, UnsupportedFilesystem,
                         Values(Unsupported{"Btrfs", BTRFS_SUPER_MAGIC, "copies on write"}, Unsupported{"Zfs", 0x2fc12fc1, "copies on write"},
                                Unsupported{"Bcachefs", 0xca451a4e, "copies on write"}, Unsupported{"F2fs", 0xf2f52010, "garbage collection"},
                                Unsupported{"Overlayfs", OVERLAYFS_SUPER_MAGIC, "upper layer"}, Unsupported{"Nfs", NFS_SUPER_MAGIC, "server"},
                                Unsupported{"Smb", 0xfe534d42, "server"}, Unsupported{"NineP", V9FS_MAGIC, "server"},
                                Unsupported{"Fuse", 0x65735546, "decided by a process"}, Unsupported{"Gfs2", 0x01161970, "other nodes"},
                                Unsupported{"Vfat", MSDOS_SUPER_MAGIC, "does not know"}, Unsupported{"Squashfs", SQUASHFS_MAGIC, "read-only"},
                                Unsupported{"Proc", PROC_SUPER_MAGIC, "no layout"}, Unsupported{"OneThatNobodyKnows", 0x12345678, "does not know"}),
                         [](const auto& instance) { return instance.param.name; });

struct NotAFile {
  const char* name;
  FileType type;
  int code;
  const char* words;
};
void PrintTo(const NotAFile& not_a_file, std::ostream* out) { *out << not_a_file.name; }

class NotARegularFile : public ::testing::TestWithParam<NotAFile> {};

TEST_P(NotARegularFile, IsRefused) {
  FileFacts file = settled_file();
  file.type = GetParam().type;
  expect_refused(ask(file), GetParam().code, GetParam().words);
}

INSTANTIATE_TEST_SUITE_P(Each, NotARegularFile,
                         Values(NotAFile{"Directory", FileType::directory, EISDIR, "directory"},
                                NotAFile{"BlockDevice", FileType::block_device, EINVAL, "block device"},
                                NotAFile{"CharacterDevice", FileType::character_device, EINVAL, "device DAX"}, NotAFile{"Fifo", FileType::fifo, EINVAL, "fifo"},
                                NotAFile{"Socket", FileType::socket, EINVAL, "socket"}, NotAFile{"SymbolicLink", FileType::symlink, EINVAL, "leads to"},
                                NotAFile{"SomethingElse", FileType::other, EINVAL, "not a regular file"}),
                         [](const auto& instance) { return instance.param.name; });

TEST(Admission, AReaderMayNotHold) { expect_refused(ask(settled_file(), {{0, 0}}, CallerFacts{}), EACCES, "reader may not hold"); }

TEST(Admission, WhoeverCouldHaveWrittenTheFileMayHoldIt) {
  EXPECT_TRUE(ask(settled_file(), {{0, 0}}, {.opened_for_writing = true}));
  EXPECT_TRUE(ask(settled_file(), {{0, 0}}, {.owner = true}));
  EXPECT_TRUE(ask(settled_file(), {{0, 0}}, {.cap_lease = true}));
  EXPECT_TRUE(ask(settled_file(), {{0, 0}}, {.root = true}));
  EXPECT_TRUE(ask(settled_file(), {{0, 0}}, {.allow_listed = true}));
}

TEST(Admission, AReaderIsNotToldTheLayout) {
  FileFacts file = settled_file();
  file.layout.clear();
  EXPECT_EQ(ask(file, {{0, 0}}, CallerFacts{}).error().code, EACCES);
}

TEST(AdmissionRanges, LengthZeroIsToTheEndOfTheFile) { EXPECT_EQ(ask(settled_file(), {{4096, 0}})->extents, (ExtentSet{{4096, kSize}})); }

TEST(AdmissionRanges, ARangeToTheVeryEndIsAdmitted) { EXPECT_EQ(ask(settled_file(), {{kSize - 1, 1}})->extents, (ExtentSet{{kSize - 1, kSize}})); }

TEST(AdmissionRanges, ARangeBeyondTheEndIsRefused) {
  expect_refused(ask(settled_file(), {{0, kSize + 1}}), ERANGE, "beyond the end");
  expect_refused(ask(settled_file(), {{kSize, 1}}), ERANGE, "beyond the end");
  expect_refused(ask(settled_file(), {{kSize + 1, 0}}), ERANGE, "beyond the end");
}

TEST(AdmissionRanges, ASumThatOverflowsIsBeyondTheEnd) { expect_refused(ask(settled_file(), {{4096, ~0ull}}), ERANGE, "beyond the end"); }

TEST(AdmissionRanges, AnEmptyRangeIsRefused) { expect_refused(ask(settled_file(), {{kSize, 0}}), EINVAL, "is empty"); }

TEST(AdmissionRanges, NoRangeIsRefused) { expect_refused(ask(settled_file(), {}), EINVAL, "no range"); }

TEST(AdmissionRanges, AnEmptyFileIsRefusedWithTheCommandThatGivesItASize) {
  FileFacts file = settled_file();
  file.size_bytes = 0;
  file.layout.clear();
  expect_refused(ask(file), ENODATA, "truncate --size BYTES /mnt/data");
}

TEST(AdmissionRanges, RangesOfOneRequestThatOverlapAreRefused) {
  expect_refused(ask(settled_file(), {{0, 8192}, {4096, 8192}}), EINVAL, "overlaps");
  expect_refused(ask(settled_file(), {{4096, 1}, {0, 0}}), EINVAL, "overlaps");
}

TEST(AdmissionRanges, RangesThatTouchAreAdmittedAsOne) { EXPECT_EQ(ask(settled_file(), {{4096, 4096}, {0, 4096}})->extents, (ExtentSet{{0, 8192}})); }

TEST(AdmissionPages, ALeaseIsRoundedToTheLargerOfPageAndBlock) {
  FileFacts file = settled_file();
  file.block_shift = 10;
  EXPECT_EQ(ask(file)->page_shift, 12u);
  file.block_shift = 16;
  EXPECT_EQ(ask(file)->page_shift, 16u);
  FileFacts huge = file_on(HUGETLBFS_MAGIC);
  huge.block_shift = 30;
  EXPECT_EQ(ask(huge)->page_shift, 30u);
}

TEST(ShellQuoted, AShellReadsTheNameBack) {
  EXPECT_EQ(shell_quoted("/mnt/a-b_c.d"), "/mnt/a-b_c.d");
  EXPECT_EQ(shell_quoted("a b"), "'a b'");
  EXPECT_EQ(shell_quoted("it's"), "'it'\\''s'");
  EXPECT_EQ(shell_quoted("$(reboot)"), "'$(reboot)'");
  EXPECT_EQ(shell_quoted("-rf"), "'./-rf'");
  EXPECT_EQ(shell_quoted(""), "''");
}

}  // namespace
}  // namespace hf
