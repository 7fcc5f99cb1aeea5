// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "rdma/adapter.hpp"
#include "rdma/mount_plans.hpp"

namespace hf::rdma {
namespace {

class Folder {
 public:
  Folder() {
    std::string pattern = "/tmp/holdfast-mounts-XXXXXX";
    path = ::mkdtemp(pattern.data());
  }
  ~Folder() { std::filesystem::remove_all(path); }
  std::string path;
};

TEST(HoldableMounts, EachFilesystemOnceWithItsNameUnescaped) {
  const Folder folder;
  std::filesystem::create_directories(folder.path + "/a b");
  std::ofstream(folder.path + "/mountinfo") << "20 1 8:1 / / rw - btrfs /dev/sda1 rw\n"
                                            << "21 20 259:0 / " << folder.path << "/a\\040b rw,relatime shared:1 - xfs /dev/pmem0 rw,dax=always\n"
                                            << "22 20 259:0 /sub " << folder.path << " rw - xfs /dev/pmem0 rw,dax=always\n"
                                            << "23 20 0:30 / " << folder.path << " rw master:3 propagate_from:2 - tmpfs tmpfs rw\n"
                                            << "24 20 0:31 / /proc rw - proc proc rw\n";
  const auto mounts = holdable_mounts(folder.path + "/mountinfo");
  ASSERT_TRUE(mounts);
  ASSERT_EQ(mounts->size(), 2u);
  EXPECT_EQ((*mounts)[0].point, folder.path + "/a b");
  EXPECT_EQ((*mounts)[0].filesystem, "xfs");
  EXPECT_EQ((*mounts)[1].filesystem, "tmpfs");
}

TEST(HoldableMounts, NoMountsIsAnError) { EXPECT_FALSE(holdable_mounts("/nonexistent/mountinfo")); }

TEST(UnobservedPins, AreNamedWhetherPresentOrNot) {
  const Folder folder;
  std::filesystem::create_directories(folder.path + "/module/vfio");
  const auto pins = unobserved_pins(folder.path, folder.path + "/proc");
  EXPECT_EQ(pins.size(), 6u);
  for (const auto& pin : pins) {
    EXPECT_FALSE(pin.why.empty()) << pin.id;
    EXPECT_EQ(pin.present, pin.id == "vfio") << pin.id;
  }
}

}  // namespace
}  // namespace hf::rdma
