// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "client/channel.hpp"

#include "scripted_daemon.hpp"

namespace hf::client {
namespace {

using hf::test::frame_bytes;

struct ChannelTest : ::testing::Test {
  void SetUp() override {
    int ends[2];
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    channel = std::make_unique<Channel>(Fd(ends[0]));
    other = Fd(ends[1]);
  }
  void deliver(std::string_view bytes) { ASSERT_EQ(send(other.get(), bytes.data(), bytes.size(), 0), static_cast<ssize_t>(bytes.size())); }
  std::optional<Frame> take() {
    std::optional<Frame> frame;
    EXPECT_EQ(channel->next(frame), 0);
    return frame;
  }

  std::unique_ptr<Channel> channel;
  Fd other;
};

TEST_F(ChannelTest, ADescriptorComesWithItsFrame) {
  const std::string bytes = frame_bytes(HF_WIRE_ACQUIRED_PIN, 7, "0123456789abcdef");
  int fd = 0;
  iovec part{const_cast<char*>(bytes.data()), bytes.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof fd)] = {};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  cmsghdr* head = CMSG_FIRSTHDR(&message);
  head->cmsg_level = SOL_SOCKET;
  head->cmsg_type = SCM_RIGHTS;
  head->cmsg_len = CMSG_LEN(sizeof fd);
  std::memcpy(CMSG_DATA(head), &fd, sizeof fd);
  ASSERT_EQ(sendmsg(other.get(), &message, 0), static_cast<ssize_t>(bytes.size()));
  deliver(frame_bytes(HF_WIRE_OK, 8, ""));
  while (channel->receive() == 0 && !take()) {
  }
  const Fd got = channel->take_descriptor();
  EXPECT_TRUE(got);
  EXPECT_TRUE(fcntl(got.get(), F_GETFD) & FD_CLOEXEC);
  EXPECT_FALSE(channel->take_descriptor()) << "there was one";
}

TEST_F(ChannelTest, AFrameThatComesByteByByteIsOneFrame) {
  const std::string bytes = frame_bytes(HF_WIRE_JSON, 7, "{\"a\":1}");
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    EXPECT_FALSE(take()) << "after " << i << " bytes";
    deliver(bytes.substr(i, 1));
    ASSERT_EQ(channel->receive(), 0);
  }
  const auto frame = take();
  ASSERT_TRUE(frame);
  EXPECT_EQ(frame->kind, HF_WIRE_JSON);
  EXPECT_EQ(frame->cookie, 7u);
  EXPECT_EQ(frame->payload, "{\"a\":1}");
  EXPECT_FALSE(take());
}

TEST_F(ChannelTest, FramesThatComeTogetherAreTakenOneByOne) {
  deliver(frame_bytes(HF_WIRE_OK, 1) + frame_bytes(HF_WIRE_JSON, 2, "x") + frame_bytes(HF_WIRE_OK, 3).substr(0, 5));
  ASSERT_EQ(channel->receive(), 0);
  EXPECT_EQ(take()->cookie, 1u);
  EXPECT_EQ(take()->payload, "x");
  EXPECT_FALSE(take());
  deliver(frame_bytes(HF_WIRE_OK, 3).substr(5));
  ASSERT_EQ(channel->receive(), 0);
  EXPECT_EQ(take()->cookie, 3u);
}

TEST_F(ChannelTest, AWrongMagicIsNotAFrame) {
  deliver(std::string(64, 'x'));
  ASSERT_EQ(channel->receive(), 0);
  std::optional<Frame> frame;
  EXPECT_EQ(channel->next(frame), -EPROTO);
}

TEST_F(ChannelTest, AFrameOverTheBoundIsRefusedBeforeItsPayloadComes) {
  hf_wire_header header{HF_WIRE_MAGIC, HF_WIRE_MAX + 1, HF_WIRE_JSON, 0, 1};
  deliver(hf::test::bytes_of(header));
  ASSERT_EQ(channel->receive(), 0);
  std::optional<Frame> frame;
  EXPECT_EQ(channel->next(frame), -EPROTO);
}

TEST_F(ChannelTest, FramesSentBeforeTheEndCanStillBeTaken) {
  deliver(frame_bytes(HF_WIRE_OK, 9));
  other.reset();
  int result = channel->receive();
  if (result == 0) result = channel->receive();
  EXPECT_EQ(result, -ECONNRESET);
  EXPECT_EQ(take()->cookie, 9u);
}

TEST_F(ChannelTest, ALargeFrameGoesOutInPiecesAndWhole) {
  const std::string payload(4u << 20, 'p');
  channel->queue(HF_WIRE_QUERY, 5, payload);
  std::string got;
  while (got.size() < sizeof(hf_wire_header) + payload.size()) {
    ASSERT_EQ(channel->flush(), 0);
    char buffer[65536];
    const ssize_t count = recv(other.get(), buffer, sizeof buffer, 0);
    ASSERT_GT(count, 0);
    got.append(buffer, static_cast<std::size_t>(count));
  }
  EXPECT_FALSE(channel->unsent());
  EXPECT_EQ(got, frame_bytes(HF_WIRE_QUERY, 5, payload));
}

TEST_F(ChannelTest, OnlyAFrameThatHasNotBegunCanBeTakenBack) {
  channel->queue(HF_WIRE_QUERY, 1, std::string(4u << 20, 'a'));
  channel->queue(HF_WIRE_QUERY, 2, "b");
  ASSERT_EQ(channel->flush(), 0);
  EXPECT_FALSE(channel->cancel(1));
  EXPECT_TRUE(channel->cancel(2));
  EXPECT_FALSE(channel->cancel(2));
}

TEST_F(ChannelTest, SendingToNobodyIsAnErrorAndNoSignal) {
  other.reset();
  channel->queue(HF_WIRE_OK, 1, "");
  EXPECT_EQ(channel->flush(), -EPIPE);
}

TEST(Connect, APathThatIsTooLongIsSaidToBe) {
  Fd socket;
  EXPECT_EQ(Channel::connect("/" + std::string(200, 'x'), socket), -ENAMETOOLONG);
}

}  // namespace
}  // namespace hf::client
