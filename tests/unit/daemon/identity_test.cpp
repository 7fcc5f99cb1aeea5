// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "kernel/identity.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>

#include "scratch.hpp"

namespace hf {
namespace {

const std::string kId(64, 'a');

TEST(CgroupOwner, IsTheSystemdUnit) {
  EXPECT_EQ(cgroup_owner("/system.slice/cron.service").unit, "cron.service");
  EXPECT_EQ(cgroup_owner("/system.slice/system-getty.slice/getty@tty1.service").unit, "getty@tty1.service");
  EXPECT_EQ(cgroup_owner("/user.slice/user-1000.slice/session-3.scope").unit, "session-3.scope");
  EXPECT_EQ(cgroup_owner("/").unit, "");
}

TEST(CgroupOwner, TellsTheUnitOfAUsersManager) {
  const auto owner = cgroup_owner("/user.slice/user-1000.slice/user@1000.service/app.slice/backup.service");
  EXPECT_EQ(owner.unit, "user@1000.service");
  EXPECT_EQ(owner.user_unit, "backup.service");
}

struct ContainerCase {
  const char* path;
  const char* runtime;
  const char* pod;
};

TEST(CgroupOwner, NamesTheContainerOfEachRuntime) {
  const ContainerCase cases[] = {
      {"/system.slice/docker-%.scope", "docker", ""},
      {"/docker/%", "docker", ""},
      {"/machine.slice/libpod-%.scope", "podman", ""},
      {"/machine.slice/libpod-%.scope/container", "podman", ""},
      {"/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-%.scope/container", "podman", ""},
      {"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1a2b_3c4d.slice/cri-containerd-%.scope", "containerd", "1a2b-3c4d"},
      {"/kubepods.slice/kubepods-pod1a2b_3c4d.slice/crio-%.scope", "cri-o", "1a2b-3c4d"},
      {"/kubepods/burstable/pod1a2b-3c4d/%", "", "1a2b-3c4d"},
  };
  for (const auto& one : cases) {
    std::string path = one.path;
    path.replace(path.find('%'), 1, kId);
    const auto owner = cgroup_owner(path);
    ASSERT_TRUE(owner.container) << path;
    EXPECT_EQ(owner.container->runtime, one.runtime) << path;
    EXPECT_EQ(owner.container->id, kId) << path;
    EXPECT_EQ(owner.container->pod, one.pod) << path;
  }
  EXPECT_EQ(cgroup_owner("/machine.slice/machine-web.scope").container->id, "web");
  EXPECT_EQ(cgroup_owner("/lxc.payload.web/init.scope").container->id, "web");
}

TEST(CgroupOwner, SeesNoContainerInAnOrdinaryUnit) {
  EXPECT_FALSE(cgroup_owner("/system.slice/docker.service").container);
  EXPECT_FALSE(cgroup_owner("/system.slice/crio-helper.service").container);
  EXPECT_FALSE(cgroup_owner("/system.slice/podman.service").container);
}

TEST(IoWorker, IsNamedWithTheThreadThatItWorksFor) {
  EXPECT_EQ(io_worker_work("iou-wrk-1234", 1230, "db"), "process 1230 (db): a request that its thread 1234 submitted to io_uring");
  EXPECT_EQ(io_worker_work("iou-sqp-1234", 1230, "db"), "process 1230 (db): polls the submission queue of its io_uring");
  EXPECT_EQ(io_worker_work("db", 1230, "db"), "");
}

TEST(KernelThread, IsNamedByItsStackBeforeItsName) {
  EXPECT_EQ(kernel_thread_work("kworker/u8:1", {"xfs_falloc+0x1", "loop_process_work+0x2 [loop]"}), "a loop device whose backing file this is");
  EXPECT_EQ(kernel_thread_work("nfsd", {}), "the NFS server, for one of its clients");
  EXPECT_EQ(kernel_thread_work("something", {"schedule+0x1"}), "");
}

TEST(IoUringOpcode, ComesFromTheHandlerOnTheStack) {
  EXPECT_EQ(io_uring_opcode(HF_OP_PUNCH, {"vfs_fallocate+0x1", "io_fallocate+0x9"}), "IORING_OP_FALLOCATE");
  EXPECT_EQ(io_uring_opcode(HF_OP_PUNCH, {"shmem_fallocate+0x1", "io_madvise+0x9"}), "IORING_OP_MADVISE");
  EXPECT_EQ(io_uring_opcode(HF_OP_ZERO, {}), "IORING_OP_FALLOCATE");
  EXPECT_EQ(io_uring_opcode(HF_OP_REFLINK, {}), "");
}

/// A breaker as the kernel side sends it: pid 42, started after 1000 clock ticks.
class Identity : public ::testing::Test {
 protected:
  Identity() {
    denial.op = HF_OP_TRUNCATE;
    denial.tgid = denial.tid = 42;
    denial.uid = denial.gid = denial.euid = 1000;
    denial.loginuid = ~0u;
    denial.start_ns = 10'000'000'123;
    denial.syscall_nr = 77;
    denial.syscall_args[0] = 3;
    denial.cgroup_id = 5;
    denial.stack[0] = 0xffffffff81000010;
    denial.stack_bytes = 8;
    std::strcpy(denial.comm, "worker");
    std::strcpy(denial.leader_comm, "evil");
    std::strcpy(denial.exe_path, "evil/bin");
    std::strcpy(denial.cgroup_path, "cron.service/system.slice");
    std::memcpy(denial.argv, "evil\0--now", 11);
    denial.argv_bytes = 11;
    denial.ancestors = 1;
    denial.ancestor[0] = {.tgid = 7, .uid = 0, .comm = "sh"};
    scratch.write("passwd", "root:x:0:0:root:/root:/bin/sh\nann:x:1000:1000::/home/ann:/bin/sh\n");
  }

  Breaker complete() { return IdentityReader(ProcessTable(scratch.path()), scratch.path("passwd")).complete(denial); }

  test::Scratch scratch;
  hf_denial denial{};
};

TEST_F(Identity, OfAProcessThatIsGoneIsCompleteFromTheCapture) {
  const auto breaker = complete();
  EXPECT_TRUE(breaker.complete);
  EXPECT_EQ(breaker.comm, "evil");
  EXPECT_EQ(breaker.thread_comm, "worker");
  EXPECT_EQ(breaker.user.value, "ann");
  EXPECT_EQ(breaker.executable.value, "/bin/evil");
  EXPECT_EQ(breaker.command_line.value, (std::vector<std::string>{"evil", "--now"}));
  EXPECT_EQ(breaker.cgroup.value, "/system.slice/cron.service");
  EXPECT_EQ(breaker.owner.unit, "cron.service");
  EXPECT_EQ(breaker.system_call.value->text, "ftruncate(3, 0)");
  ASSERT_EQ(breaker.parents.size(), 1u);
  EXPECT_EQ(breaker.parents[0].comm, "sh");
  EXPECT_FALSE(breaker.login_uid.value);
  EXPECT_EQ(breaker.login_uid.missing, "not started from a login");
}

TEST_F(Identity, TakesFromProcWhatTheKernelSideCut) {
  scratch.process(42, 1000);
  scratch.write("42/cmdline", std::string("evil\0--now\0--and-more\0", 22));
  std::filesystem::create_symlink("/usr/bin/evil", scratch.path("42/exe"));
  denial.cut = HF_CUT_ARGV;
  const auto breaker = complete();
  EXPECT_EQ(breaker.command_line.value, (std::vector<std::string>{"evil", "--now", "--and-more"}));
  EXPECT_EQ(breaker.executable.value, "/usr/bin/evil") << "with the mount point that the kernel side leaves out";
}

TEST_F(Identity, NeverTakesFromAReusedPid) {
  scratch.process(42, 2000);
  scratch.write("42/cmdline", std::string("innocent\0", 9));
  std::filesystem::create_symlink("/usr/bin/innocent", scratch.path("42/exe"));
  denial.exe_path[0] = '\0';
  denial.argv_bytes = 0;
  const auto breaker = complete();
  EXPECT_FALSE(breaker.executable.value);
  EXPECT_FALSE(breaker.command_line.value);
  EXPECT_NE(breaker.executable.missing, "");
  EXPECT_FALSE(breaker.complete);
}

TEST_F(Identity, NeverTakesTheExecutableThatTheProcessRunsByNow) {
  scratch.process(42, 1000);
  std::filesystem::create_symlink("/usr/bin/innocent", scratch.path("42/exe"));
  EXPECT_EQ(complete().executable.value, "/bin/evil");
}

TEST_F(Identity, OfAKernelThreadIsCompleteWithoutAnExecutable) {
  denial.task_flags = 0x200000;
  denial.exe_path[0] = '\0';
  denial.argv_bytes = 0;
  std::strcpy(denial.leader_comm, "nfsd");
  const auto breaker = complete();
  EXPECT_EQ(breaker.kind, TaskKind::kKernelThread);
  EXPECT_EQ(breaker.works_for, "the NFS server, for one of its clients");
  EXPECT_FALSE(breaker.system_call.value);
  EXPECT_TRUE(breaker.complete);
}

TEST_F(Identity, OfAnIoUringWorkerNamesWhoseWorkItDoes) {
  denial.task_flags = 0x10;
  std::strcpy(denial.comm, "iou-wrk-42");
  const auto breaker = complete();
  EXPECT_EQ(breaker.kind, TaskKind::kIoUringWorker);
  EXPECT_EQ(breaker.works_for, "process 42 (evil): a request that its thread 42 submitted to io_uring");
  EXPECT_EQ(breaker.system_call.value->opcode, "IORING_OP_FTRUNCATE or IORING_OP_OPENAT with O_TRUNC");
}

TEST_F(Identity, SurvivesCountsBeyondItsArrays) {
  denial.ancestors = denial.argv_bytes = denial.stack_bytes = ~0u;
  std::memset(denial.comm, 'x', sizeof(denial.comm));
  std::memset(denial.exe_path, 'x', sizeof(denial.exe_path));
  std::memset(denial.argv, 'x', sizeof(denial.argv));
  const auto breaker = complete();
  EXPECT_EQ(breaker.thread_comm.size(), sizeof(denial.comm));
  EXPECT_EQ(breaker.parents.size(), std::size_t{HF_ANCESTORS});
}

}  // namespace
}  // namespace hf
