// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "daemon/listener.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cstring>

#include "scratch.hpp"

namespace hf {
namespace {

TEST(Listener, MakesASocketForEveryUser) {
  test::Scratch scratch;
  const auto path = scratch.path("run/holdfast.sock");
  ASSERT_TRUE(listen_at(path));
  struct stat status {};
  ASSERT_EQ(::stat(path.c_str(), &status), 0);
  EXPECT_TRUE(S_ISSOCK(status.st_mode));
  EXPECT_EQ(status.st_mode & 0777, 0666u);
}

TEST(Listener, RefusesWhileAnotherDaemonServes) {
  test::Scratch scratch;
  const auto first = listen_at(scratch.path("s"));
  ASSERT_TRUE(first);
  const auto second = listen_at(scratch.path("s"));
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, EADDRINUSE);
  EXPECT_NE(second.error().message.find("socket in use"), std::string::npos);
  EXPECT_NE(second.error().hint, "");
  EXPECT_EQ(::access(scratch.path("s").c_str(), F_OK), 0) << "the first one's socket is left alone";
}

TEST(Listener, ReplacesAStaleSocket) {
  test::Scratch scratch;
  { ASSERT_TRUE(listen_at(scratch.path("s"))); }
  EXPECT_TRUE(listen_at(scratch.path("s")));
}

TEST(Listener, RemovesNothingThatIsNoSocket) {
  test::Scratch scratch;
  scratch.write("s", "precious");
  const auto result = listen_at(scratch.path("s"));
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, EEXIST);
  EXPECT_EQ(scratch.read("s"), "precious");
}

TEST(Listener, RefusesAPathThatIsTooLong) {
  EXPECT_EQ(listen_at("/tmp/" + std::string(200, 'x')).error().code, ENAMETOOLONG);
  EXPECT_FALSE(listen_at(""));
}

TEST(Listener, KnowsWhoConnected) {
  int fds[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
  Fd ours(fds[0]), theirs(fds[1]);
  const auto peer = peer_of(ours.get(), ProcessTable());
  ASSERT_TRUE(peer);
  EXPECT_EQ(peer->pid, ::getpid());
  EXPECT_EQ(peer->uid, ::getuid());
  EXPECT_TRUE(ProcessTable().is(peer->pid, peer->start_ns));
}

}  // namespace
}  // namespace hf
