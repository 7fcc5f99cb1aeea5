// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "qualify/fix.hpp"

#include "daemon/configuration.hpp"
#include "machine.hpp"
#include "qualify/neighbours.hpp"

namespace hf::qualify {
namespace {

class Fixing : public testing::Test {
 protected:
  Fixing() {
    hands.root = root.path;
    hands.undo_file = root.path + "/undo.json";
    hands.daemon = [this](const Json& order) -> Result<Json> {
      if (daemon_down) return fail(ENOTCONN, "no daemon");
      orders.push_back(order.dump());
      if (order.value("do", "") == "guard") {
        // As holdfastd does it.
        const ManagedChange change{
            .kind = ManagedChange::Kind::guard, .path = order["path"], .seals = order["seals"].get<std::vector<std::string>>(), .exceptions = {}};
        root.write(managed, change_managed(root.has(managed) ? root.read(managed) : "", change).value());
      }
      return Json::object();
    };
    hands.systemctl = [this](const std::vector<std::string>& words) -> Status {
      commands.push_back(fmt::format("{}", fmt::join(words, " ")));
      return {};
    };
    root.write("/proc/sys/kernel/ftrace_enabled", "0");
  }
  const std::string managed = "/etc/holdfast/conf.d/80-managed.toml";
  const std::string drop_in = "/etc/systemd/system/fstrim.timer.d/" + std::string(kDropInName);
  const Fix seal{Fix::Kind::seal, "/mnt/pool", "reflink,dedupe"};
  const Fix unit{Fix::Kind::unit, "fstrim.timer", ""};
  const Fix sysctl{Fix::Kind::sysctl, "kernel.ftrace_enabled", "1"};
  Root root;
  Hands hands;
  std::vector<std::string> orders, commands;
  bool daemon_down = false;
};

TEST_F(Fixing, AllIsDoneAndAllIsUndone) {
  ASSERT_TRUE(apply({seal, unit, sysctl}, hands));
  EXPECT_NE(root.read(managed).find("reflink"), std::string::npos);
  EXPECT_EQ(root.read(drop_in), kDropInText);
  EXPECT_EQ(root.read("/proc/sys/kernel/ftrace_enabled"), "1");
  EXPECT_EQ(commands, (std::vector<std::string>{"daemon-reload", "stop fstrim.timer"}));
  const auto undone = undo(hands);
  ASSERT_TRUE(undone) << undone.error().message;
  EXPECT_EQ(undone->done, (std::vector<std::string>{"sysctl kernel.ftrace_enabled", "unit fstrim.timer", "seal /mnt/pool"}));
  EXPECT_FALSE(root.has(managed));
  EXPECT_FALSE(root.has(drop_in));
  EXPECT_FALSE(root.has("/etc/sysctl.d/60-holdfast-qualify.conf"));
  EXPECT_EQ(root.read("/proc/sys/kernel/ftrace_enabled"), "0");
  EXPECT_FALSE(root.has("/undo.json"));
  EXPECT_EQ(commands.back(), "start fstrim.timer");
}

TEST_F(Fixing, WhatSomebodyChangedSinceIsNotLost) {
  ASSERT_TRUE(apply({seal}, hands));
  root.write(managed, "[[hold]]\nfile = \"/mnt/pool/x\"\n");
  const auto undone = undo(hands);
  ASSERT_TRUE(undone);
  EXPECT_TRUE(undone->done.empty());
  ASSERT_EQ(undone->left.size(), 1u);
  EXPECT_NE(undone->left[0].find("changed since"), std::string::npos);
  EXPECT_EQ(root.read(managed), "[[hold]]\nfile = \"/mnt/pool/x\"\n");
  EXPECT_FALSE(root.has("/undo.json")) << "it is off the record";
}

TEST_F(Fixing, AStepThatFailedCanBeUndone) {
  daemon_down = true;
  ASSERT_FALSE(apply({unit, seal}, hands));
  EXPECT_TRUE(root.has(drop_in));
  daemon_down = false;
  ASSERT_TRUE(undo(hands));
  EXPECT_FALSE(root.has(drop_in));
}

TEST_F(Fixing, NothingToUndoIsNoError) {
  const auto undone = undo(hands);
  ASSERT_TRUE(undone);
  EXPECT_TRUE(undone->done.empty() && undone->left.empty());
}

TEST_F(Fixing, ARecordThatCantBeReadChangesNothing) {
  root.write("/undo.json", "{\"kind\": 3}");
  EXPECT_FALSE(undo(hands));
  EXPECT_FALSE(apply({unit}, hands));
  EXPECT_FALSE(root.has(drop_in));
}

TEST(Fixes, EachOnceAndSealsWin) {
  Finding guarded{.id = "gate.guarded", .what = "", .evidence = {}, .mends = {}, .fixes = {{Fix::Kind::seal, "/mnt/pool", ""}}};
  Finding sealed{.id = "gate.seals", .what = "", .evidence = {}, .mends = {}, .fixes = {{Fix::Kind::seal, "/mnt/pool", "loop"}}};
  const auto fixes = fixes_of({guarded, sealed, sealed});
  ASSERT_EQ(fixes.size(), 1u);
  EXPECT_EQ(fixes[0].value, "loop");
}

}  // namespace
}  // namespace hf::qualify
