// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "lease/policy.hpp"

#include <gtest/gtest.h>

#include "catalog/break_sources.hpp"
#include "decide.h"
#include "lease/seals.hpp"

namespace hf {
namespace {

std::uint32_t mask(std::vector<std::string> names) { return *seals_from_names(names); }

TEST(Seals, EveryOperationIsInExactlyOne) {
  for (const auto& source : break_sources()) {
    if (source.op == HF_OP_NONE) continue;
    int in = 0;
    for (const auto& seal : seals()) in += (seal.operations >> source.op) & 1;
    EXPECT_EQ(in, 1) << source.id;
    EXPECT_FALSE(seal_of(source.op).empty());
  }
  EXPECT_EQ(seal_of(HF_OP_COUNT), "");
}

TEST(Seals, WhatTheGateMayNotHaveSeenIsRefusedToo) {
  EXPECT_TRUE(mask({"punch"}) & (1u << HF_OP_LAYOUT_CALL));
  EXPECT_TRUE(mask({"punch"}) & (1u << HF_OP_FALLOCATE_NEW));
  EXPECT_FALSE(mask({"reflink"}) & (1u << HF_OP_FALLOCATE_NEW));
  EXPECT_EQ(mask({"truncate"}), 1u << HF_OP_TRUNCATE) << "its hook always runs";
}

TEST(Seals, NamesComeBackAsTheyWent) {
  for (const auto& seal : seals()) EXPECT_EQ(names_of_seals(mask({std::string(seal.name)})), seal.name);
  EXPECT_EQ(names_of_seals(mask({"dedupe", "truncate"})), "truncate dedupe");
  EXPECT_EQ(names_of_seals(mask({"all"})), "all");
  EXPECT_EQ(names_of_seals(0), "none");
}

TEST(Seals, RefuseOnAnyFile) {
  const hf_question question{.op = HF_OP_PUNCH, .task = 7, .first = 0, .end = 4096, .window = 0, .flags = 0};
  hf_answer answer{};
  hf_decide_seals(&question, mask({"reflink"}), &answer);
  EXPECT_EQ(answer.error, 0u);
  hf_decide_seals(&question, mask({"punch"}), &answer);
  EXPECT_EQ(answer.error, static_cast<__u32>(HF_ETXTBSY));
  EXPECT_EQ(answer.lease_end, 0u) << "no extent did";
}

TEST(Policy, OnlyThoseWhoAreNamedMayHold) {
  MountPolicy policy;
  EXPECT_TRUE(may_hold(policy, {.uid = 1000, .groups = {}, .owner = false}, "f"));
  policy.holders = {.writers = false, .owner = true, .users = {1000}, .groups = {500}};
  EXPECT_TRUE(may_hold(policy, {.uid = 1000, .groups = {}, .owner = false}, "f"));
  EXPECT_TRUE(may_hold(policy, {.uid = 1001, .groups = {}, .owner = true}, "f"));
  EXPECT_TRUE(may_hold(policy, {.uid = 1001, .groups = {7, 500}, .owner = false}, "f"));
  EXPECT_TRUE(may_hold(policy, {.uid = 0, .groups = {}, .owner = false}, "f"));
  EXPECT_EQ(may_hold(policy, {.uid = 1001, .groups = {7}, .owner = false}, "f").error().code, EACCES);
  policy.holders.owner = false;
  EXPECT_FALSE(may_hold(policy, {.uid = 1001, .groups = {}, .owner = true}, "f"));
}

TEST(Policy, NobodyHoldsOnAnExemptFilesystem) {
  MountPolicy policy;
  policy.guard = false;
  EXPECT_EQ(may_hold(policy, {.uid = 0, .groups = {}, .owner = true}, "f").error().code, EOPNOTSUPP);
  EXPECT_TRUE(policy.flags() & HF_MOUNT_EXEMPT);
}

TEST(Policy, QuotasBindEveryoneButRoot) {
  const Quota quota{.leases = 2, .bytes = 8192, .time_s = 0};
  EXPECT_TRUE(within_quota(quota, 1000, {1, 4096}, 4096));
  EXPECT_EQ(within_quota(quota, 1000, {2, 0}, 1).error().code, EDQUOT);
  EXPECT_EQ(within_quota(quota, 1000, {0, 4096}, 4097).error().code, EDQUOT);
  EXPECT_EQ(within_quota(quota, 1000, {0, 4096}, HF_RANGE_END).error().code, EDQUOT) << "no overflow";
  EXPECT_TRUE(within_quota(quota, 0, {99, 1 << 20}, HF_RANGE_END));
  EXPECT_TRUE(within_quota({.leases = 0, .bytes = 0, .time_s = 0}, 1000, {1 << 20, 1 << 30}, 1));
}

}  // namespace
}  // namespace hf
