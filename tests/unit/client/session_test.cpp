// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// The library's functions against a daemon that follows a script.
#include <sys/wait.h>

#include <atomic>
#include <chrono>
#include <future>
#include <thread>
#include <vector>

#include "catalog/break_sources.hpp"
#include "holdfast/holdfast.h"
#include "scripted_daemon.hpp"

namespace hf::test {
namespace {

using namespace std::chrono_literals;

std::string error_text(hf_session* session) {
  char text[512];
  hf_error_text(session, text, sizeof text);
  return text;
}

hf_wire_event denial(std::uint64_t lease) {
  hf_wire_event event{};
  event.lease = lease;
  event.kind = HF_EVENT_DENIAL;
  event.op = HF_OP_PUNCH;
  event.offset_bytes = 4096;
  event.length_bytes = 8192;
  event.error = ETXTBSY;
  event.breaker_pid = 77;
  std::strcpy(event.breaker_comm, "fallocate");
  std::strcpy(event.breaker_exe, "/usr/bin/fallocate");
  return event;
}

struct SessionTest : ::testing::Test {
  /// Runs the script beside the test.
  template <class Script>
  std::future<void> script(Script body) {
    return std::async(std::launch::async, body);
  }
  void connect() {
    auto served = script([&] {
      peer = std::make_unique<Peer>(daemon.accept());
      peer->greet();
    });
    ASSERT_EQ(hf_connect(daemon.path(), &session), 0);
    served.get();
  }
  void acquire(std::uint64_t id = 5, std::uint64_t token = 99) {
    auto served = script([=, this] { peer->grant(id, token); });
    ASSERT_EQ(hf_acquire(session, file.get(), nullptr, 0, 0, "test", &lease), 0);
    served.get();
  }
  /// Takes up the session that comes back, and answers its reclaim.
  void serve_return(std::uint32_t answer, std::string payload = {}) {
    peer = std::make_unique<Peer>(daemon.accept());
    peer->greet();
    peer->reply(peer->expect(HF_WIRE_SUBSCRIBE), HF_WIRE_OK);
    const Request reclaim = peer->expect(HF_WIRE_RECLAIM);
    EXPECT_EQ(reclaim.as<hf_wire_reclaim>().lease, 5u);
    EXPECT_EQ(reclaim.as<hf_wire_reclaim>().token, 99u);
    peer->reply(reclaim, answer, payload);
  }
  /// As an event loop does it: asks for events only when the event descriptor is readable.
  bool poll_event(hf_lease_event& event, std::chrono::milliseconds limit = 5s) {
    const auto until = std::chrono::steady_clock::now() + limit;
    do {
      if (!readable(hf_event_fd(session), 100)) continue;
      const int result = hf_next_event(session, &event, sizeof event);
      EXPECT_GE(result, 0);
      if (result > 0) return true;
    } while (std::chrono::steady_clock::now() < until);
    return false;
  }
  void TearDown() override { hf_disconnect(session); }

  ScriptedDaemon daemon;
  std::unique_ptr<Peer> peer;
  Fd file = some_file();
  hf_session* session = nullptr;
  hf_lease_handle* lease = nullptr;
};

TEST_F(SessionTest, NobodyListensIsToldByErrnoAndLeavesTheOutputAlone) {
  auto* untouched = reinterpret_cast<hf_session*>(1);
  EXPECT_EQ(hf_connect("/nonexistent/socket", &untouched), -ENOENT);
  daemon.stop();
  EXPECT_EQ(hf_connect(daemon.path(), &untouched), -ECONNREFUSED);
  EXPECT_EQ(untouched, reinterpret_cast<hf_session*>(1));
}

TEST_F(SessionTest, TheEnvironmentNamesTheSocket) {
  setenv("HOLDFAST_SOCKET", "/nonexistent/socket", 1);
  EXPECT_EQ(hf_connect(nullptr, &session), -ENOENT);
  setenv("HOLDFAST_SOCKET", daemon.path(), 1);
  auto served = script([&] { daemon.accept().greet(); });
  EXPECT_EQ(hf_connect(nullptr, &session), 0);
  served.get();
  unsetenv("HOLDFAST_SOCKET");
}

TEST_F(SessionTest, AnotherVersionIsRefused) {
  auto served = script([&] {
    Peer other = daemon.accept();
    other.reply(other.expect(HF_WIRE_HELLO), HF_WIRE_HELLO, hello_payload(HF_WIRE_VERSION + 1));
  });
  EXPECT_EQ(hf_connect(daemon.path(), &session), -EPROTONOSUPPORT);
  served.get();
}

TEST_F(SessionTest, SomethingElseOnTheSocketIsRefused) {
  auto served = script([&] {
    Peer other = daemon.accept();
    other.send_bytes("220 smtp.example.org ready, hello\r\n");
    other.next();
  });
  EXPECT_EQ(hf_connect(daemon.path(), &session), -EPROTO);
  served.get();
}

TEST_F(SessionTest, ARefusedHelloGivesTheDaemonsErrno) {
  auto served = script([&] {
    Peer other = daemon.accept();
    other.reply(other.expect(HF_WIRE_HELLO), HF_WIRE_ERROR, error_payload(EACCES, "no"));
  });
  EXPECT_EQ(hf_connect(daemon.path(), &session), -EACCES);
  served.get();
}

TEST_F(SessionTest, AcquireSendsTheDescriptorTheRangesAndTheLabel) {
  connect();
  struct stat mine {};
  ASSERT_EQ(fstat(file.get(), &mine), 0);
  auto served = script([&] {
    const Request request = peer->grant(5, 99);
    struct stat theirs {};
    ASSERT_TRUE(request.file);
    ASSERT_EQ(fstat(request.file.get(), &theirs), 0);
    EXPECT_EQ(theirs.st_ino, mine.st_ino);
    const auto head = request.as<hf_wire_acquire>();
    EXPECT_EQ(head.flags, HF_WIRE_ACQUIRE_SETTLE);
    ASSERT_EQ(head.ranges, 2u);
    EXPECT_STREQ(head.label, "cache");
    hf_wire_range second;
    std::memcpy(&second, request.payload.data() + sizeof head + sizeof second, sizeof second);
    EXPECT_EQ(second.offset_bytes, 8192u);
    EXPECT_EQ(second.length_bytes, 4096u);
  });
  const hf_range ranges[] = {{0, 4096}, {8192, 4096}};
  ASSERT_EQ(hf_acquire(session, file.get(), ranges, 2, HF_ACQUIRE_SETTLE, "cache", &lease), 0);
  served.get();
  EXPECT_EQ(hf_lease_id(lease), 5u);
}

TEST_F(SessionTest, ARefusedAcquireCarriesTheDaemonsText) {
  connect();
  auto served = script([&] {
    peer->reply(peer->expect(HF_WIRE_SUBSCRIBE), HF_WIRE_OK);
    peer->reply(peer->expect(HF_WIRE_ACQUIRE), HF_WIRE_ERROR, error_payload(EOPNOTSUPP, "btrfs moves blocks\nUse XFS."));
  });
  auto* untouched = reinterpret_cast<hf_lease_handle*>(1);
  lease = untouched;
  EXPECT_EQ(hf_acquire(session, file.get(), nullptr, 0, 0, nullptr, &lease), -EOPNOTSUPP);
  served.get();
  EXPECT_EQ(lease, untouched);
  EXPECT_EQ(error_text(session), "btrfs moves blocks\nUse XFS.");
  char small[6];
  EXPECT_EQ(hf_error_text(session, small, sizeof small), std::strlen("btrfs moves blocks\nUse XFS."));
  EXPECT_STREQ(small, "btrfs");
}

TEST_F(SessionTest, BadArgumentsNeverReachTheDaemon) {
  connect();
  const hf_range range{0, 1};
  EXPECT_EQ(hf_acquire(session, -1, nullptr, 0, 0, nullptr, &lease), -EBADF);
  EXPECT_EQ(hf_acquire(session, file.get(), &range, HF_RANGES_MAX + 1, 0, nullptr, &lease), -E2BIG);
  EXPECT_EQ(hf_acquire(session, file.get(), &range, 1, 0x80, nullptr, &lease), -EINVAL);
  EXPECT_EQ(hf_acquire(session, file.get(), &range, 1, 0, std::string(HF_LABEL_MAX + 1, 'x').c_str(), &lease), -EINVAL);
  EXPECT_EQ(hf_acquire(nullptr, file.get(), &range, 1, 0, nullptr, &lease), -EINVAL);
  EXPECT_EQ(hf_set_timeout(session, 0), -EINVAL);
  EXPECT_FALSE(readable(peer->socket(), 50));
}

TEST_F(SessionTest, ReleaseTellsTheDaemonAndWaitsForIt) {
  connect();
  acquire();
  auto served = script([&] {
    const Request request = peer->expect(HF_WIRE_RELEASE);
    EXPECT_EQ(request.as<hf_wire_release>().lease, 5u);
    peer->reply(request, HF_WIRE_OK);
  });
  EXPECT_EQ(hf_release(lease), 0);
  served.get();
}

TEST_F(SessionTest, DisconnectReleasesWhatIsHeld) {
  connect();
  acquire();
  hf_disconnect(session);
  session = nullptr;
  EXPECT_EQ(peer->expect(HF_WIRE_RELEASE).as<hf_wire_release>().lease, 5u);
  EXPECT_EQ(peer->next().header.kind, 0u);
}

TEST_F(SessionTest, ADenialMakesTheDescriptorReadableUntilItIsTaken) {
  connect();
  acquire();
  const int fd = hf_event_fd(session);
  EXPECT_FALSE(readable(fd, 20));
  peer->send_frame(HF_WIRE_EVENT, 0, bytes_of(denial(5)));
  ASSERT_TRUE(readable(fd, 2000));
  hf_lease_event event;
  ASSERT_EQ(hf_next_event(session, &event, sizeof event), 1);
  EXPECT_EQ(event.kind, static_cast<unsigned>(HF_LEASE_EVENT_DENIED));
  EXPECT_EQ(event.operation, static_cast<unsigned>(HF_OPERATION_PUNCH));
  EXPECT_EQ(event.lease_id, 5u);
  EXPECT_EQ(event.offset_bytes, 4096u);
  EXPECT_EQ(event.error, ETXTBSY);
  EXPECT_STREQ(event.breaker_exe, "/usr/bin/fallocate");
  EXPECT_EQ(hf_next_event(session, &event, sizeof event), 0);
  EXPECT_FALSE(readable(fd, 20));
}

TEST_F(SessionTest, AnEventThatComesDuringACallIsKept) {
  connect();
  acquire();
  auto served = script([&] {
    const Request request = peer->expect(HF_WIRE_QUERY);
    peer->send_frame(HF_WIRE_EVENT, 0, bytes_of(denial(5)));
    peer->reply(request, HF_WIRE_JSON, "{}");
  });
  char* json = nullptr;
  ASSERT_EQ(hf_query(session, "{\"query\":\"status\"}", -1, &json), 0);
  served.get();
  EXPECT_STREQ(json, "{}");
  hf_free(json);
  EXPECT_TRUE(readable(hf_event_fd(session), 0));
  hf_lease_event event;
  EXPECT_EQ(hf_next_event(session, &event, sizeof event), 1);
}

TEST_F(SessionTest, TooManyEventsDropTheOldestAndCountThem) {
  connect();
  acquire();
  for (int i = 0; i < 1030; ++i) {
    hf_wire_event event = denial(5);
    event.breaker_pid = static_cast<__u32>(i);
    peer->send_frame(HF_WIRE_EVENT, 0, bytes_of(event));
    // Read into the queue without taking: a call does that.
    if (i % 64 == 0) {
      auto served = script([&] { peer->reply(peer->expect(HF_WIRE_QUERY), HF_WIRE_JSON, "{}"); });
      char* json = nullptr;
      ASSERT_EQ(hf_query(session, "{}", -1, &json), 0);
      hf_free(json);
      served.get();
    }
  }
  auto served = script([&] { peer->reply(peer->expect(HF_WIRE_QUERY), HF_WIRE_JSON, "{}"); });
  char* json = nullptr;
  ASSERT_EQ(hf_query(session, "{}", -1, &json), 0);
  hf_free(json);
  served.get();
  hf_lease_event event;
  ASSERT_EQ(hf_next_event(session, &event, sizeof event), 1);
  EXPECT_EQ(event.lost_events, 6u);
  EXPECT_EQ(event.breaker_pid, 6u);
}

TEST_F(SessionTest, AnswersThatDoNotComeAreBounded) {
  connect();
  ASSERT_EQ(hf_set_timeout(session, 80), 0);
  char* json = nullptr;
  const auto before = std::chrono::steady_clock::now();
  EXPECT_EQ(hf_query(session, "{}", -1, &json), -ETIMEDOUT);
  const auto took = std::chrono::steady_clock::now() - before;
  EXPECT_GE(took, 79ms);
  EXPECT_LT(took, 3s);
  EXPECT_EQ(json, nullptr);
}

TEST_F(SessionTest, ALateAnswerIsNotTakenForTheNextOnes) {
  connect();
  ASSERT_EQ(hf_set_timeout(session, 50), 0);
  char* json = nullptr;
  EXPECT_EQ(hf_query(session, "{\"n\":1}", -1, &json), -ETIMEDOUT);
  ASSERT_EQ(hf_set_timeout(session, 5000), 0);
  auto served = script([&] {
    const Request first = peer->next();
    const Request second = peer->next();
    peer->reply(first, HF_WIRE_JSON, "1");
    peer->reply(second, HF_WIRE_JSON, "2");
  });
  ASSERT_EQ(hf_query(session, "{\"n\":2}", -1, &json), 0);
  served.get();
  EXPECT_STREQ(json, "2");
  hf_free(json);
}

TEST_F(SessionTest, ALeaseGrantedTooLateIsGivenBack) {
  connect();
  ASSERT_EQ(hf_set_timeout(session, 50), 0);
  EXPECT_EQ(hf_acquire(session, file.get(), nullptr, 0, 0, nullptr, &lease), -ETIMEDOUT);
  EXPECT_EQ(lease, nullptr);
  peer->grant(8, 1);
  hf_lease_event event;
  ASSERT_TRUE(readable(hf_event_fd(session), 2000));
  EXPECT_EQ(hf_next_event(session, &event, sizeof event), 0);
  EXPECT_EQ(peer->expect(HF_WIRE_RELEASE).as<hf_wire_release>().lease, 8u);
}

TEST_F(SessionTest, ARestartedDaemonGetsTheLeaseBackThroughTheEventDescriptor) {
  connect();
  acquire();
  const int fd = hf_event_fd(session);
  daemon.stop();
  peer->close();
  ASSERT_TRUE(readable(fd, 2000));
  hf_lease_event event;
  EXPECT_FALSE(poll_event(event, 200ms)) << "a daemon that is away is no event: the lease stands";
  daemon.start();
  auto served = script([&] { serve_return(HF_WIRE_OK); });
  ASSERT_TRUE(poll_event(event));
  served.get();
  EXPECT_EQ(event.kind, static_cast<unsigned>(HF_LEASE_EVENT_RECLAIMED));
  EXPECT_EQ(event.lease_id, 5u);
  EXPECT_EQ(hf_event_fd(session), fd);
  // And it works on: events arrive by the same descriptor.
  peer->send_frame(HF_WIRE_EVENT, 0, bytes_of(denial(5)));
  ASSERT_TRUE(poll_event(event));
  EXPECT_EQ(event.kind, static_cast<unsigned>(HF_LEASE_EVENT_DENIED));
}

TEST_F(SessionTest, ARestartedDaemonGetsTheLeaseBackInTheNextCall) {
  connect();
  acquire();
  peer->close();
  auto served = script([&] {
    serve_return(HF_WIRE_OK);
    peer->reply(peer->expect(HF_WIRE_QUERY), HF_WIRE_JSON, "{}");
  });
  char* json = nullptr;
  ASSERT_EQ(hf_query(session, "{}", -1, &json), 0);
  hf_free(json);
  served.get();
}

TEST_F(SessionTest, ALeaseThatCannotBeTakenUpAgainIsLost) {
  connect();
  acquire();
  peer->close();
  auto served = script([&] { serve_return(HF_WIRE_ERROR, error_payload(ENOENT, "no such lease")); });
  hf_lease_event event;
  ASSERT_TRUE(poll_event(event));
  served.get();
  EXPECT_EQ(event.kind, static_cast<unsigned>(HF_LEASE_EVENT_LOST));
  EXPECT_EQ(event.error, ENOENT);
  EXPECT_EQ(hf_release(lease), 0) << "nothing left to tell the daemon";
}

TEST_F(SessionTest, ALeaseEndedByTheDaemonIsLostOnce) {
  connect();
  acquire();
  hf_wire_event ended{};
  ended.lease = 5;
  ended.kind = HF_EVENT_RELEASED;
  peer->send_frame(HF_WIRE_EVENT, 0, bytes_of(ended));
  peer->send_frame(HF_WIRE_EVENT, 0, bytes_of(ended));
  hf_lease_event event;
  ASSERT_TRUE(poll_event(event));
  EXPECT_EQ(event.kind, static_cast<unsigned>(HF_LEASE_EVENT_LOST));
  EXPECT_FALSE(poll_event(event, 100ms));
}

TEST_F(SessionTest, ACallThatTheDaemonDiedUnderIsAskedAgain) {
  connect();
  auto served = script([&] {
    peer->expect(HF_WIRE_QUERY);
    peer->close();
    peer = std::make_unique<Peer>(daemon.accept());
    peer->greet();
    peer->reply(peer->expect(HF_WIRE_QUERY), HF_WIRE_JSON, "{\"again\":true}");
  });
  char* json = nullptr;
  ASSERT_EQ(hf_query(session, "{}", -1, &json), 0);
  served.get();
  EXPECT_STREQ(json, "{\"again\":true}");
  hf_free(json);
}

TEST_F(SessionTest, ADaemonThatStaysAwayIsBoundedToo) {
  connect();
  daemon.stop();
  peer->close();
  ASSERT_EQ(hf_set_timeout(session, 150), 0);
  char* json = nullptr;
  EXPECT_EQ(hf_query(session, "{}", -1, &json), -ENOTCONN);
  EXPECT_NE(error_text(session).find("systemctl start holdfastd"), std::string::npos);
}

TEST_F(SessionTest, AReleaseThatTheDaemonMissedIsMadeUpFor) {
  connect();
  acquire();
  daemon.stop();
  peer->close();
  ASSERT_EQ(hf_set_timeout(session, 100), 0);
  EXPECT_EQ(hf_release(lease), -ENOTCONN);
  daemon.start();
  auto served = script([&] {
    serve_return(HF_WIRE_OK);
    const Request request = peer->expect(HF_WIRE_RELEASE);
    EXPECT_EQ(request.as<hf_wire_release>().lease, 5u);
    peer->reply(request, HF_WIRE_OK);
  });
  hf_lease_event event;
  EXPECT_FALSE(poll_event(event, 1500ms)) << "a lease that was given up has no events";
  served.get();
}

TEST_F(SessionTest, AChildOwnsNothingAndItsExitEndsNothing) {
  connect();
  acquire();
  const pid_t child = fork();
  if (child == 0) {
    hf_lease_event event;
    char* json = nullptr;
    hf_lease_handle* other = nullptr;
    const bool refused = hf_release(lease) == -ECHILD && hf_next_event(session, &event, sizeof event) == -ECHILD &&
                         hf_query(session, "{}", -1, &json) == -ECHILD && hf_acquire(session, 0, nullptr, 0, 0, nullptr, &other) == -ECHILD &&
                         hf_event_fd(session) == -ECHILD;
    hf_disconnect(session);
    _exit(refused ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_FALSE(readable(peer->socket(), 50)) << "the child must have sent nothing and not ended the connection";
  peer->send_frame(HF_WIRE_EVENT, 0, bytes_of(denial(5)));
  EXPECT_TRUE(readable(hf_event_fd(session), 2000)) << "the child must not have taken the socket out of the shared epoll";
}

TEST_F(SessionTest, DescriptorsDoNotSurviveExec) {
  connect();
  std::vector<std::string> inherited;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    const int fd = std::atoi(entry.path().filename().c_str());
    if (fd > 2 && !(fcntl(fd, F_GETFD) & FD_CLOEXEC) && fcntl(fd, F_GETFD) >= 0) inherited.push_back(std::filesystem::read_symlink(entry.path()));
  }
  for (const std::string& target : inherited) EXPECT_EQ(target.find("socket:") & target.find("anon_inode:"), std::string::npos) << target;
}

TEST_F(SessionTest, ManyThreadsShareASession) {
  connect();
  constexpr int kThreads = 8, kCalls = 100;
  auto served = script([&] {
    // Answers in reverse pairs, so that replies come for threads that don't read.
    for (int i = 0; i < kThreads * kCalls; ++i) {
      const Request request = peer->expect(HF_WIRE_QUERY);
      peer->reply(request, HF_WIRE_JSON, request.payload);
      if (i % 50 == 0) peer->send_frame(HF_WIRE_EVENT, 0, bytes_of(denial(5)));
    }
  });
  std::vector<std::thread> threads;
  std::atomic<int> wrong = 0;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kCalls; ++i) {
        const std::string request = "{\"n\":" + std::to_string(t * kCalls + i) + "}";
        char* json = nullptr;
        if (hf_query(session, request.c_str(), -1, &json) != 0 || request != json) ++wrong;
        hf_free(json);
        hf_lease_event event;
        if (i % 10 == 0 && hf_next_event(session, &event, sizeof event) < 0) ++wrong;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  served.get();
  EXPECT_EQ(wrong, 0);
}

TEST_F(SessionTest, AReplyIsNotReadAwayFromUnderTheOneWhoWaitsForIt) {
  connect();
  ASSERT_EQ(hf_set_timeout(session, 2000), 0);
  constexpr int kCalls = 400;
  auto served = script([&] {
    for (int i = 0; i < kCalls; ++i) peer->reply(peer->expect(HF_WIRE_QUERY), HF_WIRE_JSON, "{}");
  });
  std::atomic<bool> ended = false;
  std::thread taker([&] {
    hf_lease_event event;
    while (!ended) (void)!hf_next_event(session, &event, sizeof event);
  });
  auto slowest = 0ms;
  for (int i = 0; i < kCalls; ++i) {
    char* json = nullptr;
    const auto before = std::chrono::steady_clock::now();
    EXPECT_EQ(hf_query(session, "{}", -1, &json), 0);
    hf_free(json);
    slowest = std::max(slowest, std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - before));
    if (slowest > 1900ms) break;
  }
  EXPECT_LT(slowest, 1900ms) << "a caller slept until its timeout although its reply had come";
  ended = true;
  taker.join();
  hf_disconnect(std::exchange(session, nullptr));  // lets the script end, however far it got
  served.get();
}

TEST_F(SessionTest, WatchersGetJsonAndHearOfTheGap) {
  connect();
  auto served = script([&] {
    const Request request = peer->expect(HF_WIRE_SUBSCRIBE);
    EXPECT_EQ(request.as<hf_wire_subscribe>().flags, HF_WIRE_SUBSCRIBE_ALL);
    peer->reply(request, HF_WIRE_OK);
    peer->send_frame(HF_WIRE_EVENT, 0, "{\"event\":\"denial\"}");
  });
  ASSERT_EQ(hf_watch(session), 0);
  served.get();
  EXPECT_EQ(hf_acquire(session, file.get(), nullptr, 0, 0, nullptr, &lease), -EBUSY);
  const auto next = [&] {
    char* json = nullptr;
    for (int i = 0; i < 50 && hf_next_watch_event(session, &json) == 0; ++i) readable(hf_event_fd(session), 100);
    std::string text = json ? json : "";
    hf_free(json);
    return text;
  };
  EXPECT_EQ(next(), "{\"event\":\"denial\"}");
  peer->close();
  served = script([&] {
    peer = std::make_unique<Peer>(daemon.accept());
    peer->greet();
    peer->reply(peer->expect(HF_WIRE_SUBSCRIBE), HF_WIRE_OK);
  });
  EXPECT_EQ(next(), "{\"event\":\"reconnected\"}");
  served.get();
}

TEST(Operations, AreCalledWhatTheCatalogueCallsThem) {
  for (const BreakSource& source : break_sources()) {
    if (source.op == HF_OP_NONE) continue;
    EXPECT_EQ(hf_operation_name(source.op), source.id);
  }
  EXPECT_STREQ(hf_operation_name(4711), "unknown");
}

}  // namespace
}  // namespace hf::test
