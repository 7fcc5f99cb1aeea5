// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "daemon/core.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include <cstring>

#include "daemon/json.hpp"
#include "fake_gate.hpp"
#include "scratch.hpp"

namespace hf {
namespace {

using test::FakeGate;
using test::Heard;

constexpr hf_file_key kFile{.inode = 100, .device = 7, .generation = 1};
constexpr std::uint64_t kSecondNs = 1'000'000'000;

class Owner final : public LeaseOwner {
 public:
  std::vector<LeaseId> denied, escaped, ended;
  void lease_denied(LeaseId lease, const Denial&) override { denied.push_back(lease); }
  void lease_escaped(LeaseId lease, const Escape&) override { escaped.push_back(lease); }
  void lease_ended(LeaseId lease) override { ended.push_back(lease); }
};

/// Process 42, which started after 1000 clock ticks, lives; 43 does not.
class CoreOverAFakeGate : public ::testing::Test {
 protected:
  CoreOverAFakeGate() { scratch.process(42, 1000); }

  std::uint64_t lease(hf_lease_kind kind, std::uint32_t pid = 42, hf_lease_state state = HF_STATE_PROTECTED) {
    const auto id = gate.next_id++;
    auto& one = gate.standing[id];
    one.record.id = id;
    one.record.kind = static_cast<std::uint8_t>(kind);
    one.record.state = static_cast<std::uint8_t>(state);
    one.record.tgid = one.record.tid = pid;
    one.record.uid = 1000;
    one.record.holder_start = 10 * kSecondNs;
    one.record.umem = kind == HF_LEASE_REGISTRATION ? 0xffff888000001000 : 0;
    one.record.parts = 1;
    one.parts.push_back({.file = kFile, .first = 0, .end = 4096, .magic = gate.magic, .reasons = 0, .slot = 0, .flags = 0});
    return id;
  }

  void start() {
    auto started = Core::start(gate, scratch.path("grants"), heard.hooks(), ProcessTable(scratch.path()));
    ASSERT_TRUE(started) << started.error().text();
    core = std::move(*started);
  }

  hf_denial denial(std::uint64_t first = 0, std::uint64_t end = HF_RANGE_END) {
    hf_denial event{};
    event.kind = HF_EVENT_DENIAL;
    event.op = HF_OP_TRUNCATE;
    event.file = kFile;
    event.first = first;
    event.end = end;
    event.lease_end = 4096;
    event.error = 26;
    event.tgid = event.tid = 99;
    event.uid = 1001;
    std::strcpy(event.file_path, "file/dir");
    return event;
  }

  hf_lifecycle_event event(hf_event_kind kind, std::uint64_t id) { return {.kind = static_cast<std::uint32_t>(kind), .tgid = 42, .lease = id}; }

  test::Scratch scratch;
  FakeGate gate;
  Heard heard;
  std::unique_ptr<Core> core;
};

TEST_F(CoreOverAFakeGate, TakesOverWhatStands) {
  const auto registration = lease(HF_LEASE_REGISTRATION);
  const auto process = lease(HF_LEASE_PROCESS);
  start();
  EXPECT_TRUE(core->table().find(registration));
  EXPECT_TRUE(core->table().find(process));
  ASSERT_EQ(heard.watched.size(), 1u);
  EXPECT_EQ(heard.watched[0].tgid, 42u);
  EXPECT_EQ(heard.surveys.size(), 1u) << "the registration's paths are not in the kernel's maps";
}

TEST_F(CoreOverAFakeGate, EndsWhatAProcessThatIsGoneHeldButNotItsRegistrations) {
  const auto registration = lease(HF_LEASE_REGISTRATION, 43);
  const auto process = lease(HF_LEASE_PROCESS, 43);
  const auto fixed = lease(HF_LEASE_STATIC, 0);
  start();
  EXPECT_FALSE(gate.standing.contains(process));
  EXPECT_TRUE(gate.standing.contains(registration)) << "the uverbs context may be with another process: the kernel ends it";
  EXPECT_TRUE(gate.standing.contains(fixed));
}

TEST_F(CoreOverAFakeGate, EndsALeaseWhoseHolderWasNeverAnswered) {
  const auto process = lease(HF_LEASE_PROCESS, 42, HF_STATE_PINNING);
  start();
  EXPECT_FALSE(gate.standing.contains(process));
}

TEST_F(CoreOverAFakeGate, SweepsTheEntryOfAFileThatHasNoLeaseAnyMore) {
  const auto first = lease(HF_LEASE_PROCESS), second = lease(HF_LEASE_PROCESS);
  start();
  core->maintain(20 * kSecondNs);
  EXPECT_EQ(gate.swept_all, 1) << "at start the whole map: what was left behind is not known";
  EXPECT_TRUE(gate.walked_leased);
  core->withdraw(first);
  core->maintain(21 * kSecondNs);
  EXPECT_TRUE(gate.swept.empty()) << "the file has another lease";
  core->withdraw(second);
  gate.sweep_busy = true;
  core->maintain(22 * kSecondNs);
  EXPECT_TRUE(core->housework_waits());
  gate.sweep_busy = false;
  core->maintain(23 * kSecondNs);
  ASSERT_EQ(gate.swept.size(), 2u);
  EXPECT_TRUE(gate.swept[0] == kFile && gate.swept[1] == kFile);
  EXPECT_FALSE(core->housework_waits());
  EXPECT_EQ(gate.swept_all, 1) << "the map has a million buckets: its walk is not for every end";
  core->maintain(700 * kSecondNs);
  EXPECT_EQ(gate.swept_all, 2) << "but for some of them, since the table does not know all";
  core->maintain(2000 * kSecondNs);
  EXPECT_EQ(gate.swept_all, 2);
}

TEST_F(CoreOverAFakeGate, MakesRoomWhereARegistrationFoundNone) {
  start();
  core->maintain(20 * kSecondNs);
  ASSERT_EQ(gate.swept_all, 1);
  core->maintain(21 * kSecondNs);
  ASSERT_EQ(gate.swept_all, 1);
  const auto id = lease(HF_LEASE_REGISTRATION);
  gate.standing[id].record.state = HF_STATE_UNPROTECTED;
  gate.standing[id].record.reasons = HF_REASON_NO_ROOM;
  core->learn(id);
  core->maintain(22 * kSecondNs);
  EXPECT_EQ(gate.swept_all, 1) << "a walk keeps everybody else waiting";
  EXPECT_TRUE(core->housework_waits());
  core->maintain(31 * kSecondNs);
  EXPECT_EQ(gate.swept_all, 2);
}

TEST_F(CoreOverAFakeGate, LeavesAFileAloneThatIsLeasedAgain) {
  const auto id = lease(HF_LEASE_PROCESS);
  start();
  core->maintain(20 * kSecondNs);
  core->withdraw(id);
  core->learn(lease(HF_LEASE_PROCESS));
  core->maintain(21 * kSecondNs);
  EXPECT_TRUE(gate.swept.empty());
  EXPECT_FALSE(core->housework_waits());
}

TEST_F(CoreOverAFakeGate, GivesALeaseBackToItsHolderAfterARestart) {
  start();
  const auto id = lease(HF_LEASE_PROCESS);
  Owner before;
  const auto token = core->adopt(gate.standing[id].record, gate.standing[id].parts, "mine", "/dir/file", 12, &before);
  ASSERT_TRUE(token);
  start();  // the next daemon
  ASSERT_TRUE(core->table().find(id));
  EXPECT_EQ(core->table().find(id)->holder.label, "mine");
  Owner owner;
  const ProcessKey holder{42, 10 * kSecondNs};
  EXPECT_EQ(core->reclaim(id, *token + 1, holder, &owner).error().code, EPERM);
  EXPECT_EQ(core->reclaim(id, *token, {43, 10 * kSecondNs}, &owner).error().code, EPERM);
  EXPECT_EQ(core->reclaim(id + 1, *token, holder, &owner).error().code, ENOENT);
  EXPECT_TRUE(core->reclaim(id, *token, holder, &owner));
  EXPECT_EQ(core->reclaim(id, *token, holder, &before).error().code, EBUSY);
  EXPECT_TRUE(core->release(id, &owner));
  EXPECT_FALSE(gate.standing.contains(id));
  EXPECT_TRUE(owner.ended.empty()) << "who releases is not told that it ended";
}

hf_escape escape_of(const hf_denial& breaker, std::uint64_t time_ns, std::uint64_t passed_ns = 0, hf_choke choke = HF_CHOKE_TRUNCATE_PAGES) {
  hf_escape event{};
  event.breaker = breaker;
  event.breaker.kind = HF_EVENT_ESCAPE;
  event.breaker.time_ns = time_ns;
  event.choke = choke;
  event.passed_ns = passed_ns;
  return event;
}

TEST_F(CoreOverAFakeGate, AnEscapeIsToldToTheHolderTheOperatorAndTheWatchersAndKept) {
  start();
  const auto id = lease(HF_LEASE_PROCESS);
  Owner owner;
  ASSERT_TRUE(core->adopt(gate.standing[id].record, gate.standing[id].parts, "", "/dir/file", 12, &owner));
  heard.announcements.clear();
  core->escaped(escape_of(denial(), 5 * kSecondNs));
  EXPECT_EQ(owner.escaped, std::vector<LeaseId>{id});
  ASSERT_EQ(heard.told_escapes.size(), 1u);
  EXPECT_EQ(heard.told_escapes[0].what.path, "/dir/file");
  ASSERT_EQ(heard.announcements.size(), 1u);
  EXPECT_EQ(heard.announcements[0].uids, (std::vector<std::uint32_t>{1001, 1000}));
  EXPECT_EQ(core->escapes().last(9), std::vector<std::string>{heard.announcements[0].json});
  const auto kept = heard.recorded(journal_kind::kEscape);
  ASSERT_EQ(kept.size(), 1u);
  EXPECT_EQ(kept[0].data(), heard.announcements[0].json);
  EXPECT_EQ(kept[0].path, "/dir/file");
}

TEST_F(CoreOverAFakeGate, ABreakThatWasUnderWayWhenTheLeaseBeganIsNoEscape) {
  start();
  const auto id = lease(HF_LEASE_PROCESS);
  gate.standing[id].record.since_ns = 10 * kSecondNs;
  Owner owner;
  ASSERT_TRUE(core->adopt(gate.standing[id].record, gate.standing[id].parts, "", "", 12, &owner));
  core->escaped(escape_of(denial(), 11 * kSecondNs, 9 * kSecondNs));
  EXPECT_TRUE(heard.told_escapes.empty());
  EXPECT_EQ(core->raced_breaks(), 1u) << "it is counted";
  core->escaped(escape_of(denial(), 13 * kSecondNs, 12 * kSecondNs));
  EXPECT_EQ(heard.told_escapes.size(), 1u) << "the gate let it pass although the lease stood";
}

TEST_F(CoreOverAFakeGate, TheChokePointsOfOneBreakHaveOneNumber) {
  start();
  core->escaped(escape_of(denial(), 5 * kSecondNs));
  core->escaped(escape_of(denial(), 5 * kSecondNs + 1000, 0, HF_CHOKE_XFS_UNMAP));
  core->escaped(escape_of(denial(), 6 * kSecondNs));
  ASSERT_EQ(heard.told_escapes.size(), 3u);
  EXPECT_EQ(heard.told_escapes[0].number, 1u);
  EXPECT_EQ(heard.told_escapes[1].number, 1u);
  EXPECT_EQ(heard.told_escapes[2].number, 2u);
  EXPECT_EQ(core->escapes().total(), 2u);
}

TEST_F(CoreOverAFakeGate, WhatHappensGoesIntoTheJournal) {
  const auto before = lease(HF_LEASE_REGISTRATION);
  start();
  ASSERT_EQ(heard.recorded(journal_kind::kRegistration).size(), 1u);
  EXPECT_TRUE(Json::parse(heard.recorded(journal_kind::kRegistration)[0].data()).value("found", false)) << "it stood before this daemon";
  const auto id = lease(HF_LEASE_PROCESS);
  Owner owner;
  ASSERT_TRUE(core->adopt(gate.standing[id].record, gate.standing[id].parts, "", "/dir/file", 12, &owner));
  const auto leases = heard.recorded(journal_kind::kLease);
  ASSERT_EQ(leases.size(), 1u);
  EXPECT_EQ(leases[0].lease, id);
  EXPECT_EQ(leases[0].uid, 1000u);
  EXPECT_FALSE(Json::parse(leases[0].data()).contains("found"));
  core->denied(denial());
  const auto denials = heard.recorded(journal_kind::kDenial);
  ASSERT_EQ(denials.size(), 1u);
  EXPECT_EQ(denials[0].operation, "truncate");
  EXPECT_EQ(denials[0].pid, 99u);
  gate.counters.denials_lost = 7;
  core->maintain(0);
  ASSERT_EQ(heard.recorded(journal_kind::kLost).size(), 1u);
  EXPECT_EQ(heard.recorded(journal_kind::kLost)[0].count, 7u);
  ASSERT_TRUE(core->release(id, &owner));
  EXPECT_EQ(heard.recorded(journal_kind::kLeaseEnded).size(), 1u);
  gate.standing.erase(before);
  core->lifecycle(event(HF_EVENT_RELEASED, before));
  EXPECT_EQ(heard.recorded(journal_kind::kRegistrationEnded).size(), 1u);
}

TEST_F(CoreOverAFakeGate, ATracedBreakIsNoAlarm) {
  start();
  Owner owner;
  ASSERT_TRUE(core->trace(kFile, "/scratch", &owner));
  auto event = escape_of(denial(), 5 * kSecondNs);
  event.breaker.kind = HF_EVENT_TRACED;
  event.breaker.file_path[0] = 0;
  core->escaped(event);
  EXPECT_TRUE(heard.told_escapes.empty());
  ASSERT_EQ(heard.announcements.size(), 1u);
  EXPECT_NE(heard.announcements[0].json.find("\"event\":\"traced\""), std::string::npos);
  EXPECT_NE(heard.announcements[0].json.find("/scratch"), std::string::npos);
  core->owner_gone(&owner);
  EXPECT_TRUE(gate.traced.empty());
}

TEST_F(CoreOverAFakeGate, ReleasesOnlyToItsOwner) {
  start();
  const auto id = lease(HF_LEASE_PROCESS);
  Owner owner, stranger;
  ASSERT_TRUE(core->adopt(gate.standing[id].record, gate.standing[id].parts, "", "", 12, &owner));
  EXPECT_EQ(core->release(id, &stranger).error().code, ENOENT);
  EXPECT_TRUE(gate.standing.contains(id));
  core->owner_gone(&stranger);
  EXPECT_TRUE(gate.standing.contains(id));
  core->owner_gone(&owner);
  EXPECT_FALSE(gate.standing.contains(id));
}

TEST_F(CoreOverAFakeGate, EndsLeasesWithTheirProcessAndTellsTheConnection) {
  start();
  const auto id = lease(HF_LEASE_PROCESS);
  Owner owner;
  ASSERT_TRUE(core->adopt(gate.standing[id].record, gate.standing[id].parts, "", "", 12, &owner));
  core->process_gone({42, 10 * kSecondNs});
  EXPECT_FALSE(gate.standing.contains(id));
  EXPECT_EQ(owner.ended, std::vector<LeaseId>{id});
}

TEST_F(CoreOverAFakeGate, EndsManyLeasesAFewAtATime) {
  start();
  Owner owner, other;
  std::vector<std::pair<LeaseId, std::uint64_t>> tokens;
  for (int i = 0; i < 1000; i++) {
    const auto id = lease(HF_LEASE_PROCESS);
    tokens.emplace_back(id, *core->adopt(gate.standing[id].record, gate.standing[id].parts, "", "", 12, &owner));
  }
  core->owner_gone(&owner);
  EXPECT_LT(core->table().size(), 1000u);
  ASSERT_GT(core->table().size(), 0u) << "others wait meanwhile";
  EXPECT_TRUE(core->housework_waits());
  const auto& [id, token] = tokens.back();
  ASSERT_TRUE(core->table().find(id));
  EXPECT_EQ(core->reclaim(id, token, core->table().find(id)->holder.process(), &other).error().code, ENOENT);
  while (core->end_some()) {
  }
  EXPECT_TRUE(core->table().empty());
  EXPECT_TRUE(gate.standing.empty());
}

TEST_F(CoreOverAFakeGate, TriesAgainToEndALeaseThatTheKernelHeldOnTo) {
  start();
  const auto id = lease(HF_LEASE_PROCESS);
  Owner owner;
  ASSERT_TRUE(core->adopt(gate.standing[id].record, gate.standing[id].parts, "", "", 12, &owner));
  gate.fail_end = 1;
  core->owner_gone(&owner);
  EXPECT_TRUE(core->table().find(id)) << "it stands, so it is listed";
  core->maintain(20 * kSecondNs);
  EXPECT_FALSE(gate.standing.contains(id));
  EXPECT_FALSE(core->table().find(id));
}

TEST_F(CoreOverAFakeGate, LeavesALeaseThatHoldfastPinReliesOnToTheKernel) {
  start();
  const auto id = lease(HF_LEASE_PROCESS);
  Owner owner;
  ASSERT_TRUE(core->adopt(gate.standing[id].record, gate.standing[id].parts, "", "", 12, &owner));
  gate.standing[id].record.state = HF_STATE_BOUND;
  core->learn(id);
  EXPECT_TRUE(core->release(id, &owner)) << "its end is under way";
  core->maintain(20 * kSecondNs);
  ASSERT_TRUE(core->table().find(id)) << "it stands, so it is listed";
  EXPECT_EQ(core->table().find(id)->state, HF_STATE_BOUND);
  gate.standing.erase(id);
  core->lifecycle(event(HF_EVENT_RELEASED, id));
  EXPECT_FALSE(core->table().find(id));
}

TEST_F(CoreOverAFakeGate, FollowsRegistrations) {
  start();
  const auto id = lease(HF_LEASE_REGISTRATION);
  core->lifecycle(event(HF_EVENT_REGISTERED, id));
  ASSERT_TRUE(core->table().find(id));
  gate.standing.erase(id);
  core->lifecycle(event(HF_EVENT_RELEASED, id));
  EXPECT_FALSE(core->table().find(id));
  core->lifecycle(event(HF_EVENT_REGISTERED, id));  // late: the map has it no more
  EXPECT_FALSE(core->table().find(id));
}

TEST_F(CoreOverAFakeGate, TellsTheOperatorOnceOfARegistrationThatIsNotProtected) {
  start();
  const auto id = lease(HF_LEASE_REGISTRATION, 42, HF_STATE_UNPROTECTED);
  core->lifecycle(event(HF_EVENT_REGISTERED, id));
  core->lifecycle(event(HF_EVENT_REGISTERED, id));
  EXPECT_EQ(heard.told_unprotected, std::vector<LeaseId>{id});
}

TEST_F(CoreOverAFakeGate, ReadsTheMapsAnewWhenEventsWereLost) {
  start();
  const auto id = lease(HF_LEASE_REGISTRATION);
  core->maintain(20 * kSecondNs);
  EXPECT_FALSE(core->table().find(id));
  gate.counters.lifecycle_lost = 1;
  core->maintain(21 * kSecondNs);
  EXPECT_TRUE(core->table().find(id));
}

TEST_F(CoreOverAFakeGate, GivesAReasonToAPinWhoseEndWasMissed) {
  const auto id = lease(HF_LEASE_REGISTRATION, 42, HF_STATE_PINNING);
  scratch.write("42/task/42/stack", "[<0>] ib_umem_get+0x1/0x2\n");
  start();
  core->maintain(20 * kSecondNs);
  EXPECT_EQ(gate.standing[id].record.state, HF_STATE_PINNING) << "it is still pinning";
  scratch.write("42/task/42/stack", "[<0>] do_nanosleep+0x1/0x2\n");
  core->maintain(21 * kSecondNs);
  EXPECT_EQ(gate.standing[id].record.state, HF_STATE_PROTECTED);
  EXPECT_TRUE(gate.standing[id].record.reasons & HF_REASON_MISSED_RETURN);
}

TEST_F(CoreOverAFakeGate, EndsAPinThatIsGoneWithItsProcess) {
  const auto id = lease(HF_LEASE_REGISTRATION, 43, HF_STATE_PINNING);
  gate.standing[id].record.umem = 0;
  start();
  core->maintain(20 * kSecondNs);
  EXPECT_FALSE(gate.standing.contains(id));
}

TEST_F(CoreOverAFakeGate, NamesWhoWouldHaveLostWhat) {
  start();
  const auto id = lease(HF_LEASE_PROCESS);
  Owner owner;
  ASSERT_TRUE(core->adopt(gate.standing[id].record, gate.standing[id].parts, "mine", "/x", 12, &owner));
  heard.announcements.clear();
  core->denied(denial());
  core->denied(denial(8192, 12288));  // beside it: refused by another's lease, which is not in the table
  EXPECT_EQ(owner.denied, std::vector<LeaseId>{id});
  const auto last = core->denials().last(10);
  ASSERT_EQ(last.size(), 2u);
  EXPECT_EQ(last[1]->leases.at(0).label, "mine");
  EXPECT_EQ(last[1]->path, "/dir/file");
  EXPECT_TRUE(last[0]->leases.empty());
  ASSERT_EQ(heard.announcements.size(), 2u);
  EXPECT_EQ(heard.announcements[0].uids, (std::vector<std::uint32_t>{1001, 1000})) << "the breaker's user and the holder's may hear of it";
  const auto json = Json::parse(heard.announcements[0].json);
  EXPECT_EQ(json["event"], "denial");
  EXPECT_EQ(json["operation"], "truncate");
  EXPECT_EQ(json["error"], "ETXTBSY");
  EXPECT_TRUE(json["range"]["end"].is_null());
}

TEST_F(CoreOverAFakeGate, RemembersABoundedNumberOfDenialsAndTheLastOfEachFile) {
  start();
  auto other = denial();
  other.file.inode = 5;
  core->denied(other);
  for (std::size_t i = 0; i < DenialLog::kRemembered + 10; i++) core->denied(denial());
  EXPECT_EQ(core->denials().size(), DenialLog::kRemembered);
  EXPECT_EQ(core->denials().total(), DenialLog::kRemembered + 11);
  ASSERT_TRUE(core->denials().last_on(other.file));
  EXPECT_EQ(core->denials().last_on(other.file)->number, 1u);
}

TEST_F(CoreOverAFakeGate, TellsWatchersOfDenialsWithoutAnEvent) {
  start();
  gate.counters.denials_lost = 3;
  core->maintain(20 * kSecondNs);
  ASSERT_FALSE(heard.announcements.empty());
  EXPECT_EQ(Json::parse(heard.announcements.back().json)["count"], 3);
}

TEST_F(CoreOverAFakeGate, CompletesARegistrationThatTheKernelSideCouldNotLookAt) {
  const auto id = lease(HF_LEASE_REGISTRATION);
  gate.standing[id].parts.clear();
  gate.standing[id].record.state = HF_STATE_UNPROTECTED;
  gate.standing[id].record.reasons = HF_REASON_VMA_BUSY;
  start();
  ASSERT_EQ(heard.surveys.size(), 1u);
  EXPECT_TRUE(heard.surveys[0].keep_files);
  scratch.write("file", std::string(8192, 'x'));
  Survey found;
  SurveyedPart part;
  part.bytes = {0, 8192};
  part.shared = part.writable = true;
  part.path = "/dir/file";
  part.warnings = {"shared extents"};
  part.file = Fd(::open(scratch.path("file").c_str(), O_RDWR));
  found.parts.push_back(std::move(part));
  core->surveyed(heard.surveys[0], std::move(found));
  EXPECT_EQ(gate.standing[id].record.state, HF_STATE_PROTECTED);
  EXPECT_EQ(gate.standing[id].record.reasons, std::uint32_t{HF_REASON_LATE});
  ASSERT_EQ(gate.standing[id].parts.size(), 1u);
  EXPECT_EQ(core->table().find(id)->files.at(0).extents.total_bytes(), 8192u);
  EXPECT_EQ(core->warnings(id), std::vector<std::string>{"/dir/file: shared extents"});
}

TEST_F(CoreOverAFakeGate, CompletesOnlyWhatTheKernelSideHasNotLeased) {
  scratch.write("file", std::string(8192, 'x'));
  const auto open = [&] { return Fd(::open(scratch.path("file").c_str(), O_RDWR)); };
  const auto key = gate.facts(open().get())->file;
  const auto id = lease(HF_LEASE_REGISTRATION);
  gate.standing[id].parts = {{.file = key, .first = 0, .end = 4096, .magic = gate.magic, .reasons = 0, .slot = 0, .flags = 0}};
  gate.standing[id].record.reasons = HF_REASON_VMA_BUSY;
  start();
  Survey found;
  const auto add = [&](Extent bytes, std::uint32_t device) {
    SurveyedPart part;
    part.bytes = bytes;
    part.inode = key.inode;
    part.device = device;
    part.shared = part.writable = true;
    part.file = open();
    found.parts.push_back(std::move(part));
  };
  add({0, 4096}, key.device);
  add({4096, 8192}, key.device);
  add({0, 4096}, key.device + 1);  // another filesystem's file of that number
  core->surveyed(heard.surveys.at(0), std::move(found));
  const auto& parts = gate.standing[id].parts;
  ASSERT_EQ(parts.size(), 3u);
  EXPECT_EQ(parts[1].first, 4096u);
  EXPECT_EQ(parts[2].first, 0u);
}

TEST_F(CoreOverAFakeGate, DropsASurveyOfARegistrationThatEnded) {
  const auto id = lease(HF_LEASE_REGISTRATION);
  start();
  gate.standing.erase(id);
  core->lifecycle(event(HF_EVENT_RELEASED, id));
  core->surveyed(heard.surveys.at(0), {});
  EXPECT_TRUE(core->warnings(id).empty());
}

}  // namespace
}  // namespace hf
