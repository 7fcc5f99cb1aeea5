// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "daemon/drift.hpp"

#include <gtest/gtest.h>

#include "daemon/drift_watch.hpp"
#include "scratch.hpp"

namespace hf {
namespace {

using test::Scratch;

const Sample kThen{{"kernel", "7.3.4"}, {"mount options", "rw,relatime"}};

std::string state_of(const Drift& drift, const std::string& mount) {
  for (const auto& one : drift.list({mount}))
    if (one["mount"] == mount) return one["state"];
  return "not listed";
}

TEST(Drift, AMountIsNeverQualifiedUntilItIs) {
  Drift drift("");
  EXPECT_EQ(state_of(drift, "/mnt/pool"), "never");
  ASSERT_TRUE(drift.qualified("/mnt/pool", {}, kThen, "t1"));
  EXPECT_EQ(state_of(drift, "/mnt/pool"), "qualified");
  ASSERT_TRUE(drift.qualified("/mnt/pool", {"gate.seals"}, kThen, "t2"));
  EXPECT_EQ(state_of(drift, "/mnt/pool"), "not-qualified");
}

TEST(Drift, AChangeIsToldOnceAndSinceWhen) {
  Drift drift("");
  ASSERT_TRUE(drift.qualified("/mnt/pool", {}, kThen, "t1"));
  EXPECT_TRUE(drift.look("/mnt/pool", kThen, "t2")->empty());
  auto now = kThen;
  now["mount options"] = "ro,relatime";
  now["module loop"] = "loaded";
  EXPECT_EQ(*drift.look("/mnt/pool", now, "t3"), (std::vector<std::string>{"mount options: rw,relatime is now ro,relatime", "module loop: new: loaded"}));
  EXPECT_TRUE(drift.look("/mnt/pool", now, "t4")->empty());
  EXPECT_EQ(drift.list({})[0]["since"], "t3");
  now["swap file /mnt/pool/s"] = "in use";
  EXPECT_EQ(drift.look("/mnt/pool", now, "t5")->size(), 1u) << "only what is new";
  EXPECT_EQ(drift.list({})[0]["since"], "t3");
  EXPECT_EQ(drift.list({})[0]["changes"].size(), 3u);
}

TEST(Drift, WhatCameBackIsNoDriftButAnEscapeStays) {
  Drift drift("");
  ASSERT_TRUE(drift.qualified("/mnt/pool", {}, kThen, "t1"));
  ASSERT_TRUE(drift.look("/mnt/pool", {}, "t2"));
  EXPECT_EQ(state_of(drift, "/mnt/pool"), "drifted");
  ASSERT_TRUE(drift.look("/mnt/pool", kThen, "t3"));
  EXPECT_EQ(state_of(drift, "/mnt/pool"), "qualified");
  EXPECT_EQ(drift.escaped("/mnt/pool", "a punch", "t4")->size(), 1u);
  ASSERT_TRUE(drift.look("/mnt/pool", kThen, "t5"));
  EXPECT_EQ(state_of(drift, "/mnt/pool"), "drifted");
}

TEST(Drift, EscapesAreBounded) {
  Drift drift("");
  ASSERT_TRUE(drift.qualified("/mnt/pool", {}, kThen, "t1"));
  for (std::size_t i = 0; i < 10 * Drift::kEscapesKept; i++) ASSERT_TRUE(drift.escaped("/mnt/pool", std::to_string(i), "t2"));
  EXPECT_EQ(drift.list({})[0]["changes"].size(), Drift::kEscapesKept);
}

TEST(Drift, TheRecordOutlivesTheDaemon) {
  const Scratch scratch;
  {
    Drift drift(scratch.path("qualified.json"));
    ASSERT_TRUE(drift.load());
    ASSERT_TRUE(drift.qualified("/mnt/pool", {}, kThen, "t1"));
  }
  Drift drift(scratch.path("qualified.json"));
  ASSERT_TRUE(drift.load());
  EXPECT_EQ(state_of(drift, "/mnt/pool"), "qualified");
  auto now = kThen;
  now["kernel"] = "7.4.0";
  EXPECT_EQ(drift.look("/mnt/pool", now, "t2")->size(), 1u) << "a boot into another kernel is drift";
}

TEST(Drift, ARecordThatCantBeReadIsToldAndIsNone) {
  const Scratch scratch;
  for (const char* text : {"", "[]", "{\"/mnt/pool\": 3}", "{\"/mnt/pool\": {\"time\": 1}}"}) {
    scratch.write("qualified.json", text);
    Drift drift(scratch.path("qualified.json"));
    EXPECT_FALSE(drift.load()) << text;
    EXPECT_FALSE(drift.watches());
  }
}

TEST(DriftSample, HasWhatTheMachineIsNow) {
  const Scratch scratch;
  scratch.write("proc/self/mountinfo", "21 20 259:0 / /mnt/pool rw,relatime - xfs /dev/pmem0 rw,dax=always\n");
  scratch.write("proc/modules", "loop 1 0 - Live 0x0\nsnd 1 0 - Live 0x0\n");
  scratch.write("sys/class/infiniband/mlx5_0/fw_ver", "20.1\n");
  scratch.write("etc/holdfast/holdfast.toml", "[default]\n");
  scratch.write("etc/exports", "/mnt/pool *(rw)\n");
  const auto now = sample("/mnt/pool", "/etc/holdfast", scratch.path());
  EXPECT_EQ(now.at("filesystem options"), "rw,dax=always");
  EXPECT_EQ(now.at("module loop"), "loaded");
  EXPECT_FALSE(now.contains("module snd")) << "it brings no break source";
  EXPECT_EQ(now.at("adapter mlx5_0"), "firmware 20.1");
  EXPECT_TRUE(now.contains("configuration /etc/holdfast/holdfast.toml"));
  EXPECT_TRUE(now.contains("neighbour /etc/exports:1 export"));
  EXPECT_EQ(sample("/mnt/other", "/etc/holdfast", scratch.path()).at("mount"), "not mounted");
}

}  // namespace
}  // namespace hf
