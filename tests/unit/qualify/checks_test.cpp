// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include <functional>
#include <ostream>
#include <set>

#include "machine.hpp"

namespace hf::qualify {
namespace {

TEST(Checks, AWellConfiguredMountQualifies) {
  const auto findings = judge(good_facts());
  EXPECT_TRUE(qualified(findings));
  for (const auto& one : findings) EXPECT_NE(one.mark, Mark::fail) << one.id;
}

TEST(Checks, NothingCheckedIsNotQualified) { EXPECT_FALSE(qualified({})); }

TEST(Checks, IdsAreUniqueAndHaveAnArea) {
  std::set<std::string> ids;
  for (const auto& one : judge(good_facts())) {
    EXPECT_TRUE(ids.insert(one.id).second) << one.id;
    EXPECT_NE(one.area(), one.id);
    EXPECT_FALSE(one.evidence.empty()) << one.id;
  }
}

struct Fault {
  const char* name;
  std::function<void(Facts&)> make;
  const char* id;
  Mark mark;
  const char* mend;  ///< part of one
};

/// CTest shows this beside the test's name; without it, gtest shows the object's bytes, which differ in each run.
void PrintTo(const Fault& fault, std::ostream* out) { *out << fault.id; }

Neighbour neighbour(Hazard hazard, const char* program, const char* where, const char* unit) { return {hazard, program, where, unit, program}; }

class EachFault : public testing::TestWithParam<Fault> {};

TEST_P(EachFault, IsFoundAloneAndNamedWithItsMend) {
  auto facts = good_facts();
  const auto before = judge(facts);
  GetParam().make(facts);
  const auto found = finding(facts, GetParam().id);
  EXPECT_EQ(found.mark, GetParam().mark);
  EXPECT_TRUE(says(found.mends, GetParam().mend)) << (found.mends.empty() ? "no mend" : found.mends[0]);
  EXPECT_EQ(qualified(judge(facts)), GetParam().mark != Mark::fail);
  for (const auto& one : before) {
    if (one.id == GetParam().id) {
      EXPECT_NE(one.mark, GetParam().mark) << "it was so before";
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, EachFault,
    testing::Values(
        Fault{"NoBpfLsm", [](Facts& f) { f.kernel.support.bpf_lsm = false; }, "kernel.bpf-lsm", Mark::fail, "lsm=lockdown,bpf,bpf"},
        Fault{"NoBtf", [](Facts& f) { f.kernel.support.btf = false; }, "kernel.btf", Mark::fail, "CONFIG_DEBUG_INFO_BTF"},
        Fault{"FtraceOff", [](Facts& f) { f.kernel.ftrace_enabled = false; }, "kernel.trampolines", Mark::fail, "sysctl -w kernel.ftrace_enabled=1"},
        Fault{"Lockdown", [](Facts& f) { f.kernel.support.lockdown = "confidentiality"; }, "kernel.lockdown", Mark::fail, "lockdown=integrity"},
        Fault{"NoBpffs", [](Facts& f) { f.kernel.support.bpffs = false; }, "kernel.bpffs", Mark::fail, "mount -t bpf"},
        Fault{"OldKernel", [](Facts& f) { f.kernel.support.release = "5.15.0-1"; }, "kernel.version", Mark::fail, "6.1"},
        Fault{"MissingFunction", [](Facts& f) { f.kernel.wrong_functions = {"punch: vfs_fallocate"}; }, "kernel.catalogue", Mark::fail, "--kernel-check"},
        Fault{"OtherFilesystem", [](Facts& f) { f.filesystem.supported = false; }, "filesystem.type", Mark::fail, "XFS, ext4"},
        Fault{"NotDax", [](Facts& f) { f.filesystem.options = "rw"; f.filesystem.dax_file = false; }, "filesystem.dax", Mark::risk, "dax=always"},
        Fault{"DriftedMount", [](Facts& f) { f.filesystem.fstab = "dax=always,ro"; }, "filesystem.fstab", Mark::fail, "umount /mnt/pool && mount /mnt/pool"},
        Fault{"ReadOnly", [](Facts& f) { f.filesystem.flags = "ro"; }, "filesystem.options", Mark::risk, "remount,rw"},
        Fault{"Realtime", [](Facts& f) { f.filesystem.realtime = true; }, "filesystem.realtime", Mark::risk, "chattr -t"},
        Fault{"Zoned", [](Facts& f) { f.filesystem.zoned = true; }, "filesystem.zoned", Mark::fail, "mkfs.xfs"},
        Fault{"Misaligned", [](Facts& f) { f.filesystem.stripe_bytes = 4096; }, "filesystem.geometry", Mark::risk, "su=2m"},
        Fault{"MisalignedStart", [](Facts& f) { f.filesystem.start_bytes = 512; }, "filesystem.geometry", Mark::risk, "multiple of 2 MiB"},
        Fault{"MisalignedFile", [](Facts& f) { f.filesystem.files[0].align_bytes = 4096; }, "filesystem.geometry", Mark::risk, "cp --reflink=never"},
        Fault{"Hole", [](Facts& f) { f.filesystem.files[0].hole_bytes = 4096; }, "filesystem.extents", Mark::fail, "holdfast hold /mnt/pool/segment --settle"},
        Fault{"Unwritten", [](Facts& f) { f.filesystem.files[0].unwritten_bytes = 4096; }, "filesystem.extents", Mark::fail, "--settle"},
        Fault{"Reflinked", [](Facts& f) { f.filesystem.files[0].shared_bytes = 4096; }, "filesystem.extents", Mark::fail, "--settle"},
        Fault{"SwapFile", [](Facts& f) { f.filesystem.swap_files = {"/mnt/pool/swap"}; }, "filesystem.swap-files", Mark::fail, "swapoff /mnt/pool/swap"},
        Fault{"Loop", [](Facts& f) { f.filesystem.loops = {{"/dev/loop3", "/mnt/pool/image"}}; }, "filesystem.loop-devices", Mark::fail, "losetup -d /dev/loop3"},
        Fault{"Overlay", [](Facts& f) { f.filesystem.overlays = {"/var/merged"}; }, "filesystem.overlays", Mark::risk, "umount /var/merged"},
        Fault{"NfsExport", [](Facts& f) { f.neighbours.exports = {{"/etc/exports:2", "/mnt/pool", "*(rw)"}}; }, "filesystem.exports", Mark::risk, "/etc/exports:2"},
        Fault{"Pnfs", [](Facts& f) { f.neighbours.exports = {{"/etc/exports:2", "/mnt/pool", "*(rw,pnfs)", false, true}}; }, "filesystem.exports", Mark::fail, "pnfs"},
        Fault{"Target", [](Facts& f) { f.filesystem.targets = {"/mnt/pool/lun (SCSI)"}; }, "filesystem.targets", Mark::fail, "emulate_tpu=0"},
        Fault{"NoPlan", [](Facts& f) { f.adapters[0].writer = {.plan = "refused", .reason = "no", .mend = "use another", .tried = true}; }, "adapters.plans", Mark::fail, "use another"},
        Fault{"NoOdp", [](Facts& f) { f.adapters[0].odp = false; f.adapters[0].writer.plan = "refused"; }, "adapters.odp", Mark::fail, "adapter with ODP"},
        Fault{"NoFence", [](Facts& f) { f.adapters[0].fence = false; }, "adapters.fence", Mark::risk, "escalation"},
        Fault{"SmallRegions", [](Facts& f) { f.adapters[0].region_bytes = 1 << 20; }, "adapters.region-size", Mark::fail, "pieces of 1 MiB"},
        Fault{"Memlock", [](Facts& f) { f.memlock_bytes = 65536; }, "adapters.memlock", Mark::fail, "ulimit -l unlimited"},
        Fault{"DaemonDown", [](Facts& f) { f.gate.daemon = false; }, "gate.daemon", Mark::fail, "systemctl start holdfastd"},
        Fault{"OtherVersion", [](Facts& f) { f.gate.state.armed = false; f.gate.state.other_version = true; }, "gate.version", Mark::fail, "gate detach --yes"},
        Fault{"HookDetached", [](Facts& f) { f.gate.state.armed = false; f.gate.state.missing = {"hf_file_ioctl"}; }, "gate.armed", Mark::fail, "systemctl restart holdfastd"},
        Fault{"Unwatched", [](Facts& f) { f.gate.state.unwatched = {"shmem_undo_range"}; }, "gate.tripwire", Mark::risk, "gate status"},
        Fault{"NotGuarded", [](Facts& f) { f.gate.guarded = false; }, "gate.guarded", Mark::fail, "holdfast guard /mnt/pool"},
        Fault{"SealMissing", [](Facts& f) { f.gate.seals = seals_from_names(std::vector<std::string>{"reflink", "dedupe", "loop"}).value(); }, "gate.seals", Mark::fail, "exchange"},
        Fault{"Exception", [](Facts& f) { f.gate.policy->exceptions = {{0, "/usr/sbin/xfs_fsr"}}; }, "gate.holders", Mark::risk, "--except-program"},
        Fault{"BadConfiguration", [](Facts& f) { f.gate.configuration_errors = {"holdfast.toml:3:1: what?"}; }, "gate.configuration", Mark::fail, "holdfast config check"},
        Fault{"Unprotected", [](Facts& f) { f.gate.unprotected = {"app (process 3) on mlx5_0"}; }, "gate.registrations", Mark::fail, "holdfast registrations"},
        Fault{"Escape", [](Facts& f) { f.gate.escapes = {"punch of /mnt/pool/segment"}; }, "gate.escapes", Mark::risk, "holdfast escapes"},
        Fault{"Defragmenter", [](Facts& f) { f.gate.seals = 0; f.neighbours.programs = {neighbour(Hazard::defragment, "xfs_fsr", "xfs_fsr.timer", "xfs_fsr.timer")}; }, "neighbours.defragmentation", Mark::fail, "mask --now xfs_fsr.timer"},
        Fault{"Scrub", [](Facts& f) { f.neighbours.programs = {neighbour(Hazard::scrub, "xfs_scrub", "xfs_scrub_all.timer", "xfs_scrub_all.timer")}; }, "neighbours.scrub", Mark::risk, "mask"},
        Fault{"Trim", [](Facts& f) { f.neighbours.programs = {neighbour(Hazard::trim, "fstrim", "/etc/cron.weekly/fstrim:3", "")}; }, "neighbours.fstrim", Mark::risk, "sed -i '3s/^/#/' /etc/cron.weekly/fstrim"},
        Fault{"Dedupe", [](Facts& f) { f.gate.seals = 0; f.neighbours.programs = {neighbour(Hazard::dedupe, "duperemove", "dd.timer", "dd.timer")}; }, "neighbours.dedupe", Mark::fail, "dd.timer"},
        Fault{"Backup", [](Facts& f) { f.neighbours.programs = {neighbour(Hazard::backup, "rsync", "/etc/crontab:9", "")}; }, "neighbours.backup", Mark::risk, "/etc/crontab"},
        Fault{"Copytruncate", [](Facts& f) { f.neighbours.copytruncates = {{"/etc/logrotate.d/app:1", "/mnt/pool/*.log"}}; }, "neighbours.copytruncate", Mark::fail, "/etc/logrotate.d/app"},
        Fault{"Tmpfiles", [](Facts& f) { f.neighbours.rules = {{"/etc/tmpfiles.d/x.conf:1", "F", "/mnt/pool/segment"}}; }, "neighbours.tmpfiles", Mark::fail, "x.conf:1"},
        Fault{"Writer", [](Facts& f) { f.writers = {{77, "editor", "/mnt/pool/segment"}}; }, "neighbours.writers", Mark::risk, "77"},
        Fault{"ProbeDiffers", [](Facts& f) { f.proof.differences = 1; }, "proof.probe", Mark::fail, "holdfast probe /mnt/pool"},
        Fault{"ProbeFailed", [](Facts& f) { f.proof.error = "no space"; }, "proof.probe", Mark::fail, "holdfast probe"},
        Fault{"NothingTried", [](Facts& f) { f.proof.trials = 0; }, "proof.probe", Mark::fail, "holdfast probe"},
        Fault{"NotProved", [](Facts& f) { f.proof.asked = false; }, "proof.probe", Mark::risk, "holdfast qualify"},
        Fault{"LostWrites", [](Facts& f) { f.proof.soak_s = 60; f.proof.rdma_writes = 100; f.proof.rdma_lost = 1; }, "proof.soak", Mark::fail, "escapes"}),
    [](const auto& tested) { return tested.param.name; });

TEST(Checks, ASealMakesANeighbourThatItRefusesARiskOnly) {
  auto facts = good_facts();
  facts.neighbours.programs = {neighbour(Hazard::dedupe, "duperemove", "dd.timer", "dd.timer")};
  EXPECT_EQ(finding(facts, "neighbours.dedupe").mark, Mark::risk);
}

TEST(Checks, WhatTheGateCantRefuseOnThisKindOfFileIsNamed) {
  const auto found = finding(good_facts(), "kernel.open-sources");
  EXPECT_EQ(found.mark, Mark::risk);
  EXPECT_TRUE(says(found.evidence, "memory-failure"));
  EXPECT_FALSE(says(found.evidence, "thp-open")) << "that is of the page cache";
}

TEST(Checks, FstabMayLeaveOutWhatIsADefault) {
  auto facts = good_facts();
  facts.filesystem.fstab = "defaults,dax=always";
  EXPECT_EQ(finding(facts, "filesystem.fstab").mark, Mark::pass);
  facts.filesystem.fstab = "defaults";
  EXPECT_EQ(finding(facts, "filesystem.fstab").mark, Mark::fail) << "after a boot it would not be DAX";
}

TEST(Checks, TheSealsThatAreThereStayInTheMend) {
  auto facts = good_facts();
  facts.gate.seals = seals_from_names(std::vector<std::string>{"truncate"}).value();
  const auto found = finding(facts, "gate.seals");
  ASSERT_EQ(found.fixes.size(), 1u);
  EXPECT_EQ(found.fixes[0].value, "truncate,reflink,dedupe,exchange,loop");
}

TEST(Checks, PathsAreQuotedForAShell) {
  EXPECT_EQ(quoted("/mnt/a b"), "'/mnt/a b'");
  EXPECT_EQ(quoted("it's"), "'it'\\''s'");
  EXPECT_EQ(quoted("/mnt/pool"), "/mnt/pool");
}

}  // namespace
}  // namespace hf::qualify
