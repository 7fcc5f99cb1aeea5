// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "rdma/plan.hpp"

#include <gtest/gtest.h>
#include <linux/magic.h>

namespace hf::rdma {
namespace {

using Plans = std::vector<Plan>;

TEST(Plans, MemoryFilesArePinnedUnlessOdpIsAskedFor) {
  EXPECT_EQ(plans_to_try({.backing = Backing::memory_file, .adapter_odp = true}), (Plans{Plan::plain, Plan::odp}));
  EXPECT_EQ(plans_to_try({.backing = Backing::memory_file, .adapter_odp = true, .prefer_odp = true}).front(), Plan::odp);
  EXPECT_EQ(plans_to_try({.backing = Backing::memory_file, .adapter_odp = false, .prefer_odp = true}), (Plans{Plan::plain}));
}

TEST(Plans, DaxAndPageCacheTakeOdpWhereTheAdapterHasIt) {
  for (const auto backing : {Backing::dax, Backing::page_cache}) {
    EXPECT_EQ(plans_to_try({.backing = backing, .adapter_odp = true}), (Plans{Plan::odp, Plan::plain}));
    EXPECT_EQ(plans_to_try({.backing = backing, .adapter_odp = false}), (Plans{Plan::plain})) << "the kernel has the last word";
    EXPECT_EQ(plans_to_try({.backing = backing, .adapter_odp = true, .never_odp = true}), (Plans{Plan::plain}));
  }
}

TEST(Plans, DaxWithoutOdpTakesTheModuleWhereItIsLoaded) {
  EXPECT_EQ(plans_to_try({.backing = Backing::dax, .adapter_odp = false, .pin = true}), (Plans{Plan::pinned}));
  EXPECT_EQ(plans_to_try({.backing = Backing::dax, .adapter_odp = true, .pin = true}), (Plans{Plan::odp, Plan::pinned}));
  EXPECT_EQ(plans_to_try({.backing = Backing::dax, .adapter_odp = true, .never_odp = true, .pin = true}), (Plans{Plan::pinned}));
  EXPECT_EQ(plans_to_try({.backing = Backing::page_cache, .adapter_odp = false, .pin = true}), (Plans{Plan::plain})) << "it is for FS-DAX";
}

TEST(Plans, TheHardestBackingCounts) {
  EXPECT_EQ(std::max(Backing::memory_file, Backing::dax), Backing::dax);
  EXPECT_EQ(std::max(Backing::page_cache, Backing::anonymous), Backing::page_cache);
  EXPECT_EQ(backing_of(TMPFS_MAGIC, false), Backing::memory_file);
  EXPECT_EQ(backing_of(EXT4_SUPER_MAGIC, true), Backing::dax);
  EXPECT_EQ(backing_of(EXT4_SUPER_MAGIC, false), Backing::page_cache);
}

TEST(Refusals, SayWhatTheKernelAnsweredAndWhatMends) {
  const auto dax = refusal({.backing = Backing::dax}, {.plain = EINVAL}, "/mnt/pool/file");
  EXPECT_EQ(dax.code, EOPNOTSUPP) << "6.1 says EINVAL and means that it can't";
  EXPECT_NE(dax.message.find("/mnt/pool/file"), std::string::npos);
  EXPECT_NE(dax.message.find("EINVAL"), std::string::npos);
  EXPECT_NE(dax.hint.find("ODP"), std::string::npos);
  EXPECT_EQ(refusal({.backing = Backing::page_cache, .writable = true}, {.plain = EFAULT}, "f").code, EOPNOTSUPP);
  EXPECT_EQ(refusal({.backing = Backing::memory_file, .writable = true}, {.plain = EFAULT}, "f").code, EFAULT);
  EXPECT_NE(refusal({.backing = Backing::memory_file, .writable = false}, {.plain = EFAULT}, "f").hint.find("PROT_WRITE"), std::string::npos);
  EXPECT_NE(refusal({.backing = Backing::memory_file}, {.plain = ENOMEM}, "f").hint.find("ulimit"), std::string::npos);
}

}  // namespace
}  // namespace hf::rdma
