// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "qualify/neighbours.hpp"

#include "machine.hpp"

namespace hf::qualify {
namespace {

constexpr const char* kMount = "/mnt/pool";

void timer(const Root& root, const std::string& name, const std::string& command) {
  root.write("/usr/lib/systemd/system/" + name + ".timer", "[Timer]\nOnCalendar=daily\n");
  root.write("/usr/lib/systemd/system/" + name + ".service", "[Service]\nType=oneshot\nExecStart=" + command + "\n");
  root.link("/etc/systemd/system/timers.target.wants/" + name + ".timer", "/usr/lib/systemd/system/" + name + ".timer");
}

TEST(Neighbours, AnEnabledTimerIsFoundByWhatItsServiceRuns) {
  const Root root;
  timer(root, "nightly", "/usr/bin/duperemove -dr /mnt/pool/data");
  const auto found = read_neighbours(kMount, root.path).programs;
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].hazard, Hazard::dedupe);
  EXPECT_EQ(found[0].unit, "nightly.timer");
}

TEST(Neighbours, OneThatWorksElsewhereIsNone) {
  const Root root;
  timer(root, "nightly", "/usr/bin/duperemove -dr /srv");
  EXPECT_TRUE(read_neighbours(kMount, root.path).programs.empty());
}

TEST(Neighbours, OneThatNamesNoFolderMayReachAll) {
  const Root root;
  timer(root, "xfs_fsr", "-/usr/sbin/xfs_fsr -t 7200");
  EXPECT_EQ(read_neighbours(kMount, root.path).programs.size(), 1u);
}

TEST(Neighbours, ATimerThatNothingWantsIsNone) {
  const Root root;
  root.write("/usr/lib/systemd/system/fstrim.timer", "[Timer]\n");
  root.write("/usr/lib/systemd/system/fstrim.service", "[Service]\nExecStart=/sbin/fstrim --all\n");
  EXPECT_TRUE(read_neighbours(kMount, root.path).programs.empty());
}

TEST(Neighbours, AMaskedTimerIsNone) {
  const Root root;
  timer(root, "fstrim", "/sbin/fstrim --all");
  root.link("/etc/systemd/system/fstrim.timer", "/dev/null");
  EXPECT_TRUE(read_neighbours(kMount, root.path).programs.empty());
}

TEST(Neighbours, TheDropInOfFixKeepsATimerFromCounting) {
  const Root root;
  timer(root, "fstrim", "/sbin/fstrim --all");
  EXPECT_EQ(read_neighbours(kMount, root.path).programs.size(), 1u);
  root.write("/etc/systemd/system/fstrim.timer.d/" + std::string(kDropInName), std::string(kDropInText));
  EXPECT_TRUE(read_neighbours(kMount, root.path).programs.empty());
}

TEST(Neighbours, ADropInThatChangesTheCommandCounts) {
  const Root root;
  timer(root, "nightly", "/usr/bin/duperemove -dr /srv");
  root.write("/etc/systemd/system/nightly.service.d/more.conf", "[Service]\nExecStart=\nExecStart=/usr/bin/duperemove \\\n  -dr /mnt/pool\n");
  EXPECT_EQ(read_neighbours(kMount, root.path).programs.size(), 1u);
}

TEST(Neighbours, AServiceIsAUnitOfItsOwn) {
  const Root root;
  root.write("/etc/systemd/system/beesd@.service", "[Service]\nExecStart=/usr/sbin/beesd --no-timestamps\n");
  root.link("/etc/systemd/system/multi-user.target.wants/beesd@pool.service", "../beesd@.service");
  const auto found = read_neighbours(kMount, root.path).programs;
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].unit, "beesd@pool.service");
}

TEST(Neighbours, CronJobsOfAllKinds) {
  const Root root;
  root.write("/etc/crontab", "SHELL=/bin/sh\n# xfs_fsr here is a comment\n17 3 * * 0 root test -x /usr/sbin/xfs_fsr && /usr/sbin/xfs_fsr\n");
  root.write("/etc/cron.d/defrag", "@daily root nice /usr/sbin/e4defrag /mnt\n");
  root.write("/etc/cron.weekly/trim", "#!/bin/sh\n# trims\n/sbin/fstrim /mnt/pool || true\n");
  root.write("/var/spool/cron/crontabs/alice", "5 5 * * * rsync -a /home/alice /mnt/pool/backup\n");
  const auto found = read_neighbours(kMount, root.path).programs;
  ASSERT_EQ(found.size(), 4u);
  EXPECT_EQ(found[0].where, "/etc/crontab:3");
  EXPECT_EQ(found[1].where, "/etc/cron.d/defrag:1");
  EXPECT_EQ(found[2].where, "/var/spool/cron/crontabs/alice:1");
  EXPECT_EQ(found[3].where, "/etc/cron.weekly/trim:3");
}

TEST(Neighbours, AnacronHasItsOwnFields) {
  const Root root;
  root.write("/etc/anacrontab", "7 15 weekly.trim nice fstrim /mnt/pool\n@monthly 45 monthly.defrag xfs_fsr\n");
  EXPECT_EQ(read_neighbours(kMount, root.path).programs.size(), 2u);
}

TEST(Neighbours, AWordThatIsOnlyAnArgumentIsNoProgram) {
  const Root root;
  root.write("/etc/cron.d/mail", "@daily root /usr/bin/mail -s fstrim root\n");
  EXPECT_TRUE(read_neighbours(kMount, root.path).programs.empty());
}

TEST(Neighbours, CopytruncateOfFilesOnTheMount) {
  const Root root;
  root.write("/etc/logrotate.conf", "weekly\ninclude /etc/logrotate.d\n");
  root.write(
      "/etc/logrotate.d/app",
      "/var/log/app.log {\n  copytruncate\n}\n/mnt/pool/*.log\n/mnt/pool/x/y.log {\n  daily\n  copytruncate\n}\n/mnt/pool/z.log {\n  nocopytruncate\n}\n");
  const auto found = read_neighbours(kMount, root.path).copytruncates;
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0].pattern, "/mnt/pool/*.log");
  EXPECT_EQ(found[0].where, "/etc/logrotate.d/app:5");
}

TEST(Neighbours, CopytruncateByDefault) {
  const Root root;
  root.write("/etc/logrotate.conf", "copytruncate\n");
  root.write("/etc/logrotate.d/app", "/mnt/pool/a.log {\n}\n/mnt/pool/b.log {\n  nocopytruncate\n}\n");
  EXPECT_EQ(read_neighbours(kMount, root.path).copytruncates.size(), 1u);
}

TEST(Neighbours, RulesOfTmpfiles) {
  const Root root;
  root.write("/etc/tmpfiles.d/pool.conf",
             "F /mnt/pool/segment 0644 root root - x\nd /mnt/pool/tmp 0755 root root 10d\nd /mnt/pool 0755 root root -\nf /mnt/pool/f\nF /mnt/poolside/f\n");
  root.write("/usr/lib/tmpfiles.d/pool.conf", "R /mnt/pool/other\n");
  const auto found = read_neighbours(kMount, root.path).rules;
  ASSERT_EQ(found.size(), 2u) << "a file of /etc replaces that of /usr/lib; a folder without an age is only made";
  EXPECT_EQ(found[0].type, "F");
  EXPECT_EQ(found[1].where, "/etc/tmpfiles.d/pool.conf:2");
}

TEST(Neighbours, ExportsOverNfsAndSmb) {
  const Root root;
  root.write("/etc/exports", "# none\n/srv *(ro)\n/mnt/pool/a 10.0.0.0/8(rw,pnfs)\n\"/mnt\" *(rw)\n");
  root.write("/etc/samba/smb.conf", "[global]\n[pool]\n   path = /mnt/pool/b\n");
  const auto found = read_neighbours(kMount, root.path).exports;
  ASSERT_EQ(found.size(), 3u);
  EXPECT_TRUE(found[0].pnfs);
  EXPECT_FALSE(found[1].pnfs);
  EXPECT_TRUE(found[2].smb);
}

TEST(Neighbours, RelatedMeansInsideOrAbove) {
  EXPECT_TRUE(related("/mnt/pool/x", kMount));
  EXPECT_TRUE(related("/mnt", kMount));
  EXPECT_TRUE(related("/", kMount));
  EXPECT_TRUE(related("/mnt/pool/", kMount));
  EXPECT_FALSE(related("/mnt/poolside", kMount));
  EXPECT_FALSE(related("/srv", kMount));
}

}  // namespace
}  // namespace hf::qualify
