// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// Registrations that were there before the gate: what is found of them, and when they end.
#include <gtest/gtest.h>

#include "daemon/core.hpp"
#include "fake_gate.hpp"
#include "scratch.hpp"

namespace hf {
namespace {

using test::FakeGate;
using test::Heard;

constexpr std::uint64_t kBytes = 0x10000;

/// Process 42 lives; its maps are the test's.
class RegistrationsBeforeTheGate : public ::testing::Test {
 protected:
  RegistrationsBeforeTheGate() {
    scratch.process(42, 1000);
    scratch.write("42/status", "Name:\tclient\nUid:\t1000\t1000\t1000\t1000\nGid:\t1001\t1001\t1001\t1001\n");
  }
  void maps(const std::string& text) { scratch.write("42/maps", text); }
  void start() {
    auto started = Core::start(gate, scratch.path("grants"), heard.hooks(), ProcessTable(scratch.path()));
    ASSERT_TRUE(started) << started.error().text();
    core = std::move(*started);
  }
  static rdma::ExistingRegion region(std::uint32_t number, std::uint64_t bytes = kBytes) {
    return {.device = "rxe_a", .number = number, .pid = 42, .length_bytes = bytes};
  }
  const LeaseRecord& only() const { return gate.standing.begin()->second.record; }

  test::Scratch scratch;
  FakeGate gate;
  Heard heard;
  std::unique_ptr<Core> core;
};

constexpr const char* kOneFile = "7f0000000000-7f0000010000 rw-s 00002000 00:1a 77 /mnt/file\n";

TEST_F(RegistrationsBeforeTheGate, TheOnlyMappingOfThatLengthIsTheOne) {
  maps(kOneFile);
  start();
  core->take_existing({region(0)});
  ASSERT_EQ(gate.standing.size(), 1u);
  EXPECT_EQ(only().address, 0x7f0000000000u);
  EXPECT_EQ(only().uid, 1000u);
  EXPECT_EQ(std::string(only().comm), "client");
  EXPECT_EQ(only().device_name, "rxe_a");
  EXPECT_TRUE(only().reasons & HF_REASON_LATE) << "its past is unknown";
  ASSERT_EQ(heard.surveys.size(), 1u);
  EXPECT_TRUE(heard.surveys[0].keep_files) << "the survey completes it";
}

TEST_F(RegistrationsBeforeTheGate, AnonymousMemoryIsNotListed) {
  maps("7f0000000000-7f0000010000 rw-p 00000000 00:00 0\n");
  start();
  core->take_existing({region(0)});
  EXPECT_TRUE(gate.standing.empty());
}

TEST_F(RegistrationsBeforeTheGate, AmbiguousOnesNameTheFilesThatTheyMayLieOn) {
  maps(std::string(kOneFile) + "7f0000020000-7f0000030000 rw-s 00000000 00:1a 78 /mnt/other\n");
  start();
  core->take_existing({region(0)});
  ASSERT_EQ(gate.standing.size(), 1u);
  EXPECT_EQ(only().state, HF_STATE_UNPROTECTED);
  EXPECT_EQ(only().reasons, HF_REASON_RANGE_UNKNOWN);
  EXPECT_TRUE(heard.surveys.empty());
  EXPECT_EQ(core->warnings(only().id).size(), 2u);
  EXPECT_EQ(heard.told_unprotected.size(), 1u);
}

TEST_F(RegistrationsBeforeTheGate, OneOverSeveralMappingsIsAmbiguousNotAnonymous) {
  maps("7f0000000000-7f0000008000 rw-s 00000000 00:1a 77 /mnt/file\n7f0000008000-7f0000010000 rw-s 00000000 00:1a 78 /mnt/other\n");
  start();
  core->take_existing({region(0)});
  ASSERT_EQ(gate.standing.size(), 1u);
  EXPECT_EQ(only().reasons, HF_REASON_RANGE_UNKNOWN);
}

TEST_F(RegistrationsBeforeTheGate, AsManyAsThereAreMappingsArePaired) {
  maps(std::string(kOneFile) + "7f0000020000-7f0000030000 rw-s 00000000 00:1a 78 /mnt/other\n");
  start();
  core->take_existing({region(0), region(1)});
  ASSERT_EQ(gate.standing.size(), 2u);
  for (const auto& [id, lease] : gate.standing) EXPECT_TRUE(lease.record.address);
}

TEST_F(RegistrationsBeforeTheGate, EndsWhenTheKernelNoLongerListsIt) {
  maps(kOneFile);
  start();
  core->take_existing({region(0)});
  EXPECT_TRUE(core->has_existing());
  core->still_existing({region(0)});
  EXPECT_EQ(gate.standing.size(), 1u);
  core->still_existing({});
  EXPECT_TRUE(gate.standing.empty());
  EXPECT_FALSE(core->has_existing());
}

TEST_F(RegistrationsBeforeTheGate, ARestartedDaemonKnowsItStill) {
  maps(kOneFile);
  start();
  core->take_existing({region(0)});
  core.reset();
  start();
  EXPECT_TRUE(core->has_existing());
  core->still_existing({region(0)});
  EXPECT_EQ(gate.standing.size(), 1u);
  core->still_existing({region(5)});
  EXPECT_TRUE(gate.standing.empty());
}

TEST_F(RegistrationsBeforeTheGate, AnObservedOneIsNotTakenTwice) {
  maps(kOneFile);
  auto& one = gate.standing[1];
  gate.next_id = 2;
  one.record.id = 1;
  one.record.kind = HF_LEASE_REGISTRATION;
  one.record.state = HF_STATE_PROTECTED;
  one.record.tgid = 42;
  one.record.holder_start = 10'000'000'000;
  one.record.umem = 0xffff888000001000;
  one.record.length_bytes = kBytes;
  start();
  core->take_existing({region(0)});
  EXPECT_EQ(gate.standing.size(), 1u);
  EXPECT_FALSE(core->has_existing());
}

}  // namespace
}  // namespace hf
