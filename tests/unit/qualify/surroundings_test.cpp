// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "qualify/surroundings.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include "machine.hpp"
#include "qualify/collect.hpp"

namespace hf::qualify {
namespace {

constexpr const char* kMountinfo =
    "20 1 8:1 / / rw - btrfs /dev/sda1 rw\n"
    "21 20 259:0 / /mnt/pool rw,relatime shared:1 - xfs /dev/pmem0 rw,dax=always\n"
    "22 20 0:40 / /var/merged rw - overlay overlay rw,lowerdir=/usr/x:/mnt/pool/low,upperdir=/tmp/u,workdir=/tmp/w\n"
    "23 20 0:41 / /var/other rw - overlay overlay rw,lowerdir=/usr/x,upperdir=/mnt/poolside/u,workdir=/tmp/w\n";

TEST(Surroundings, WhatUsesTheMount) {
  const Root root;
  root.write("/proc/swaps", "Filename Type Size Used Priority\n/mnt/pool/sw\\040ap file 1 0 -2\n/dev/sda2 partition 1 0 -3\n");
  root.write("/sys/block/loop3/loop/backing_file", "/mnt/pool/image\n");
  root.write("/sys/block/loop4/loop/backing_file", "/srv/image\n");
  root.write("/sys/block/loop5/size", "0\n");
  root.write("/sys/kernel/config/nvmet/subsystems/a/namespaces/1/device_path", "/mnt/pool/ns\n");
  const auto found = read_surroundings("/mnt/pool", parse_mountinfo(kMountinfo), root.path);
  EXPECT_EQ(found.swap_files, std::vector<std::string>{"/mnt/pool/sw ap"});
  EXPECT_TRUE(found.swap_on);
  ASSERT_EQ(found.loops.size(), 1u);
  EXPECT_EQ(found.loops[0].first, "/dev/loop3");
  EXPECT_EQ(found.overlays, std::vector<std::string>{"/var/merged"});
  EXPECT_EQ(found.targets.size(), 1u);
  EXPECT_EQ(found.lines().size(), 4u);
}

TEST(Filesystem, IsFoundByItsMountPoint) {
  const auto mounts = parse_mountinfo(kMountinfo);
  const auto mount = find_mount(mounts, "/mnt/pool");
  ASSERT_TRUE(mount);
  EXPECT_EQ(mount->source, "/dev/pmem0");
  EXPECT_EQ(mount->flags, "rw,relatime");
  const auto folder = find_mount(mounts, "/mnt/pool/data");
  ASSERT_FALSE(folder);
  EXPECT_NE(folder.error().hint.find("holdfast qualify /mnt/pool"), std::string::npos);
}

TEST(Filesystem, FstabAndDevice) {
  const Root root;
  root.write("/etc/fstab", "# /dev/x /mnt/pool xfs ro 0 0\n/dev/pmem0 /mnt/pool xfs dax=always 0 0\n");
  root.write("/sys/dev/block/259:0/start", "4096\n");
  root.write("/sys/dev/block/259:0/queue/dax", "1\n");
  const auto mounts = parse_mountinfo(kMountinfo);
  const auto facts = filesystem_facts(mounts, *find_mount(mounts, "/mnt/pool"), root.path);
  EXPECT_EQ(facts.fstab, "dax=always");
  EXPECT_EQ(facts.start_bytes, 2u << 20);
  EXPECT_TRUE(facts.dax_capable);
  EXPECT_EQ(facts.kind, kDax);
}

TEST(FileState, HolesAreCounted) {
  const Root root;
  const auto path = root.path + "/file";
  {
    std::ofstream file(path);
    file << std::string(4096, 'x');
  }
  ASSERT_EQ(::truncate(path.c_str(), 1 << 20), 0);
  const auto whole = file_state(path, {});
  ASSERT_TRUE(whole.known) << whole.trouble;
  EXPECT_EQ(whole.hole_bytes, (1u << 20) - 4096);
  const auto first = file_state(path, {{0, 4096}});
  EXPECT_EQ(first.hole_bytes, 0u);
  EXPECT_FALSE(file_state(root.path + "/none", {}).trouble.empty());
}

}  // namespace
}  // namespace hf::qualify
