// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "daemon/guards.hpp"

#include <gtest/gtest.h>

#include "daemon/configuration.hpp"
#include "daemon/recalls.hpp"
#include "fake_gate.hpp"
#include "lease/seals.hpp"
#include "scratch.hpp"
#include "wire.h"

namespace hf {
namespace {

constexpr std::uint32_t kPool = kernel_device(0, 41), kOther = kernel_device(0, 42);

std::uint32_t mask(std::vector<std::string> names) { return *seals_from_names(names); }

Policy policy(const std::string& text) {
  auto configuration = check_configuration({{"test", text}}, {[](std::string_view) { return 1000; }, [](std::string_view) { return 500; }});
  EXPECT_TRUE(configuration.usable()) << configuration.usable().error().text();
  return configuration.policy;
}

class GuardsOverAFakeGate : public ::testing::Test {
 protected:
  GuardsOverAFakeGate() {
    scratch.write("mountinfo",
                  "30 1 0:41 / /mnt/pool rw - tmpfs pool rw\n31 1 0:42 / /mnt/other rw - tmpfs other rw\n32 1 0:43 / /proc rw - proc proc rw\n"
                  "33 1 0:42 /folder /mnt/bind rw - tmpfs other rw\n");
  }
  test::Scratch scratch;
  test::FakeGate gate;
  Guards guards{gate, scratch.path("mountinfo")};
};

TEST_F(GuardsOverAFakeGate, GivesEachFilesystemItsPolicy) {
  ASSERT_TRUE(guards.apply(policy("[[mount]]\npath = \"/mnt/pool\"\nseals = \"reflink\"\n[default]\nodp = \"observe\"\n")));
  EXPECT_EQ(gate.policies[kPool].seals, mask({"reflink"}));
  EXPECT_EQ(gate.policies[kOther].seals, 0u);
  EXPECT_EQ(gate.policies[kOther].flags, HF_MOUNT_ODP_OBSERVED);
  EXPECT_EQ(gate.default_flags, HF_MOUNT_ODP_OBSERVED) << "of filesystems that only others see";
  EXPECT_FALSE(gate.policies.contains(kernel_device(0, 43))) << "proc is nothing to guard";
  EXPECT_EQ(guards.filesystems().at(kOther).points, std::vector<std::string>{"/mnt/other"}) << "a bind mount of a folder is not the filesystem";
}

TEST_F(GuardsOverAFakeGate, AllOrNothing) {
  ASSERT_TRUE(guards.apply(policy("[[mount]]\npath = \"/mnt/pool\"\nseals = \"reflink\"\n")));
  gate.fail_mount = kOther;
  EXPECT_FALSE(guards.apply(policy("[[mount]]\npath = \"/mnt/pool\"\nseals = \"truncate\"\n")));
  EXPECT_EQ(gate.policies[kPool].seals, mask({"reflink"}));
  EXPECT_EQ(guards.of(kPool).seals, mask({"reflink"}));
}

TEST_F(GuardsOverAFakeGate, AFilesystemThatHasGoneLeavesNoSeal) {
  gate.policies[kernel_device(0, 99)] = {.leases = 0, .seals = mask({"all"}), .flags = 0, .window = 0};
  ASSERT_TRUE(guards.apply({}));
  EXPECT_EQ(gate.policies[kernel_device(0, 99)].seals, 0u) << "another may get its number";
}

TEST_F(GuardsOverAFakeGate, ListsHoldersAndExceptions) {
  scratch.write("program", "x");
  ASSERT_TRUE(guards.apply(policy(
      "[[mount]]\npath = \"/mnt/pool\"\nseals = \"all\"\nholders = { users = [\"kv\"], groups = [\"rdma\"] }\nexcept = [{ user = \"kv\" }, { program = \"" +
      scratch.path("program") + "\" }, { program = \"/no/such\" }]\n")));
  ASSERT_EQ(gate.listed.size(), 4u);
  EXPECT_EQ(gate.listed[0].list, static_cast<__u32>(HF_LIST_HOLDER_USER));
  EXPECT_EQ(gate.listed[2].id, 1000u);
  EXPECT_NE(gate.listed[3].program.inode, 0u);
  EXPECT_EQ(gate.listed[3].id, 0u) << "a program alone: run by root";
  EXPECT_EQ(guards.remarks().size(), 1u) << "a program that is not there is told";
}

/// A core, and recalls over it: 42 is the administrator's command, 43 a holder.
class RecallsOverAFakeGate : public ::testing::Test {
 protected:
  static constexpr hf_file_key kFile{.inode = 100, .device = kPool, .generation = 1};

  RecallsOverAFakeGate() {
    scratch.process(42, 1000);
    scratch.process(43, 1000);
    begin_daemon();
  }
  void begin_daemon() {
    recalls.reset();
    auto hooks = heard.hooks();
    hooks.lease_came = [this](const Lease& lease) {
      if (recalls) recalls->lease_came(lease);
    };
    hooks.lease_went = [this](const Lease& lease) {
      if (recalls) recalls->lease_went(lease);
    };
    core = Core::start(gate, scratch.path("grants"), hooks, ProcessTable(scratch.path())).value();
    recalls = std::make_unique<Recalls>(*core, Recalls::Outside{.tell = [this](const ProcessKey& process, LeaseId, hf_event_kind kind,
                                                                               std::uint64_t) { told.emplace_back(process.tgid, kind); },
                                                                .signal = [this](const ProcessKey& process, int signal) -> Status {
                                                                  signals.emplace_back(process.tgid, signal);
                                                                  return {};
                                                                },
                                                                .hold_again = [](const std::function<void()>& then) { then(); },
                                                                .log = [this](const std::string& line) { log.push_back(line); },
                                                                .now_ns = [this] { return now; }});
    ASSERT_TRUE(recalls->restore());
  }
  LeaseId hold(std::uint32_t pid, hf_lease_kind kind = HF_LEASE_PROCESS) {
    const auto id = gate.next_id++;
    auto& one = gate.standing[id];
    one.record.id = id;
    one.record.kind = static_cast<__u8>(kind);
    one.record.state = HF_STATE_PROTECTED;
    one.record.tgid = pid;
    one.record.holder_start = 1000 * kClockTickNs;
    one.record.umem = kind == HF_LEASE_REGISTRATION;
    one.record.parts = 1;
    one.parts.push_back({.file = kFile, .first = 0, .end = 4096, .magic = gate.magic, .reasons = 0, .slot = 0, .flags = 0});
    core->learn(id);
    return id;
  }
  RecallRules rules(Escalation on_timeout = Escalation::deny) {
    RecallPolicy policy;
    policy.most = Escalation::kill;
    return *RecallRules::within(policy, 30, on_timeout, true);
  }
  std::string phase() {
    const auto state = recalls->status(admin);
    return state ? (*state)["phase"].get<std::string>() : "none";
  }

  test::Scratch scratch;
  test::FakeGate gate;
  test::Heard heard;
  std::unique_ptr<Core> core;
  std::unique_ptr<Recalls> recalls;
  std::vector<std::pair<std::uint32_t, hf_event_kind>> told;
  std::vector<std::pair<std::uint32_t, int>> signals;
  std::vector<std::string> log;
  std::uint64_t now = 1'000'000'000;
  Peer admin{.pid = 42, .start_ns = 1000 * kClockTickNs, .uid = 0, .gid = 0, .comm = "holdfast"};
};

TEST_F(RecallsOverAFakeGate, TheWindowOpensWhenAllHaveLetGoAndEndsWithTheCommand) {
  const auto lease = hold(43);
  ASSERT_TRUE(recalls->begin(admin, kFile, false, "/f", rules()));
  EXPECT_EQ(told, (std::vector<std::pair<std::uint32_t, hf_event_kind>>{{43, HF_EVENT_RECALL}}));
  EXPECT_TRUE(recalls->covers(kFile));
  EXPECT_TRUE(gate.open_windows.empty());
  core->withdraw(lease);
  EXPECT_EQ(phase(), "window");
  EXPECT_TRUE(gate.open_windows.contains(42));
  ASSERT_EQ(gate.standing.size(), 1u) << "the window's own hold";
  EXPECT_EQ(gate.standing.begin()->second.parts.front().flags, HF_PART_WINDOW);
  ASSERT_TRUE(recalls->finish(admin));
  EXPECT_EQ(phase(), "over");
  EXPECT_TRUE(gate.open_windows.empty());
  EXPECT_TRUE(gate.standing.empty());
}

TEST_F(RecallsOverAFakeGate, AWindowOutlivesTheDaemonButNotItsProcess) {
  ASSERT_TRUE(recalls->begin(admin, kFile, false, "/f", rules()));
  begin_daemon();
  EXPECT_EQ(phase(), "window");
  EXPECT_TRUE(recalls->covers(kFile));
  std::filesystem::remove_all(scratch.path("42"));
  begin_daemon();
  EXPECT_EQ(phase(), "none");
  EXPECT_TRUE(gate.open_windows.empty());
  EXPECT_TRUE(gate.standing.empty());
}

TEST_F(RecallsOverAFakeGate, ARecallThatHadNotComeToItsWindowEndsWithTheDaemon) {
  const auto lease = hold(43);
  ASSERT_TRUE(recalls->begin(admin, kFile, false, "/f", rules()));
  begin_daemon();
  EXPECT_EQ(recalls->status(admin).error().code, ENOENT) << "the command asks anew";
  EXPECT_EQ(gate.standing.size(), 1u);
  EXPECT_TRUE(gate.standing.contains(lease)) << "the holder keeps what it has";
}

TEST_F(RecallsOverAFakeGate, OnlyTheHolderAnswers) {
  const auto lease = hold(43);
  const auto registration = hold(43, HF_LEASE_REGISTRATION);
  ASSERT_TRUE(recalls->begin(admin, kFile, false, "/f", rules()));
  EXPECT_EQ(recalls->answer({44, 1000 * kClockTickNs}, lease, HF_WIRE_RECALL_FENCED).error().code, ENOENT);
  EXPECT_EQ(recalls->answer({43, 1000 * kClockTickNs}, lease, 9).error().code, EINVAL);
  ASSERT_TRUE(recalls->answer({43, 1000 * kClockTickNs}, lease, HF_WIRE_RECALL_FENCED));
  EXPECT_FALSE(gate.standing.contains(lease));
  ASSERT_TRUE(recalls->answer({43, 1000 * kClockTickNs}, registration, HF_WIRE_RECALL_FENCED));
  EXPECT_TRUE(gate.standing.contains(registration)) << "a registration pins until it is gone";
  EXPECT_EQ(phase(), "asking");
}

TEST_F(RecallsOverAFakeGate, WhoIsEndedIsNamedBefore) {
  (void)hold(43);
  ASSERT_TRUE(recalls->begin(admin, kFile, false, "/f", rules(Escalation::kill)));
  for (const auto seconds : {30, 10, 10}) {
    now += static_cast<std::uint64_t>(seconds) * 1'000'000'000;
    recalls->tick();
  }
  EXPECT_EQ(signals, (std::vector<std::pair<std::uint32_t, int>>{{43, SIGTERM}, {43, SIGKILL}}));
  EXPECT_NE(std::find_if(log.begin(), log.end(), [](const std::string& line) { return line.find("SIGTERM to process 43") != std::string::npos; }), log.end());
}

TEST_F(RecallsOverAFakeGate, AWholeFilesystemIsSealedWhileItsWindowIsOpen) {
  ASSERT_TRUE(recalls->begin(admin, {.inode = 0, .device = kPool, .generation = 0}, true, "/mnt/pool", rules()));
  EXPECT_EQ(gate.policies[kPool].window, 42u);
  EXPECT_FALSE(recalls->begin({.pid = 43, .start_ns = 1000 * kClockTickNs, .uid = 0}, kFile, false, "/f", rules())) << "a file of it is being recalled already";
  ASSERT_TRUE(recalls->finish(admin));
  EXPECT_EQ(gate.policies[kPool].window, 0u);
}

}  // namespace
}  // namespace hf
