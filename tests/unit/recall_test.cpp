// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "lease/recall.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace hf {
namespace {

using Kind = RecallEffect::Kind;
constexpr std::uint64_t kS = 1'000'000'000;

RecallHolder holder(LeaseId lease, std::uint32_t tgid) {
  return {.lease = lease, .process = {tgid, 1}, .kind = HF_LEASE_PROCESS, .uid = 1000, .comm = "holder"};
}

RecallRules rules(Escalation on_timeout, bool command = true) {
  RecallPolicy policy;
  policy.most = Escalation::kill;
  return *RecallRules::within(policy, 30, on_timeout, command);
}

std::vector<Kind> kinds(const RecallEffects& effects) {
  std::vector<Kind> list;
  for (const auto& effect : effects) list.push_back(effect.kind);
  return list;
}

TEST(Recall, WithoutHoldersTheWindowOpensAtOnce) {
  Recall recall(rules(Escalation::deny));
  EXPECT_EQ(kinds(recall.start({}, 0)), (std::vector{Kind::open}));
  EXPECT_EQ(kinds(recall.finish()), (std::vector{Kind::close, Kind::ended}));
  EXPECT_EQ(recall.outcome(), RecallOutcome::done);
}

TEST(Recall, OpensWhenTheLastHasLetGo) {
  Recall recall(rules(Escalation::deny));
  EXPECT_EQ(kinds(recall.start({holder(1, 10), holder(2, 20)}, 0)), (std::vector{Kind::ask, Kind::ask}));
  EXPECT_TRUE(recall.ended(1, kS).empty());
  EXPECT_TRUE(recall.ended(1, kS).empty()) << "told twice, it counts once";
  EXPECT_EQ(kinds(recall.ended(2, kS)), (std::vector{Kind::open}));
}

TEST(Recall, WithoutACommandItEndsWithTheLast) {
  Recall recall(rules(Escalation::deny, false));
  recall.start({holder(1, 10)}, 0);
  EXPECT_EQ(kinds(recall.ended(1, kS)), (std::vector{Kind::close, Kind::ended}));
  EXPECT_EQ(recall.outcome(), RecallOutcome::let_go);
}

TEST(Recall, DenyGivesUpAndSaysSo) {
  Recall recall(rules(Escalation::deny));
  recall.start({holder(1, 10), holder(2, 20)}, 0);
  recall.ended(1, kS);
  EXPECT_TRUE(recall.tick(30 * kS - 1).empty());
  EXPECT_EQ(kinds(recall.tick(30 * kS)), (std::vector{Kind::close, Kind::tell_over, Kind::ended}));
  EXPECT_EQ(recall.outcome(), RecallOutcome::timed_out);
}

TEST(Recall, TheLadderGoesAsFarAsItMay) {
  Recall recall(rules(Escalation::kill));
  recall.start({holder(1, 10), holder(2, 10), holder(3, 20)}, 0);
  EXPECT_EQ(kinds(recall.tick(30 * kS)), (std::vector{Kind::fence, Kind::fence, Kind::fence}));
  recall.fenced(3);
  EXPECT_EQ(recall.left(), 3u) << "only the end of the lease counts";
  recall.ended(3, 31 * kS);
  EXPECT_EQ(recall.holders().at(3).state, HolderState::fenced);
  const auto terminate = recall.tick(40 * kS);
  EXPECT_EQ(kinds(terminate), (std::vector{Kind::terminate})) << "a process once, however many leases it has";
  EXPECT_EQ(terminate.front().process.tgid, 10u);
  EXPECT_EQ(kinds(recall.tick(50 * kS)), (std::vector{Kind::kill}));
  recall.ended(1, 51 * kS);
  EXPECT_EQ(kinds(recall.ended(2, 51 * kS)), (std::vector{Kind::open}));
}

TEST(Recall, AProcessThatDoesNotEndIsGivenUp) {
  Recall recall(rules(Escalation::kill));
  recall.start({holder(1, 10)}, 0);
  for (const auto at : {30, 40, 50}) recall.tick(at * kS);
  recall.tick(60 * kS);
  EXPECT_TRUE(recall.over());
  EXPECT_EQ(recall.outcome(), RecallOutcome::timed_out);
}

TEST(Recall, FenceNeverEndsAProcess) {
  Recall recall(rules(Escalation::fence));
  recall.start({holder(1, 10)}, 0);
  recall.tick(30 * kS);
  EXPECT_EQ(kinds(recall.tick(40 * kS)), (std::vector{Kind::close, Kind::tell_over, Kind::ended}));
}

TEST(Recall, WhereAllSayNoNobodyWaits) {
  Recall recall(rules(Escalation::deny));
  recall.start({holder(1, 10), holder(2, 20)}, 0);
  EXPECT_TRUE(recall.refused(1, kS).empty());
  EXPECT_EQ(kinds(recall.refused(2, kS)), (std::vector{Kind::close, Kind::tell_over, Kind::tell_over, Kind::ended}));
}

TEST(Recall, ARegistrationThatComesMeanwhileIsAskedToo) {
  Recall recall(rules(Escalation::deny));
  recall.start({holder(1, 10)}, 0);
  EXPECT_EQ(kinds(recall.gained(holder(2, 20), kS)), (std::vector{Kind::ask}));
  EXPECT_TRUE(recall.ended(1, kS).empty());
  EXPECT_EQ(kinds(recall.ended(2, kS)), (std::vector{Kind::open}));
  EXPECT_EQ(kinds(recall.gained(holder(3, 30), 2 * kS)), (std::vector{Kind::ask})) << "in the window it stays open: the gate refuses the command";
  EXPECT_EQ(recall.phase(), RecallPhase::window);
}

TEST(Recall, TheConfigurationBoundsIt) {
  RecallPolicy policy;
  EXPECT_EQ(RecallRules::within(policy, {}, Escalation::kill, true).error().code, EPERM);
  EXPECT_EQ(RecallRules::within(policy, 7200, {}, true).error().code, EINVAL);
  EXPECT_EQ(RecallRules::within(policy, {}, {}, true)->on_timeout, Escalation::deny);
  EXPECT_EQ(RecallRules::within(policy, {}, Escalation::fence, true)->wait_ns, 30 * kS);
}

}  // namespace
}  // namespace hf
