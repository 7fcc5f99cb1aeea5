// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// Whole conversations with one session over a socket pair.
#include "daemon/session.hpp"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <asio/co_spawn.hpp>
#include <asio/io_context.hpp>
#include <cstring>

#include "daemon/json.hpp"
#include "fake_gate.hpp"
#include "scratch.hpp"
#include "socket_pair.hpp"

namespace hf {
namespace {

struct Reply {
  hf_wire_header header{};
  std::string payload;
};

class Conversation : public test::SocketPair, public ::testing::Test {
 protected:
  Conversation() {
    scratch.process(::getpid(), 1000);
    core = Core::start(gate, scratch.path("grants"), heard.hooks(), ProcessTable(scratch.path())).value();
    Session::Socket socket(io, asio::local::stream_protocol(), ours.release());
    session = std::make_shared<Session>(SessionContext{*core, pools, server}, std::move(socket),
                                        Peer{.pid = ::getpid(), .start_ns = 1000 * kClockTickNs, .uid = 1000, .gid = 1000, .comm = "test"});
    asio::co_spawn(io, session->run(), [this](std::exception_ptr) { ended = true; });
    file = Fd(::memfd_create("holdfast-test", MFD_CLOEXEC));
    EXPECT_EQ(::ftruncate(file.get(), 1 << 20), 0);
  }
  ~Conversation() override {
    theirs.reset();
    settle();
    pools.stop();
  }

  /// Lets the session do all that it can now, and the pools' threads with it.
  void settle(int rounds = 20) {
    for (int i = 0; i < rounds; i++) {
      io.restart();
      io.poll();
      if (i) ::usleep(500);
    }
  }

  std::vector<Reply> replies() {
    settle();
    in += drain();
    std::vector<Reply> all;
    while (in.size() >= sizeof(hf_wire_header)) {
      Reply reply;
      std::memcpy(&reply.header, in.data(), sizeof(hf_wire_header));
      if (in.size() < sizeof(hf_wire_header) + reply.header.size) break;
      reply.payload = in.substr(sizeof(hf_wire_header), reply.header.size);
      in.erase(0, sizeof(hf_wire_header) + reply.header.size);
      all.push_back(std::move(reply));
    }
    return all;
  }
  Reply reply() {
    // The pools' threads get their turn when the machine has one for them.
    auto all = replies();
    for (int i = 0; all.empty() && i < 500; i++) all = replies();
    EXPECT_EQ(all.size(), 1u);
    return all.empty() ? Reply{} : all.front();
  }
  int error_of(const Reply& answer) {
    EXPECT_EQ(answer.header.kind, HF_WIRE_ERROR);
    hf_wire_error error{};
    if (answer.payload.size() >= sizeof(error)) std::memcpy(&error, answer.payload.data(), sizeof(error));
    EXPECT_EQ(answer.payload.size(), sizeof(error) + error.text_bytes);
    return error.error;
  }

  void hello() {
    send(frame_bytes(HF_WIRE_HELLO, 1, bytes_of(hf_wire_hello{.version = HF_WIRE_VERSION, .abi_version = HF_ABI_VERSION})));
    EXPECT_EQ(reply().header.kind, HF_WIRE_HELLO);
  }
  std::string acquire_frame(std::vector<hf_wire_range> ranges, std::uint32_t flags = 0) {
    hf_wire_acquire head{.flags = flags, .ranges = static_cast<std::uint32_t>(ranges.size()), .label = "buffers"};
    std::string payload(bytes_of(head));
    for (const auto& range : ranges) payload.append(bytes_of(range));
    return frame_bytes(HF_WIRE_ACQUIRE, 2, payload);
  }
  hf_wire_acquired acquire() {
    send(acquire_frame({{0, 4096}}), {file.get()});
    const auto answer = reply();
    EXPECT_EQ(answer.header.kind, HF_WIRE_ACQUIRED) << answer.payload.substr(std::min<std::size_t>(8, answer.payload.size()));
    hf_wire_acquired acquired{};
    if (answer.payload.size() == sizeof(acquired)) std::memcpy(&acquired, answer.payload.data(), sizeof(acquired));
    return acquired;
  }
  int acquire_fails(std::vector<hf_wire_range> ranges, std::vector<int> descriptors, std::uint32_t flags = 0) {
    send(acquire_frame(std::move(ranges), flags), descriptors);
    const int error = error_of(reply());
    EXPECT_TRUE(gate.standing.empty()) << "nothing stays leased";
    return error;
  }
  hf_denial denial_on_file() {
    hf_denial event{};
    event.op = HF_OP_TRUNCATE;
    event.file = gate.facts(file.get())->file;
    event.end = HF_RANGE_END;
    event.lease_end = 4096;
    event.error = 26;
    event.tgid = event.tid = 99;
    event.uid = 1;
    std::strcpy(event.comm, "evil");
    return event;
  }

  test::Scratch scratch;
  test::FakeGate gate;
  test::Heard heard;
  ServerFacts server{.version = "1.2.3"};
  asio::io_context io;
  Pools pools;
  std::unique_ptr<Core> core;
  std::shared_ptr<Session> session;
  Fd file;
  std::string in;
  bool ended = false;
};

TEST_F(Conversation, BeginsWithHello) {
  send(frame_bytes(HF_WIRE_QUERY, 5, R"({"query": "status"})"));
  const auto answer = reply();
  EXPECT_EQ(error_of(answer), EPROTO);
  EXPECT_EQ(answer.header.cookie, 5u);
  EXPECT_TRUE(ended);
}

TEST_F(Conversation, RefusesAnotherVersionOfTheProtocol) {
  send(frame_bytes(HF_WIRE_HELLO, 1, bytes_of(hf_wire_hello{.version = HF_WIRE_VERSION + 1})));
  EXPECT_EQ(error_of(reply()), EPROTONOSUPPORT);
  settle();
  EXPECT_TRUE(ended);
}

TEST_F(Conversation, EndsAfterAForgedFrameWithoutHarm) {
  hello();
  acquire();
  send(std::string(64, 'X'));
  EXPECT_EQ(error_of(reply()), EPROTO);
  settle();
  EXPECT_TRUE(ended);
  EXPECT_TRUE(gate.standing.empty()) << "and its leases with it";
}

TEST_F(Conversation, RefusesAnUnknownRequestAndGoesOn) {
  hello();
  send(frame_bytes(999, 3, "whatever"));
  EXPECT_EQ(error_of(reply()), ENOSYS);
  acquire();
}

TEST_F(Conversation, AcquiresAndReleases) {
  hello();
  const auto acquired = acquire();
  ASSERT_TRUE(gate.standing.contains(acquired.lease));
  const auto& lease = gate.standing[acquired.lease];
  EXPECT_EQ(lease.record.kind, HF_LEASE_PROCESS);
  EXPECT_EQ(lease.record.state, HF_STATE_PROTECTED);
  EXPECT_EQ(lease.record.tgid, static_cast<std::uint32_t>(::getpid()));
  EXPECT_EQ(core->table().find(acquired.lease)->holder.label, "buffers");
  send(frame_bytes(HF_WIRE_RELEASE, 4, bytes_of(hf_wire_release{acquired.lease})));
  EXPECT_EQ(reply().header.kind, HF_WIRE_OK);
  EXPECT_TRUE(gate.standing.empty());
  send(frame_bytes(HF_WIRE_RELEASE, 4, bytes_of(hf_wire_release{acquired.lease})));
  EXPECT_EQ(error_of(reply()), ENOENT);
}

TEST_F(Conversation, AnswersRequestsThatWereSentTogetherInTheirOrder) {
  hello();
  send(acquire_frame({{0, 4096}}), {file.get()});
  send(acquire_frame({{4096, 4096}}), {file.get()});
  send(frame_bytes(HF_WIRE_QUERY, 9, R"({"query": "status"})"));
  const auto all = replies();
  ASSERT_EQ(all.size(), 3u);
  EXPECT_EQ(all[0].header.kind, HF_WIRE_ACQUIRED);
  EXPECT_EQ(all[1].header.kind, HF_WIRE_ACQUIRED);
  EXPECT_EQ(Json::parse(all[2].payload)["leases"]["total"], 2);
}

TEST_F(Conversation, EndsItsLeasesWithTheConnection) {
  hello();
  acquire();
  theirs.reset();
  settle();
  EXPECT_TRUE(ended);
  EXPECT_TRUE(gate.standing.empty());
  EXPECT_TRUE(core->table().empty());
}

TEST_F(Conversation, RefusesWrongDescriptors) {
  hello();
  EXPECT_EQ(acquire_fails({{0, 4096}}, {}), EBADF);
  EXPECT_EQ(acquire_fails({{0, 4096}}, {file.get(), file.get()}), EBADF);
  Fd path(::open("/", O_PATH | O_CLOEXEC));
  EXPECT_EQ(acquire_fails({{0, 4096}}, {path.get()}), EBADF);
  Fd folder(::open("/", O_RDONLY | O_CLOEXEC));
  EXPECT_EQ(acquire_fails({{0, 4096}}, {folder.get()}), EISDIR);
  EXPECT_NE(acquire_fails({{0, 4096}}, {theirs.get()}), 0);
  Fd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  EXPECT_NE(acquire_fails({{0, 4096}}, {null.get()}), 0);
}

TEST_F(Conversation, RefusesWrongRanges) {
  hello();
  EXPECT_NE(acquire_fails({{0, 2 << 20}}, {file.get()}), 0);
  EXPECT_NE(acquire_fails({{0, 8192}, {4096, 4096}}, {file.get()}), 0);
  EXPECT_NE(acquire_fails({{~0ull, ~0ull}}, {file.get()}), 0);
  EXPECT_EQ(acquire_fails({{0, 4096}}, {file.get()}, 1u << 31), EINVAL);
  auto lying = acquire_frame({{0, 4096}});
  std::uint32_t many = HF_WIRE_RANGES_MAX;
  std::memcpy(lying.data() + sizeof(hf_wire_header) + 4, &many, 4);
  send(lying, {file.get()});
  EXPECT_EQ(error_of(reply()), EPROTO);
}

TEST_F(Conversation, TakesNoRangesForTheWholeFile) {
  hello();
  send(acquire_frame({}), {file.get()});
  EXPECT_EQ(reply().header.kind, HF_WIRE_ACQUIRED);
  EXPECT_EQ(gate.standing.begin()->second.parts.at(0).end, 1u << 20);
}

TEST_F(Conversation, RefusesAMereReaderOfAnothersFile) {
  hello();
  scratch.write("another", std::string(4096, 'x'));
  if (::getuid() == 1000) GTEST_SKIP() << "the file would be the peer's own";
  Fd reader(::open(scratch.path("another").c_str(), O_RDONLY | O_CLOEXEC));
  EXPECT_EQ(acquire_fails({{0, 4096}}, {reader.get()}), EACCES);
  scratch.write(std::to_string(::getpid()) + "/status", "Name:\tx\nCapEff:\t0000000010000000\n");
  send(acquire_frame({{0, 4096}}), {reader.get()});
  EXPECT_EQ(reply().header.kind, HF_WIRE_ACQUIRED) << "with CAP_LEASE it may";
}

TEST_F(Conversation, RefusesAnUnsupportedFilesystem) {
  hello();
  gate.magic = 0x9123683e;  // btrfs
  EXPECT_EQ(acquire_fails({{0, 4096}}, {file.get()}), EOPNOTSUPP);
}

TEST_F(Conversation, RefusesALayoutThatCannotBeReadAlsoAfterSettlingIt) {
  hello();
  gate.magic = 0x58465342;  // XFS, but a memfd has no FIEMAP
  for (int i = 0; i < 20; i++) {
    EXPECT_EQ(acquire_fails({{0, 4096}}, {file.get()}), EOPNOTSUPP);
    EXPECT_EQ(acquire_fails({{0, 4096}}, {file.get()}, HF_WIRE_ACQUIRE_SETTLE), EOPNOTSUPP);
  }
}

TEST_F(Conversation, WithdrawsALeaseWhenTheFileWasCutBeforeItStood) {
  hello();
  gate.after_part = [this] { EXPECT_EQ(::ftruncate(file.get(), 100), 0); };
  EXPECT_EQ(acquire_fails({{0, 8192}}, {file.get()}), EAGAIN);
  EXPECT_TRUE(core->table().empty());
}

TEST_F(Conversation, WaitsForABreakThatIsUnderWay) {
  hello();
  gate.raced_now = true;
  gate.raced_answers = 3;
  acquire();
  EXPECT_EQ(gate.raced_answers, 0);
}

TEST_F(Conversation, TellsTheHolderOfADenialWhenItAskedForThat) {
  hello();
  const auto acquired = acquire();
  core->denied(denial_on_file());
  EXPECT_TRUE(replies().empty());
  send(frame_bytes(HF_WIRE_SUBSCRIBE, 3, bytes_of(hf_wire_subscribe{HF_WIRE_SUBSCRIBE_OWN, 0})));
  EXPECT_EQ(reply().header.kind, HF_WIRE_OK);
  core->denied(denial_on_file());
  const auto answer = reply();
  ASSERT_EQ(answer.header.kind, HF_WIRE_EVENT);
  ASSERT_EQ(answer.payload.size(), sizeof(hf_wire_event));
  hf_wire_event event{};
  std::memcpy(&event, answer.payload.data(), sizeof(event));
  EXPECT_EQ(event.lease, acquired.lease);
  EXPECT_EQ(event.op, std::uint32_t{HF_OP_TRUNCATE});
  EXPECT_EQ(event.breaker_pid, 99u);
  EXPECT_STREQ(event.breaker_comm, "evil");
  EXPECT_EQ(event.length_bytes, HF_RANGE_END);
}

TEST_F(Conversation, TellsAWatcherOnlyWhatConcernsItsUser) {
  hello();
  send(frame_bytes(HF_WIRE_SUBSCRIBE, 3, bytes_of(hf_wire_subscribe{HF_WIRE_SUBSCRIBE_ALL, 0})));
  EXPECT_EQ(reply().header.kind, HF_WIRE_OK);
  EXPECT_EQ(server.watchers, 1u);
  session->announce({R"({"event":"a"})", {1000, 5}});
  session->announce({R"({"event":"b"})", {5}});
  const auto answer = reply();
  EXPECT_EQ(answer.header.kind, HF_WIRE_EVENT);
  EXPECT_EQ(answer.payload, R"({"event":"a"})");
  EXPECT_EQ(error_of((send(acquire_frame({{0, 4096}}), {file.get()}), reply())), EBUSY);
}

TEST_F(Conversation, WithAWatcherThatNeverReadsCostsBoundedMemoryAndLosesAKnownNumber) {
  hello();
  send(frame_bytes(HF_WIRE_SUBSCRIBE, 3, bytes_of(hf_wire_subscribe{HF_WIRE_SUBSCRIBE_ALL, 0})));
  replies();
  constexpr int kEvents = 50'000;
  const Announcement announcement{R"({"event":"x","padding":")" + std::string(200, 'p') + "\"}", {1000}};
  for (int i = 0; i < kEvents; i++) {
    session->announce(announcement);
    ASSERT_LE(session->waiting_bytes(), Outbox::kEventBytesMax + 1024);
  }
  std::uint64_t got = 0;
  for (auto batch = replies(); !batch.empty(); batch = replies()) got += batch.size();
  session->announce(announcement);
  const auto last = Json::parse(reply().payload);
  EXPECT_EQ(got + last["lost"].get<std::uint64_t>(), std::uint64_t{kEvents});
}

TEST_F(Conversation, WithAClientThatAsksAndNeverReadsStopsAnswering) {
  hello();
  ::fcntl(theirs.get(), F_SETFL, O_NONBLOCK);
  const auto question = frame_bytes(HF_WIRE_QUERY, 9, R"({"query": "why"})");
  for (int i = 0; i < 20'000; i++) {
    if (::send(theirs.get(), question.data(), question.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(question.size())) break;
    if (i % 100 == 0) settle(1);
    ASSERT_LE(session->waiting_bytes(), 512u << 10);
  }
}

TEST_F(Conversation, TellsTheHolderWhenItsLeaseEndsWithoutItsAsking) {
  hello();
  send(frame_bytes(HF_WIRE_SUBSCRIBE, 3, bytes_of(hf_wire_subscribe{HF_WIRE_SUBSCRIBE_OWN, 0})));
  EXPECT_EQ(reply().header.kind, HF_WIRE_OK);
  const auto acquired = acquire();
  core->process_gone(session->peer().process());
  const auto answer = reply();
  ASSERT_EQ(answer.header.kind, HF_WIRE_EVENT);
  hf_wire_event event{};
  std::memcpy(&event, answer.payload.data(), sizeof(event));
  EXPECT_EQ(event.kind, std::uint32_t{HF_EVENT_RELEASED});
  EXPECT_EQ(event.lease, acquired.lease);
}

TEST_F(Conversation, ReclaimsAcrossConnections) {
  hello();
  const auto acquired = acquire();
  send(frame_bytes(HF_WIRE_RECLAIM, 5, bytes_of(hf_wire_reclaim{acquired.lease, acquired.token})));
  EXPECT_EQ(reply().header.kind, HF_WIRE_OK) << "again by its owner is harmless";
  send(frame_bytes(HF_WIRE_RECLAIM, 5, bytes_of(hf_wire_reclaim{acquired.lease, acquired.token + 1})));
  EXPECT_EQ(error_of(reply()), EPERM);
}

}  // namespace
}  // namespace hf
