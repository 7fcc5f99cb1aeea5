// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "kernel/paths.hpp"

#include <gtest/gtest.h>

#include "kernel/process.hpp"
#include "kernel/syscalls.hpp"
#include "scratch.hpp"

namespace hf {
namespace {

TEST(ForwardPath, TurnsTheComponentsRound) { EXPECT_EQ(forward_path("file/dir/top", false), "/top/dir/file"); }
TEST(ForwardPath, OfOneComponentIsBelowTheRoot) { EXPECT_EQ(forward_path("file", false), "/file"); }
TEST(ForwardPath, OfNothingIsTheRoot) { EXPECT_EQ(forward_path("", false), "/"); }
TEST(ForwardPath, SaysThatItsBeginningIsMissing) { EXPECT_EQ(forward_path("file/dir/", true), ".../dir/file"); }
TEST(ForwardPath, KeepsStrangeBytes) { EXPECT_EQ(forward_path("a b\n\xff/dir", false), "/dir/a b\n\xff"); }

constexpr const char* kMountinfo =
    "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
    "30 22 259:0 / /mnt/a\\040b rw shared:2 master:1 - xfs /dev/pmem0 rw,dax=always\n"
    "31 22 259:0 /sub /mnt/bind rw - xfs /dev/pmem0 rw,dax=always\n"
    "32 22 259:1 /only /mnt/part rw - xfs /dev/pmem1 rw\n"
    "broken line\n";

TEST(Mountinfo, IsReadWithItsEscapesAndOptionalFields) {
  const auto mounts = parse_mountinfo(kMountinfo);
  ASSERT_EQ(mounts.size(), 4u);
  EXPECT_EQ(mounts[1].device, kernel_device(259, 0));
  EXPECT_EQ(mounts[1].point, "/mnt/a b");
  EXPECT_EQ(mounts[1].type, "xfs");
  EXPECT_EQ(mounts[1].options, "rw,dax=always");
}

TEST(MountTable, PrefixesTheMountPointOfTheDevice) {
  test::Scratch scratch;
  scratch.write("mountinfo", kMountinfo);
  MountTable table(scratch.path("mountinfo"));
  EXPECT_EQ(table.absolute(kernel_device(259, 0), "/sub/file"), "/mnt/a b/sub/file");
  EXPECT_EQ(table.absolute(kernel_device(8, 1), "/etc/passwd"), "/etc/passwd");
  EXPECT_EQ(table.absolute(kernel_device(259, 1), "/only/file"), "/mnt/part/file");
  EXPECT_EQ(table.absolute(kernel_device(259, 1), "/onlyfile"), "/onlyfile") << "the mount shows /only, not /onlyfile";
  EXPECT_EQ(table.absolute(kernel_device(0, 99), "/memfd:x"), "/memfd:x");
  EXPECT_EQ(table.absolute(kernel_device(259, 0), ".../file"), ".../file") << "a path without its beginning can't be placed";
}

TEST(Mapping, IsReadFromALineOfMaps) {
  const auto mapping = parse_mapping("7f0000200000-7f0000400000 rw-s 00001000 103:00 131                        /mnt/hf/a b (deleted)");
  ASSERT_TRUE(mapping);
  EXPECT_EQ(mapping->start, 0x7f0000200000u);
  EXPECT_EQ(mapping->end, 0x7f0000400000u);
  EXPECT_EQ(mapping->offset_bytes, 0x1000u);
  EXPECT_EQ(mapping->inode, 131u);
  EXPECT_TRUE(mapping->shared && mapping->writable);
  EXPECT_EQ(mapping->path, "/mnt/hf/a b (deleted)");
  EXPECT_FALSE(parse_mapping("nonsense"));
  EXPECT_FALSE(parse_mapping(""));
}

TEST(Mappings, AreThoseThatTheRangeTouches) {
  test::Scratch scratch;
  scratch.write("7/maps", "1000-2000 rw-s 0 00:01 1 /a\n2000-3000 rw-s 0 00:01 2 /b\n5000-6000 rw-s 0 00:01 3 /c\n");
  const auto found = mappings_of(7, 0x1800, 0x3800, scratch.path());
  ASSERT_TRUE(found);
  ASSERT_EQ(found->size(), 2u);
  EXPECT_EQ(found->at(0).path, "/a");
  EXPECT_EQ(found->at(1).path, "/b");
}

TEST(ProcessTable, TellsAReusedNumber) {
  test::Scratch scratch;
  scratch.process(42, 1000, "evil) S 1 2 (name");
  ProcessTable processes(scratch.path());
  EXPECT_TRUE(processes.is(42, 10'000'000'000 + 9'999'999)) << "the same clock tick";
  EXPECT_FALSE(processes.is(42, 10'010'000'000));
  EXPECT_FALSE(processes.is(42, 9'000'000'000));
  EXPECT_FALSE(processes.is(43, 10'000'000'000));
}

TEST(SystemCalls, AreNamedOnBothTables) {
  EXPECT_EQ(syscall_name(77, false), "ftruncate");
  EXPECT_EQ(syscall_name(93, true), "ftruncate");
  EXPECT_EQ(syscall_name(99999, false), "");
  EXPECT_EQ(syscall_text(77, false, {3, 4096, 9, 9, 9, 9}), "ftruncate(3, 4096)");
  EXPECT_EQ(syscall_text(285, false, {3, 3, 0, 8192}), "fallocate(3, PUNCH_HOLE|KEEP_SIZE, 0, 8192)");
  EXPECT_EQ(syscall_text(194, true, {4, 0, 1}), "ftruncate64(4, 4294967296)");
  EXPECT_EQ(syscall_text(16, false, {3, 0x40049409, 5}), "ioctl(3, FICLONE, 0x5)");
  EXPECT_EQ(syscall_text(99999, false, {}), "system call 99999(0x0, 0x0, 0x0, 0x0, 0x0, 0x0)");
}

}  // namespace
}  // namespace hf
