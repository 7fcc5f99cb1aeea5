// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// The holdfast command itself, as people run it, against a daemon that follows a script.
#include <sys/wait.h>

#include <csignal>
#include <fstream>
#include <functional>
#include <future>
#include <sstream>
#include <thread>
#include <vector>

#include "scripted_daemon.hpp"

namespace hf::test {
namespace {

struct Outcome {
  int status = -1;  ///< as the shell has it
  std::string out, err;
};

struct CommandTest : ::testing::Test {
  CommandTest() {
    directory = std::filesystem::path(daemon.path()).parent_path();
    file = directory / "file";
    std::ofstream(file) << std::string(8192, 'x');
  }

  pid_t start(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), HOLDFAST_COMMAND);
    std::vector<char*> argv;
    for (auto& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    const std::string out = directory / "out", err = directory / "err", socket = daemon.path();
    const pid_t child = fork();
    if (child == 0) {
      setenv("HOLDFAST_SOCKET", socket.c_str(), 1);
      for (const auto& [name, to] : {std::pair(out, 1), std::pair(err, 2)}) dup2(open(name.c_str(), O_CREAT | O_TRUNC | O_WRONLY, 0600), to);
      dup2(open("/dev/null", O_RDONLY), 0);
      execv(argv[0], argv.data());
      _exit(99);
    }
    return child;
  }
  Outcome finish(pid_t child) {
    int status = 0;
    pid_t ended = 0;
    for (int i = 0; i < 3000 && (ended = waitpid(child, &status, WNOHANG)) == 0; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(5));
    if (ended == 0) {
      ADD_FAILURE() << "it does not end";
      kill(child, SIGKILL);
      waitpid(child, &status, 0);
    }
    return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), read_file("out"), read_file("err")};
  }
  Outcome run(std::vector<std::string> arguments, std::function<void(Peer&)> script = {}) {
    const pid_t child = start(std::move(arguments));
    if (script) {
      Peer peer = daemon.accept();
      peer.greet();
      script(peer);
    }
    return finish(child);
  }
  std::string read_file(const char* name) const {
    std::ostringstream text;
    text << std::ifstream(directory / name).rdbuf();
    return text.str();
  }
  bool printed(const char* name, const std::string& text) const {
    for (int i = 0; i < 500; ++i) {
      if (read_file(name).find(text) != std::string::npos) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return false;
  }
  static std::function<void(Peer&)> grants() {
    return [](Peer& peer) {
      peer.grant(5, 99);
      peer.reply(peer.expect(HF_WIRE_RELEASE), HF_WIRE_OK);
    };
  }

  ScriptedDaemon daemon;
  std::filesystem::path directory, file;
};

TEST_F(CommandTest, HelpAndVersionAreNoFailures) {
  EXPECT_EQ(run({"--help"}).status, 0);
  EXPECT_EQ(run({"hold", "--help"}).status, 0);
  EXPECT_EQ(run({"gate", "detach", "--help"}).status, 0);
  EXPECT_EQ(run({"--version"}).out.rfind("holdfast ", 0), 0u);
}

TEST_F(CommandTest, ATypoGetsTheNearestVerb) {
  const Outcome typo = run({"stauts"});
  EXPECT_EQ(typo.status, 2);
  EXPECT_NE(typo.err.find("did you mean \"status\""), std::string::npos) << typo.err;
  EXPECT_NE(run({"gate", "detahc"}).err.find("did you mean \"detach\""), std::string::npos);
  EXPECT_EQ(run({"gate"}).status, 2);
  EXPECT_EQ(run({}).status, 2);
  EXPECT_EQ(run({"leases", "--frobnicate"}).status, 2);
  EXPECT_EQ(run({"hold"}).status, 2);
  EXPECT_EQ(run({"hold", file, "true"}).status, 2) << "a command belongs after --";
  EXPECT_EQ(run({"hold", file, "--"}).status, 2);
}

TEST_F(CommandTest, NoDaemonIsExitStatusThreeWithTheNextStep) {
  daemon.stop();
  for (const char* verb : {"status", "leases", "registrations", "watch"}) {
    const Outcome outcome = run({verb});
    EXPECT_EQ(outcome.status, 3) << verb;
    EXPECT_NE(outcome.err.find("systemctl start holdfastd"), std::string::npos) << outcome.err;
    EXPECT_EQ(outcome.out, "");
  }
  EXPECT_EQ(run({"why", file}).status, 3);
  EXPECT_EQ(run({"hold", file}).status, 3);
  EXPECT_EQ(run({"hold", file, "--", "true"}).status, 125);
}

TEST_F(CommandTest, FilesThatCannotBeHeldAreToldApartBeforeTheDaemonIsAsked) {
  daemon.stop();
  EXPECT_NE(run({"hold", directory / "none"}).err.find("there is no file"), std::string::npos);
  EXPECT_NE(run({"hold", directory}).err.find("is a directory"), std::string::npos);
  EXPECT_NE(run({"hold", "/dev/null"}).err.find("a device"), std::string::npos);
  EXPECT_NE(run({"why", "/dev/null"}).err.find("a device"), std::string::npos);
  EXPECT_EQ(run({"hold", "/dev/null"}).status, 5);
  const std::string fifo = directory / "fifo";
  ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
  EXPECT_NE(run({"hold", fifo}).err.find("a pipe"), std::string::npos) << "and it must not wait for a writer";
  EXPECT_NE(run({"hold", file, "--range", "4K:8K"}).err.find("beyond the end"), std::string::npos);
  EXPECT_NE(run({"hold", file, "--range", "0:5K", "--range", "4K:4K"}).err.find("overlap"), std::string::npos);
  EXPECT_EQ(run({"hold", file, "--range", "0:64KB"}).status, 2);
}

TEST_F(CommandTest, HoldEndsWithTheCommandsStatus) {
  EXPECT_EQ(run({"hold", file, "--", "true"}, grants()).status, 0);
  EXPECT_EQ(run({"hold", file, "--", "sh", "-c", "exit 42"}, grants()).status, 42);
  EXPECT_EQ(run({"hold", file, "--", "sh", "-c", "kill -9 $$"}, grants()).status, 128 + 9);
  EXPECT_EQ(run({"hold", file, "--", "/nonexistent/command"}, grants()).status, 127);
  EXPECT_EQ(run({"hold", file, "--", file}, grants()).status, 126);
  EXPECT_EQ(run({"hold", file, "--", "echo", "--json", "--range"}, grants()).out, "--json --range\n");
}

TEST_F(CommandTest, HoldTellsOfWhatItsOwnCommandWasRefused) {
  const Outcome outcome = run({"hold", file, "--", "true"}, [](Peer& peer) {
    peer.grant(5, 99);
    const Request release = peer.expect(HF_WIRE_RELEASE);
    hf_wire_event event{};
    event.lease = 5;
    event.kind = HF_EVENT_DENIAL;
    event.op = HF_OP_TRUNCATE;
    event.length_bytes = HF_RANGE_END;
    peer.send_frame(HF_WIRE_EVENT, 0, bytes_of(event));
    peer.reply(release, HF_WIRE_OK);
  });
  EXPECT_NE(outcome.err.find("refused: truncate"), std::string::npos) << outcome.err;
}

TEST_F(CommandTest, HoldSendsWhatWasAsked) {
  const Outcome outcome = run({"hold", file, "--range", "0:4K", "--range", "6K:", "--label", "mine", "--settle", "--", "true"}, [](Peer& peer) {
    const Request request = peer.grant(5, 99);
    const auto head = request.as<hf_wire_acquire>();
    EXPECT_EQ(head.flags, HF_WIRE_ACQUIRE_SETTLE);
    EXPECT_STREQ(head.label, "mine");
    ASSERT_EQ(head.ranges, 2u);
    hf_wire_range second;
    std::memcpy(&second, request.payload.data() + sizeof head + sizeof second, sizeof second);
    EXPECT_EQ(second.offset_bytes, 6144u);
    EXPECT_EQ(second.length_bytes, 2048u);
    EXPECT_EQ(fcntl(request.file.get(), F_GETFL) & O_ACCMODE, O_RDWR);
    peer.reply(peer.expect(HF_WIRE_RELEASE), HF_WIRE_OK);
  });
  EXPECT_EQ(outcome.status, 0) << outcome.err;
}

TEST_F(CommandTest, ARefusedHoldShowsTheDaemonsWords) {
  const auto refuse = [](int error) {
    return [=](Peer& peer) {
      peer.reply(peer.expect(HF_WIRE_SUBSCRIBE), HF_WIRE_OK);
      peer.reply(peer.expect(HF_WIRE_ACQUIRE), HF_WIRE_ERROR, error_payload(error, "btrfs moves blocks\n  Next: use XFS"));
    };
  };
  const Outcome outcome = run({"hold", file}, refuse(EOPNOTSUPP));
  EXPECT_EQ(outcome.status, 5);
  EXPECT_EQ(outcome.err, "holdfast: btrfs moves blocks\n  Next: use XFS\n");
  EXPECT_EQ(run({"hold", file}, refuse(EPERM)).status, 4);
  EXPECT_EQ(run({"hold", file, "--", "touch", directory / "ran"}, refuse(EBUSY)).status, 125);
  EXPECT_FALSE(std::filesystem::exists(directory / "ran")) << "without a lease the command must not run";
}

TEST_F(CommandTest, HoldWithoutACommandHoldsUntilASignal) {
  const pid_t child = start({"hold", file});
  Peer peer = daemon.accept();
  peer.greet();
  peer.grant(5, 99);
  ASSERT_TRUE(printed("out", "lease 5 holds " + file.string() + " 0:8K"));
  hf_wire_event event{};
  event.lease = 5;
  event.kind = HF_EVENT_DENIAL;
  event.op = HF_OP_TRUNCATE;
  event.length_bytes = HF_RANGE_END;
  event.error = ETXTBSY;
  event.breaker_pid = 77;
  std::strcpy(event.breaker_comm, "truncate");
  peer.send_frame(HF_WIRE_EVENT, 0, bytes_of(event));
  ASSERT_TRUE(printed("err", "refused: truncate 0: of " + file.string() + " by truncate")) << read_file("err");
  kill(child, SIGTERM);
  peer.reply(peer.expect(HF_WIRE_RELEASE), HF_WIRE_OK);
  EXPECT_EQ(finish(child).status, 0);
}

TEST_F(CommandTest, HoldPassesSignalsOnAndStaysUntilTheCommandEnds) {
  const pid_t child = start({"hold", file, "--", "sh", "-c", "trap 'echo got it; exit 7' TERM; echo ready; while :; do sleep 0.05; done"});
  Peer peer = daemon.accept();
  peer.greet();
  peer.grant(5, 99);
  ASSERT_TRUE(printed("out", "ready"));
  kill(child, SIGTERM);
  peer.reply(peer.expect(HF_WIRE_RELEASE), HF_WIRE_OK);
  const Outcome outcome = finish(child);
  EXPECT_EQ(outcome.status, 7);
  EXPECT_NE(outcome.out.find("got it"), std::string::npos);
}

TEST_F(CommandTest, HoldOutlivesTheDaemon) {
  const pid_t child = start({"hold", file});
  Peer first = daemon.accept();
  first.greet();
  first.grant(5, 99);
  ASSERT_TRUE(printed("out", "lease 5"));
  daemon.stop();
  first.close();
  daemon.start();
  Peer second = daemon.accept();
  second.greet();
  second.reply(second.expect(HF_WIRE_SUBSCRIBE), HF_WIRE_OK);
  const Request reclaim = second.expect(HF_WIRE_RECLAIM);
  EXPECT_EQ(reclaim.as<hf_wire_reclaim>().token, 99u);
  second.reply(reclaim, HF_WIRE_OK);
  ASSERT_TRUE(printed("err", "stood throughout"));
  hf_wire_event ended{};
  ended.lease = 5;
  ended.kind = HF_EVENT_RELEASED;
  second.send_frame(HF_WIRE_EVENT, 0, bytes_of(ended));
  const Outcome outcome = finish(child);
  EXPECT_EQ(outcome.status, 1) << "a hold without its lease has failed";
  EXPECT_NE(outcome.err.find("is lost"), std::string::npos);
}

TEST_F(CommandTest, QueriesPrintTablesOrTheAnswerItself) {
  const std::string answer = R"({"schema":"holdfast.leases/1","files":[{"path":"/f","leases":[{"id":5,"kind":"process","state":"protected","age_s":3,
    "asked":[{"first":0,"end":4096}],"holder":{"pid":9,"uid":0,"comm":"app","label":"mine"}}]}],"left_out":0})";
  const auto serve = [&](Peer& peer) {
    const Request request = peer.expect(HF_WIRE_QUERY);
    EXPECT_EQ(request.payload, R"({"query":"leases"})");
    peer.reply(request, HF_WIRE_JSON, answer);
  };
  const Outcome table = run({"leases"}, serve);
  EXPECT_EQ(table.out, "LEASE  KIND     STATE      HOLDER  LABEL  AGE  RANGES  FILE\n5      process  protected  app[9]  mine   3 s  0:4K    /f\n");
  const Outcome json = run({"leases", "--json"}, serve);
  EXPECT_NE(json.out.find("\"schema\": \"holdfast.leases/1\""), std::string::npos);
  EXPECT_EQ(json.status, 0);
}

TEST_F(CommandTest, WhySendsTheFileAndNamesWhoTried) {
  const auto serve = [&](Peer& peer) {
    const Request request = peer.expect(HF_WIRE_QUERY);
    EXPECT_EQ(request.payload, R"({"query":"why"})");
    EXPECT_TRUE(request.file);
    peer.reply(request, HF_WIRE_JSON, R"({"leased":true,"path":"/f","protected":[{"first":0,"end":4096,"leases":1}],"merged":0,"leases":[],"leases_of_others":1,
      "refused":[{"operation":"truncate","refused":true},{"operation":"zero","refused":false}],"smallest_size_bytes":4096,
      "last_denial":{"time":"2025-01-31T12:00:00.123Z","operation":"truncate","range":{"first":0,"end":null},"error":"ETXTBSY","breaker":{"comm":"sh","pid":4,"uid":0}}})");
  };
  const Outcome outcome = run({"why", file}, serve);
  EXPECT_EQ(outcome.status, 0);
  for (const char* text :
       {"is leased", "1 lease of other users", "refused there  truncate\n", "truncating down to 4K", "last refused: truncate 0:", "sh (pid 4, uid 0)"})
    EXPECT_NE(outcome.out.find(text), std::string::npos) << text << " is missing in:\n" << outcome.out;
}

TEST_F(CommandTest, WatchPrintsOneLineAnEventAndGoesOnAfterARestart) {
  const pid_t child = start({"watch", "--json", "--denials"});
  const auto serve = [&] {
    Peer peer = daemon.accept();
    peer.greet();
    peer.reply(peer.expect(HF_WIRE_SUBSCRIBE), HF_WIRE_OK);
    return peer;
  };
  Peer peer = serve();
  peer.send_frame(HF_WIRE_EVENT, 0, R"({"event":"lease","n":0})");
  peer.send_frame(HF_WIRE_EVENT, 0, R"({"event":"denial","n":1})");
  ASSERT_TRUE(printed("out", R"({"event":"denial","n":1})"));
  peer.close();
  Peer again = serve();
  ASSERT_TRUE(printed("out", R"({"event":"reconnected"})"));
  kill(child, SIGINT);
  const Outcome outcome = finish(child);
  EXPECT_EQ(outcome.status, 128 + SIGINT);
  EXPECT_EQ(outcome.out, "{\"event\":\"denial\",\"n\":1}\n{\"event\":\"reconnected\"}\n");
}

}  // namespace
}  // namespace hf::test
