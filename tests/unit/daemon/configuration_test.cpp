// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "daemon/configuration.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "lease/seals.hpp"
#include "scratch.hpp"

namespace hf {
namespace {

Names names() {
  return {[](std::string_view name) -> std::optional<std::uint32_t> {
            if (name == "kv") return 1000;
            if (name == "backup") return 34;
            if (name == "0") return 0;
            if (name == "77") return 77;
            return {};
          },
          [](std::string_view name) { return name == "rdma" ? std::optional<std::uint32_t>(500) : std::nullopt; }};
}

Configuration check(const std::string& text) { return check_configuration({{"holdfast.toml", text}}, names()); }

/// The one error of a text, as "LINE:COLUMN: MESSAGE".
std::string error_of(const std::string& text) {
  const auto configuration = check(text);
  if (configuration.errors.size() != 1) return fmt::format("{} errors", configuration.errors.size());
  const auto& error = configuration.errors.front();
  return fmt::format("{}:{}: {}", error.line, error.column, error.message);
}

std::uint32_t mask(std::vector<std::string> seals) { return *seals_from_names(seals); }

std::optional<std::uint32_t> no_device(const std::string&) { return {}; }

TEST(Configuration, NothingIsTheDefaults) {
  const auto configuration = check("");
  EXPECT_TRUE(configuration.usable());
  EXPECT_EQ(configuration.policy.defaults, MountPolicy{});
  EXPECT_EQ(configuration.policy.defaults.flags(), 0u) << "what the gate does without a daemon";
  EXPECT_EQ(configuration.policy.recall, RecallPolicy{});
}

TEST(Configuration, ReadsAllThatThereIs) {
  const auto configuration = check(R"(
[default]
read_only = "lease"
odp = "observe"
own_break = "busy"
quota = { leases = 10, bytes = "1G", time = "2h" }
[recall]
group = "rdma"
escalation = "kill"
wait = "1min"
[limits]
registrations_per_user = 7
[[mount]]
path = "/mnt/pool/"
seals = ["reflink", "truncate"]
except = [{ program = "/usr/sbin/xfs_fsr" }, { user = "backup" }]
holders = { owner = true, users = ["kv", "77"], groups = ["rdma"] }
[[mount]]
type = "tmpfs"
guard = false
[[hold]]
files = ["/mnt/pool/a", "/mnt/pool/seg-*"]
settle = true
)");
  ASSERT_TRUE(configuration.usable()) << configuration.usable().error().text();
  const auto& policy = configuration.policy;
  EXPECT_EQ(policy.defaults.read_only, Registered::lease);
  EXPECT_EQ(policy.defaults.odp, Registered::observe);
  EXPECT_EQ(policy.defaults.quota, (Quota{10, 1u << 30, 7200}));
  EXPECT_EQ(policy.defaults.flags(), HF_MOUNT_READERS_LEASED | HF_MOUNT_ODP_OBSERVED | HF_MOUNT_OWN_BUSY);
  EXPECT_EQ(policy.recall.group, 500u);
  EXPECT_EQ(policy.recall.most, Escalation::kill);
  EXPECT_EQ(policy.recall.wait_s, 60u);
  EXPECT_EQ(policy.registrations_per_user, 7u);
  ASSERT_EQ(policy.mounts.size(), 2u);
  EXPECT_EQ(policy.mounts[0].path, "/mnt/pool");
  const auto pool = policy.of({1, "xfs", {"/mnt/pool"}}, no_device);
  EXPECT_EQ(pool.seals, mask({"reflink", "truncate"}));
  EXPECT_EQ(pool.exceptions, (std::vector<SealException>{{0, "/usr/sbin/xfs_fsr"}, {34, ""}}));
  EXPECT_EQ(pool.holders.users, (std::vector<std::uint32_t>{1000, 77}));
  EXPECT_EQ(pool.quota.leases, 10u) << "what a [[mount]] does not set comes from [default]";
  EXPECT_TRUE(pool.flags() & HF_MOUNT_HOLDERS_LISTED);
  EXPECT_FALSE(policy.of({2, "tmpfs", {"/tmp"}}, no_device).guard);
  EXPECT_EQ(policy.holds.size(), 2u);
  EXPECT_TRUE(policy.holds[1].settle);
}

TEST(Configuration, AMistakeIsToldWithItsPlace) {
  EXPECT_EQ(error_of("[default]\nseal = []\n"), "2:1: [default] has no key \"seal\"");
  EXPECT_EQ(error_of("[default]\nguard = 1\n"), "2:9: guard must be true or false");
  EXPECT_EQ(error_of("[default]\nseals = [\"reflink\", \"relfink\"]\n"), "2:21: there is no seal \"relfink\"");
  EXPECT_EQ(error_of("[default]\nholders = { users = [\"nobody-here\"] }\n"), "2:22: there is no user \"nobody-here\" on this machine");
  EXPECT_EQ(error_of("[default]\nodp = \"maybe\"\n"), "2:7: odp can't be \"maybe\"");
  EXPECT_EQ(error_of("[default]\nquota = { bytes = \"10GB\" }\n"), "2:19: bytes must be a size, as \"64K\", \"10G\", or bytes");
  EXPECT_EQ(error_of("[[mount]]\nseals = [\"all\"]\n"), "1:1: a [[mount]] is found by one of path, device and type");
  EXPECT_EQ(error_of("[mount]\npath = \"/a\"\n"), "1:1: there can be several of mount, so it is written with two brackets");
  EXPECT_EQ(error_of("[[mount]]\npath = \"mnt\"\n"), "2:8: path must be an absolute path");
  EXPECT_EQ(error_of("[[mount]]\npath = \"/mnt/../etc\"\n"), "2:8: path must be written out: no .. and no //");
  EXPECT_EQ(error_of("[[mount]]\npath = \"/a\"\nguard = false\nseals = \"all\"\n"), "1:1: a filesystem can't be exempt and sealed at once");
  EXPECT_EQ(error_of("[[hold]]\nsettle = true\n"), "1:1: a [[hold]] names at least one file");
  EXPECT_EQ(error_of("[recall]\nescalation = \"nuke\"\n"), "2:14: escalation can't be \"nuke\"");
  EXPECT_EQ(error_of("[recall]\nwait = \"2h\"\n"), "1:1: wait is longer than wait_most allows");
  EXPECT_EQ(error_of("[recall]\nfence_time = 0\n"), "2:14: fence_time must be between a second and a week");
  EXPECT_EQ(error_of("[default]\nquota = { leases = -1 }\n"), "2:20: leases must be a number, 0 or more");
  EXPECT_EQ(error_of("[default]\nexcept = [{}]\n"), "2:11: an exception without a user and a program excepts nobody");
  EXPECT_EQ(check("a = \n").errors.front().line, 1u);
}

TEST(Configuration, WhatTheParserGivesUpOnIsAMistakeLikeAnyOther) {
  for (const char* text : {"[[[[", "\xc3\xa9 = 1", "\xef\xbb\xb7"}) {
    const auto configuration = check_configuration({{"a.toml", text}}, Names::local());
    EXPECT_EQ(configuration.errors.size(), 1u) << text;
    EXPECT_FALSE(configuration.usable()) << text;
  }
  EXPECT_FALSE(change_managed("[[[[", {.kind = ManagedChange::Kind::hold, .path = "/f"}));
}

TEST(Configuration, AMistypedKeyIsRecognised) {
  EXPECT_EQ(check("[default]\nseal = []\n").errors.front().hint, "Did you mean \"seals\"?");
  EXPECT_EQ(check("[recal]\n").errors.front().hint, "Did you mean \"recall\"?");
}

TEST(Configuration, AllMistakesAreToldAtOnce) {
  EXPECT_EQ(check("[default]\nguard = 1\nodp = 2\n[[mount]]\n").errors.size(), 3u);
  EXPECT_FALSE(check("[default]\nguard = 1\n").usable());
}

TEST(Configuration, RulesLayerFromTypeToPath) {
  const auto policy = check(R"(
[[mount]]
path = "/mnt/a"
seals = "punch"
[[mount]]
type = "xfs"
seals = "truncate"
own_break = "allow"
[[mount]]
device = "/dev/pmem0"
seals = "dedupe"
)")
                          .policy;
  const auto device = [](const std::string& path) { return path == "/dev/pmem0" ? std::optional<std::uint32_t>(9) : std::nullopt; };
  EXPECT_EQ(policy.of({9, "xfs", {"/mnt/a"}}, device).seals, mask({"punch"}));
  EXPECT_EQ(policy.of({9, "xfs", {"/mnt/a"}}, device).own_break, OwnBreak::allow) << "set by type only";
  EXPECT_EQ(policy.of({9, "xfs", {"/mnt/b"}}, device).seals, mask({"dedupe"}));
  EXPECT_EQ(policy.of({8, "xfs", {"/mnt/b"}}, device).seals, mask({"truncate"}));
  EXPECT_EQ(policy.of({8, "ext4", {"/mnt/b"}}, device).seals, 0u);
}

TEST(Configuration, LaterFilesReplaceKeysAndAddMounts) {
  const auto configuration = check_configuration({{"holdfast.toml", "[default]\nodp = \"observe\"\nread_only = \"lease\"\n[[mount]]\ntype = \"xfs\"\n"},
                                                  {"conf.d/1.toml", "[default]\nodp = \"lease\"\n[[mount]]\ntype = \"ext4\"\n"}},
                                                 names());
  EXPECT_EQ(configuration.policy.defaults.odp, Registered::lease);
  EXPECT_EQ(configuration.policy.defaults.read_only, Registered::lease);
  EXPECT_EQ(configuration.policy.mounts.size(), 2u);
}

TEST(Configuration, TheManagedFileIsWrittenToBeReadBack) {
  auto text = change_managed("", {ManagedChange::Kind::guard, "/mnt/pool", {"reflink", "dedupe"}, {{0, "/usr/sbin/xfs_fsr"}}});
  ASSERT_TRUE(text);
  auto pool = check(*text).policy.of({1, "xfs", {"/mnt/pool"}}, no_device);
  EXPECT_EQ(pool.seals, mask({"reflink", "dedupe"}));
  EXPECT_EQ(pool.exceptions.size(), 1u);
  text = change_managed(*text, {.kind = ManagedChange::Kind::hold, .path = "/mnt/pool/a \"b\"", .settle = true});
  text = change_managed(*text, {.kind = ManagedChange::Kind::unguard, .path = "/mnt/pool"});
  const auto configuration = check(*text);
  ASSERT_TRUE(configuration.usable()) << *text;
  pool = configuration.policy.of({1, "xfs", {"/mnt/pool"}}, no_device);
  EXPECT_FALSE(pool.guard);
  EXPECT_EQ(configuration.policy.mounts.size(), 1u) << "one entry for a mount";
  EXPECT_EQ(configuration.policy.holds.at(0).pattern, "/mnt/pool/a \"b\"");
  text = change_managed(*text, {.kind = ManagedChange::Kind::forget, .path = "/mnt/pool/a \"b\""});
  EXPECT_TRUE(check(*text).policy.holds.empty());
  EXPECT_EQ(change_managed(*text, {.kind = ManagedChange::Kind::forget, .path = "/x"}).error().code, ENOENT);
}

TEST(Configuration, ReadsAFolder) {
  const test::Scratch scratch;
  EXPECT_TRUE(read_sources(scratch.path("none"))->empty()) << "no configuration is the default one";
  scratch.write("etc/holdfast.toml", "[default]\n");
  scratch.write("etc/conf.d/b.toml", "");
  scratch.write("etc/conf.d/a.toml", "");
  scratch.write("etc/conf.d/a.toml~", "nonsense");
  const auto sources = read_sources(scratch.path("etc"));
  ASSERT_TRUE(sources);
  ASSERT_EQ(sources->size(), 3u);
  EXPECT_EQ((*sources)[1].path, scratch.path("etc/conf.d/a.toml"));
  ASSERT_TRUE(write_managed(scratch.path("etc"), "[default]\n"));
  EXPECT_EQ(read_sources(scratch.path("etc"))->size(), 4u);
  ::chmod(scratch.path("etc/conf.d/a.toml").c_str(), 0666);
  EXPECT_EQ(read_sources(scratch.path("etc")).error().code, EPERM) << "others could have written it";
}

TEST(Configuration, NamesComeFromTheLocalDatabases) {
  const test::Scratch scratch;
  scratch.write("passwd", "root:x:0:0::/:/bin/sh\nkv:x:1000:1000::/:\nbroken\n");
  scratch.write("group", "rdma:x:500:kv\n");
  const auto local = Names::local(scratch.path("passwd"), scratch.path("group"));
  EXPECT_EQ(local.user("kv"), 1000u);
  EXPECT_EQ(local.user("77"), 77u);
  EXPECT_EQ(local.user("broken"), std::nullopt);
  EXPECT_EQ(local.group("rdma"), 500u);
}

TEST(Configuration, QuantitiesAreExact) {
  EXPECT_EQ(parse_duration_s("2 h"), 7200u);
  EXPECT_EQ(parse_duration_s("1x"), std::nullopt);
  EXPECT_EQ(parse_duration_s(""), std::nullopt);
  EXPECT_EQ(parse_bytes("3KiB"), 3072u);
  EXPECT_EQ(parse_bytes("99999999999999999999"), std::nullopt);
  EXPECT_EQ(parse_bytes("99999999999T"), std::nullopt);
}

}  // namespace
}  // namespace hf
