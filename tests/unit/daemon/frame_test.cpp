// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "daemon/frame.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <random>

#include "daemon/outbox.hpp"
#include "socket_pair.hpp"

namespace hf {
namespace {

using Progress = FrameReader::Progress;

class Frames : public test::SocketPair, public ::testing::Test {
 protected:
  FrameReader reader;
  Frame frame;
  Result<Progress> read() { return reader.read(ours.get(), frame); }
};

TEST_F(Frames, ComeThroughWithPayloadAndDescriptor) {
  send(frame_bytes(HF_WIRE_QUERY, 77, "hello"), {0});
  ASSERT_EQ(read(), Progress::kFrame);
  EXPECT_EQ(frame.header.kind, HF_WIRE_QUERY);
  EXPECT_EQ(frame.header.cookie, 77u);
  EXPECT_EQ(frame.payload, "hello");
  EXPECT_EQ(frame.descriptors.size(), 1u);
}

TEST_F(Frames, WaitForTheirRestByteByByte) {
  const auto bytes = frame_bytes(HF_WIRE_QUERY, 1, "payload");
  for (std::size_t i = 0; i + 1 < bytes.size(); i++) {
    send(bytes.substr(i, 1));
    ASSERT_EQ(read(), Progress::kWait) << i;
  }
  send(bytes.substr(bytes.size() - 1));
  ASSERT_EQ(read(), Progress::kFrame);
  EXPECT_EQ(frame.payload, "payload");
}

TEST_F(Frames, KeepTheirOwnDescriptorsWhenSeveralWait) {
  send(frame_bytes(HF_WIRE_QUERY, 1, "a"));
  send(frame_bytes(HF_WIRE_QUERY, 2, "b"), {0});
  send(frame_bytes(HF_WIRE_QUERY, 3, "c"));
  for (std::uint64_t cookie = 1; cookie <= 3; cookie++) {
    ASSERT_EQ(read(), Progress::kFrame);
    EXPECT_EQ(frame.header.cookie, cookie);
    EXPECT_EQ(frame.descriptors.size(), cookie == 2 ? 1u : 0u);
  }
}

TEST_F(Frames, KeepTheirOwnDescriptorsWhereTheyComeInPieces) {
  const auto first = frame_bytes(HF_WIRE_QUERY, 1, "a"), second = frame_bytes(HF_WIRE_QUERY, 2, std::string(3000, 'b'));
  const auto third = frame_bytes(HF_WIRE_QUERY, 3, "c"), fourth = frame_bytes(HF_WIRE_QUERY, 4, "d");
  send(first);
  send(second.substr(0, 10), {0});
  ASSERT_EQ(read(), Progress::kFrame);
  EXPECT_EQ(frame.descriptors.size(), 0u);
  EXPECT_TRUE(reader.ahead());
  ASSERT_EQ(read(), Progress::kWait);
  send(second.substr(10) + third);
  send(fourth, {0, 0});
  for (std::uint64_t cookie = 2; cookie <= 4; cookie++) {
    ASSERT_EQ(read(), Progress::kFrame);
    EXPECT_EQ(frame.header.cookie, cookie);
    EXPECT_EQ(frame.descriptors.size(), cookie == 2 ? 1u : cookie == 3 ? 0u : 2u);
  }
  EXPECT_FALSE(reader.ahead());
  EXPECT_EQ(read(), Progress::kWait);
}

TEST_F(Frames, TruncatedByTheEndOfTheStreamAreNone) {
  const auto bytes = frame_bytes(HF_WIRE_QUERY, 1, "payload");
  send(bytes.substr(0, bytes.size() - 3));
  theirs.reset();
  EXPECT_EQ(read(), Progress::kClosed);
}

TEST_F(Frames, WithAForgedMagicAreRefused) {
  auto bytes = frame_bytes(HF_WIRE_HELLO, 1);
  bytes[0] = 'X';
  send(bytes);
  const auto result = read();
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, EPROTO);
}

TEST_F(Frames, OversizedAreRefusedBeforeTheirPayloadIsRead) {
  for (const std::uint32_t size : {kRequestBytesMax + 1, HF_WIRE_MAX + 1, ~0u}) {
    test::SocketPair pair;
    FrameReader fresh;
    const hf_wire_header header{.magic = HF_WIRE_MAGIC, .size = size, .kind = HF_WIRE_QUERY, .pad = 0, .cookie = 9};
    pair.send(std::string(bytes_of(header)));
    const auto result = fresh.read(pair.ours.get(), frame);
    ASSERT_FALSE(result) << size;
    EXPECT_EQ(result.error().code, EMSGSIZE);
    EXPECT_EQ(fresh.cookie(), 9u) << "so that the answer finds its request";
  }
}

TEST_F(Frames, WithTooManyDescriptorsAreRefusedAndNoneStaysOpen) {
  const auto before = test::open_descriptors();
  send(frame_bytes(HF_WIRE_QUERY, 1), std::vector<int>(100, 0));
  EXPECT_FALSE(read());
  reader = FrameReader();
  EXPECT_EQ(test::open_descriptors(), before);
}

TEST_F(Frames, OfNoiseNeverGetThrough) {
  std::mt19937 random(20250101);
  for (int round = 0; round < 2000; round++) {
    test::SocketPair pair;
    FrameReader fresh;
    std::string noise(random() % 200, '\0');
    for (auto& byte : noise) byte = static_cast<char>(random());
    // Some with a good beginning, so that sizes and kinds are reached too.
    if (round % 2 && noise.size() >= 4) std::memcpy(noise.data(), &(const std::uint32_t&)HF_WIRE_MAGIC, 4);
    pair.send(noise);
    pair.theirs.reset();
    Frame got;
    for (auto result = fresh.read(pair.ours.get(), got); result && *result == Progress::kFrame;) result = fresh.read(pair.ours.get(), got);
  }
}

TEST(Requests, OfAWrongSizeAreNotRead) {
  EXPECT_TRUE(only<hf_wire_release>(std::string(sizeof(hf_wire_release), 'x'), "RELEASE"));
  EXPECT_FALSE(only<hf_wire_release>(std::string(sizeof(hf_wire_release) - 1, 'x'), "RELEASE"));
  EXPECT_FALSE(only<hf_wire_release>(std::string(sizeof(hf_wire_release) + 1, 'x'), "RELEASE"));
}

TEST(Outbox, ADescriptorGoesWithItsFrameAndIsClosedHere) {
  test::SocketPair pair;
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  Fd read_end(ends[0]);
  Outbox outbox;
  outbox.answer("before");
  outbox.answer("with", Fd(ends[1]));
  ASSERT_TRUE(outbox.flush(pair.ours.get()));
  EXPECT_TRUE(outbox.empty());
  pair.drain();
  // Ours was closed, and what was under way went with the bytes that nobody took it from: the pipe is at its end.
  char byte;
  EXPECT_EQ(read(read_end.get(), &byte, 1), 0);
}

TEST(Outbox, OfAClientThatNeverReadsIsBoundedAndCountsExactly) {
  test::SocketPair pair;
  Outbox outbox;
  const std::string event(300, 'e');
  std::uint64_t made = 0;
  constexpr std::uint64_t kEvents = 100'000;
  for (std::uint64_t i = 0; i < kEvents; i++) {
    outbox.event(Outbox::room(1), [&](std::uint64_t lost) {
      EXPECT_EQ(lost, 0u);
      made++;
      return event;
    });
    ASSERT_TRUE(outbox.flush(pair.ours.get()));
    ASSERT_LE(outbox.bytes(), Outbox::kEventBytesMax + event.size());
  }
  EXPECT_EQ(made + outbox.lost(), kEvents);
  EXPECT_GT(outbox.lost(), 0u);
  // It reads again: the next event says how many it missed, once.
  const auto missed = outbox.lost();
  while (!outbox.empty()) {
    pair.drain();
    ASSERT_TRUE(outbox.flush(pair.ours.get()));
  }
  std::vector<std::uint64_t> told;
  for (int i = 0; i < 2; i++) outbox.event(Outbox::room(1), [&](std::uint64_t lost) { return told.push_back(lost), event; });
  EXPECT_EQ(told, (std::vector<std::uint64_t>{missed, 0}));
}

TEST(Outbox, ThousandsThatNeverReadCostNoMoreThanAFew) {
  EXPECT_EQ(Outbox::room(0), Outbox::kEventBytesMax);
  EXPECT_EQ(Outbox::room(1), Outbox::kEventBytesMax);
  for (const std::size_t connections : {100U, 1000U, 4096U}) EXPECT_LE(connections * Outbox::room(connections), Outbox::kEventBytesOfAll);
  EXPECT_EQ(Outbox::room(1 << 20), Outbox::kEventBytesMin);
}

}  // namespace
}  // namespace hf
