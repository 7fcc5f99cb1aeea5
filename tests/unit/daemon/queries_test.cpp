// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// The shape of every answer (docs/json.md), and who sees what.
#include "daemon/queries.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <cstring>
#include <set>

#include "catalog/break_sources.hpp"
#include "daemon/json.hpp"
#include "fake_gate.hpp"
#include "scratch.hpp"

namespace hf {
namespace {

std::set<std::string> keys(const Json& object) {
  std::set<std::string> names;
  for (const auto& [name, value] : object.items()) names.insert(name);
  return names;
}
using Names = std::set<std::string>;

/// One registration of user 1000 over bytes [100, 5000) of a file, one denial by user 1001.
class Queries : public ::testing::Test {
 protected:
  Queries() {
    scratch.process(42, 1000);
    scratch.write("file", std::string(8192, 'x'));
    file = Fd(::open(scratch.path("file").c_str(), O_RDONLY));
    key = gate.facts(file.get())->file;
    auto& lease = gate.standing[1];
    lease.record = {{.umem = 1,
                     .address = 0x7f0000000000,
                     .length_bytes = 4900,
                     .since_ns = 1,
                     .holder_start = 10'000'000'000,
                     .tgid = 42,
                     .tid = 42,
                     .uid = 1000,
                     .gid = 1000,
                     .access = 3,
                     .reasons = HF_REASON_LATE,
                     .parts = 1,
                     .kind = HF_LEASE_REGISTRATION,
                     .state = HF_STATE_PROTECTED,
                     .comm = "target"},
                    1,
                    "rxe0"};
    lease.parts.push_back({.file = key, .first = 100, .end = 5000, .magic = gate.magic, .reasons = 0, .slot = 0, .flags = 0});
    core = Core::start(gate, scratch.path("grants"), heard.hooks(), ProcessTable(scratch.path())).value();
    hf_denial denial{};
    denial.op = HF_OP_PUNCH;
    denial.file = key;
    denial.end = 4096;
    denial.lease_end = 8192;
    denial.error = 26;
    denial.tgid = denial.tid = 99;
    denial.uid = 1001;
    denial.syscall_nr = 285;
    std::strcpy(denial.comm, "\xff evil");
    core->denied(denial);
  }

  Json ask(const std::string& request, uid_t uid = 0, int fd = -1) {
    const auto text = answer_query(*core, server, {.pid = 1, .uid = uid, .gid = uid}, request, fd, nullptr);
    EXPECT_TRUE(text) << text.error().text();
    return text ? Json::parse(*text) : Json();
  }

  test::Scratch scratch;
  test::FakeGate gate;
  test::Heard heard;
  ServerFacts server{.version = "1.2.3", .socket = "/s", .started_ns = 1};
  Fd file;
  hf_file_key key{};
  std::unique_ptr<Core> core;
};

TEST_F(Queries, StatusHasItsFields) {
  const auto answer = ask(R"({"query": "status"})");
  EXPECT_EQ(answer["schema"], "holdfast.status/1");
  EXPECT_EQ(keys(answer), (Names{"schema", "version", "pid", "uptime_s", "socket", "node", "gate", "leases", "registrations", "files", "denials", "escapes",
                                 "journal", "connections", "watchers", "recalls", "mounts", "qualified"}));
  EXPECT_EQ(keys(answer["gate"]),
            (Names{"armed_by", "abi", "object", "took_over", "complete", "trouble", "denials", "denials_lost", "passed", "registrations_seen",
                   "registrations_unprotected", "hints_missed", "lifecycle_lost", "escapes", "escapes_lost", "tripwire_missed", "tripwire_blind"}));
  EXPECT_EQ(answer["leases"]["by_kind"], (Json{{"process", 0}, {"registration", 1}, {"static", 0}}));
  EXPECT_EQ(answer["registrations"]["protected"], 1);
  EXPECT_EQ(answer["files"], 1);
}

TEST_F(Queries, EscapesAreShownToThoseWhomTheyConcern) {
  EXPECT_EQ(ask(R"({"query": "escapes"})")["escapes"].size(), 0u);
  hf_escape escape{};
  escape.breaker.kind = HF_EVENT_ESCAPE;
  escape.breaker.file = key;
  escape.breaker.end = escape.breaker.lease_end = 4096;
  escape.breaker.uid = 1001;
  escape.breaker.syscall_nr = 285;
  escape.choke = HF_CHOKE_SHMEM;
  core->escaped(escape);
  const auto answer = ask(R"({"query": "escapes"})");
  EXPECT_EQ(answer["schema"], "holdfast.escapes/1");
  ASSERT_EQ(answer["escapes"].size(), 1u);
  const auto& event = answer["escapes"][0];
  EXPECT_EQ(event["event"], "escape");
  EXPECT_EQ(event["severity"], "critical");
  EXPECT_EQ(event["choke_point"], "shmem_undo_range");
  EXPECT_EQ(event["operation"], nullptr);
  EXPECT_FALSE(event.contains("error")) << "nothing was refused";
  EXPECT_EQ(event["leases"].size(), 1u);
  EXPECT_EQ(ask(R"({"query": "escapes"})", 1000)["escapes"].size(), 1u) << "the holder's user";
  EXPECT_EQ(ask(R"({"query": "escapes"})", 1001)["escapes"].size(), 1u) << "the breaker's user";
  EXPECT_EQ(ask(R"({"query": "escapes"})", 1002)["escapes"].size(), 0u);
}

TEST_F(Queries, OnlyRootTracesAndNeedsADescriptor) {
  EXPECT_EQ(answer_query(*core, server, {.pid = 1, .uid = 1000}, R"({"query": "trace"})", file.get(), nullptr).error().code, EPERM);
  EXPECT_EQ(answer_query(*core, server, {.pid = 1}, R"({"query": "trace"})", -1, nullptr).error().code, EINVAL);
  EXPECT_TRUE(gate.traced.empty());
  EXPECT_EQ(ask(R"({"query": "trace"})", 0, file.get())["schema"], "holdfast.trace/1");
  ASSERT_EQ(gate.traced.size(), 1u);
  core->owner_gone(nullptr);
  EXPECT_TRUE(gate.traced.empty()) << "it ends with the connection that asked";
}

TEST_F(Queries, SyncReadsWhatTheKernelHasToTellFirst) {
  int reads = 0;
  server.read_events = [&] { reads++; };
  EXPECT_EQ(ask(R"({"query": "sync"})")["schema"], "holdfast.sync/1");
  EXPECT_EQ(reads, 1);
}

TEST_F(Queries, LeasesShowWhatIsProtectedAndWhatWasAsked) {
  const auto answer = ask(R"({"query": "leases"})");
  EXPECT_EQ(answer["schema"], "holdfast.leases/1");
  ASSERT_EQ(answer["files"].size(), 1u);
  const auto& entry = answer["files"][0];
  EXPECT_EQ(keys(entry), (Names{"path", "file", "filesystem", "dax", "protected", "merged", "leases", "leases_of_others"}));
  EXPECT_EQ(entry["protected"], Json::parse(R"([{"first": 0, "end": 8192, "leases": 1}])"));
  const auto& lease = entry["leases"][0];
  EXPECT_EQ(keys(lease), (Names{"id", "kind", "state", "since", "age_s", "asked", "unprotected", "reasons", "holder"}));
  EXPECT_EQ(lease["asked"], Json::parse(R"([{"first": 100, "end": 5000}])"));
  EXPECT_EQ(lease["holder"]["comm"], "target");
  EXPECT_EQ(lease["reasons"][0]["id"], "late");
}

TEST_F(Queries, RegistrationsHaveTheirFields) {
  const auto answer = ask(R"({"query": "registrations"})");
  EXPECT_EQ(answer["schema"], "holdfast.registrations/1");
  const auto& one = answer["registrations"][0];
  EXPECT_EQ(keys(one),
            (Names{"id", "process", "device", "address", "length_bytes", "access", "plan", "state", "reasons", "warnings", "since", "age_s", "files"}));
  EXPECT_EQ(one["device"], "rxe0");
  EXPECT_EQ(one["address"], "0x7f0000000000");
  EXPECT_EQ(one["access"], Json::parse(R"(["local-write", "remote-write"])"));
  EXPECT_EQ(one["plan"], "plain");
  EXPECT_EQ(one["state"], "protected");
  EXPECT_EQ(keys(one["files"][0]), (Names{"path", "file", "filesystem", "dax", "extents", "unprotected", "reasons"}));
}

TEST_F(Queries, WhyNamesEveryOperationOfTheGateAndTheLastDenial) {
  const auto answer = ask(R"({"query": "why"})", 0, file.get());
  EXPECT_EQ(answer["schema"], "holdfast.why/1");
  EXPECT_EQ(answer["leased"], true);
  EXPECT_EQ(answer["smallest_size_bytes"], 8192);
  std::size_t refused = 0;
  for (const auto& source : break_sources()) refused += source.op != HF_OP_NONE && source.verdict == Verdict::refused;
  EXPECT_EQ(answer["refused"].size(), refused);
  for (const auto& one : answer["refused"]) EXPECT_EQ(one["error"], "ETXTBSY") << one;
  EXPECT_EQ(answer["last_denial"]["operation"], "punch");
}

TEST_F(Queries, WhyTakesAKeyInPlaceOfADescriptor) {
  const auto answer = ask(json_text({{"query", "why"}, {"inode", key.inode}, {"device", key.device}, {"generation", key.generation}}));
  EXPECT_EQ(answer["leased"], true);
  EXPECT_EQ(ask(R"({"query": "why", "inode": 12345})")["leased"], false);
}

TEST_F(Queries, DenialsNameTheBreakerAndSayWhatIsMissing) {
  const auto answer = ask(R"({"query": "denials"})");
  EXPECT_EQ(answer["schema"], "holdfast.denials/1");
  const auto& denial = answer["denials"][0];
  EXPECT_EQ(keys(denial), (Names{"number", "time", "time_ns", "operation", "error", "path", "file", "filesystem", "range", "leased", "beside", "detail",
                                 "breaker", "leases"}));
  const auto& breaker = denial["breaker"];
  EXPECT_EQ(keys(breaker),
            (Names{"kind",      "pid",        "tid",          "comm",    "thread_comm", "uid",  "gid",       "euid",        "user",  "missing",
                   "login_uid", "executable", "command_line", "parents", "cgroup",      "unit", "container", "system_call", "stack", "complete"}));
  EXPECT_TRUE(breaker["executable"].is_null());
  EXPECT_NE(breaker["missing"]["executable"].get<std::string>(), "");
  EXPECT_EQ(breaker["complete"], false);
  EXPECT_EQ(breaker["system_call"]["name"], "fallocate");
  EXPECT_EQ(breaker["comm"], "\xef\xbf\xbd evil") << "bytes that are not UTF-8 don't break the answer";
}

TEST_F(Queries, AStrangerSeesThatOthersHoldTheFileButNotWho) {
  constexpr uid_t kStranger = 2000;
  EXPECT_TRUE(ask(R"({"query": "leases"})", kStranger)["files"].empty());
  EXPECT_TRUE(ask(R"({"query": "registrations"})", kStranger)["registrations"].empty());
  EXPECT_TRUE(ask(R"({"query": "denials"})", kStranger)["denials"].empty());
  const auto why = ask(R"({"query": "why"})", kStranger, file.get());
  EXPECT_EQ(why["leased"], true);
  EXPECT_TRUE(why["leases"].empty());
  EXPECT_EQ(why["leases_of_others"], 1);
  EXPECT_TRUE(why["last_denial"].is_null());
}

TEST_F(Queries, AUserSeesTheirOwn) {
  EXPECT_EQ(ask(R"({"query": "registrations"})", 1000)["registrations"].size(), 1u);
  EXPECT_EQ(ask(R"({"query": "denials"})", 1000)["denials"].size(), 1u) << "as the holder";
  EXPECT_EQ(ask(R"({"query": "denials"})", 1001)["denials"].size(), 1u) << "as the breaker";
}

TEST_F(Queries, ListsAreBounded) {
  const auto answer = ask(R"({"query": "registrations", "limit": 0})");
  EXPECT_TRUE(answer["registrations"].empty());
  EXPECT_EQ(answer["left_out"], 1);
}

TEST_F(Queries, NonsenseIsAnErrorWithTheNextStep) {
  for (const char* request : {"", "x", "[]", "{}", "null", "{\"query\": 5}", "{\"query\": \"nope\"}", "{\"query\": \"why\"}",
                              "{\"query\": \"why\", \"inode\": -1}", "\xff\xfe", "{\"query\""}) {
    const auto answer = answer_query(*core, server, {.pid = 1}, request, -1, nullptr);
    ASSERT_FALSE(answer) << request;
    EXPECT_EQ(answer.error().code, EINVAL) << request;
    EXPECT_NE(answer.error().hint, "") << request;
  }
  const std::string deep(60'000, '[');
  EXPECT_FALSE(answer_query(*core, server, {.pid = 1}, deep, -1, nullptr));
}

}  // namespace
}  // namespace hf
