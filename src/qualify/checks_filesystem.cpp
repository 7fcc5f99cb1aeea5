// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// Filesystem: can its files keep a layout, and what is on it, above it or below it that goes past the gate?
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "lease/seals.hpp"
#include "qualify/checks.hpp"
#include "qualify/system_files.hpp"

namespace hf::qualify {

namespace {

constexpr std::uint64_t kHuge = 2 << 20;

bool on_disk(const Facts& facts) { return facts.filesystem.type == "xfs" || facts.filesystem.type == "ext4"; }
bool dax(const Facts& facts) { return facts.filesystem.kind & kDax; }
std::string point(const Facts& facts) { return quoted(facts.filesystem.point); }

Finding not_here(std::string id, std::string what, std::string why) {
  return {.id = std::move(id), .what = std::move(what), .mark = Mark::not_applicable, .evidence = {std::move(why)}, .mends = {}};
}

Finding type(const Facts& facts) {
  const auto& fs = facts.filesystem;
  Finding finding{.id = "filesystem.type",
                  .what = "files of this filesystem can keep their layout",
                  .evidence = {fmt::format("{} on {} ({})", fs.type, fs.point, fs.source)},
                  .mends = {}};
  if (fs.supported) return finding;
  finding.mark = Mark::fail;
  finding.mends = {"keep what is registered on XFS, ext4, tmpfs or hugetlbfs"};
  return finding;
}

Finding dax_mode(const Facts& facts) {
  const auto& fs = facts.filesystem;
  const std::string id = "filesystem.dax", what = "files on memory are reached as memory (DAX)";
  if (!on_disk(facts)) return not_here(id, what, fs.type + " has no device");
  if (!fs.dax_capable && !dax(facts)) return not_here(id, what, "its device has no DAX: registered files are in the page cache");
  const auto option = option_value(fs.options, "dax");
  Finding finding{.id = id,
                  .what = what,
                  .evidence = {fmt::format("mounted with {}", option ? (option->empty() ? "dax" : "dax=" + *option) : "no dax option")},
                  .mends = {}};
  const bool always = option && (option->empty() || *option == "always");
  if (always && fs.dax_file.value_or(true)) return finding;
  finding.mark = Mark::risk;
  if (fs.dax_file)
    finding.evidence.push_back(*fs.dax_file ? "a new file is DAX"
                                            : "a new file is not DAX: it goes through the page cache, which has break sources of its own");
  finding.mends = {fmt::format("umount {0} && mount -o dax=always {1} {0}", point(facts), quoted(fs.source)), "and dax=always in its line of /etc/fstab"};
  return finding;
}

Finding after_boot(const Facts& facts) {
  const auto& fs = facts.filesystem;
  const std::string id = "filesystem.fstab", what = "it is mounted as /etc/fstab says";
  if (!fs.fstab) return not_here(id, what, "/etc/fstab does not list it");
  Finding finding{.id = id, .what = what, .evidence = {"/etc/fstab: " + *fs.fstab, "mounted: " + fs.flags + "," + fs.options}, .mends = {}};
  std::vector<std::string> other;
  for (const char* name : {"dax", "ro", "noswap", "discard", "huge", "pagesize", "usrquota", "prjquota", "uquota", "pquota"}) {
    const auto wanted = option_value(*fs.fstab, name);
    auto has = option_value(fs.options, name);
    if (!has) has = option_value(fs.flags, name);
    // "dax" and "dax=always" are one.
    const auto plain = [](std::optional<std::string> value) { return value && *value == "always" ? std::optional<std::string>("") : value; };
    // What is there without being asked for may be a default, but DAX never is.
    if (plain(wanted) == plain(has) || (!wanted && std::string_view(name) != "dax" && std::string_view(name) != "ro")) continue;
    other.push_back(fmt::format("{}: wanted {}, mounted {}", name, wanted ? (wanted->empty() ? "set" : *wanted) : "not set",
                                has ? (has->empty() ? "set" : *has) : "not set"));
  }
  if (other.empty()) return finding;
  finding.mark = Mark::fail;
  finding.evidence.insert(finding.evidence.end(), other.begin(), other.end());
  finding.mends = {fmt::format("umount {0} && mount {0}", point(facts)), "or put the options that it has now into /etc/fstab"};
  return finding;
}

Finding writable(const Facts& facts) {
  const auto& fs = facts.filesystem;
  Finding finding{.id = "filesystem.options", .what = "no mount option works against it", .evidence = {fs.flags + "; " + fs.options}, .mends = {}};
  if (option_value(fs.flags, "ro") || option_value(fs.options, "ro")) {
    finding.mark = Mark::risk;
    finding.evidence.emplace_back("it is read-only: nothing can be allocated or proved on it");
    finding.mends.push_back(fmt::format("mount -o remount,rw {}", point(facts)));
  }
  if (option_value(fs.options, "discard")) {
    finding.mark = Mark::risk;
    finding.evidence.emplace_back("discard: blocks that are freed are discarded at once, so what an escape frees is lost at once");
    finding.mends.push_back(fmt::format("mount -o remount,nodiscard {}", point(facts)));
  }
  if (fs.type == "ext4" && option_value(fs.options, "data").value_or("") == "journal") {
    finding.mark = Mark::risk;
    finding.evidence.emplace_back("data=journal: its files can't be DAX");
    finding.mends.push_back(fmt::format("umount {0} && mount -o data=ordered {1} {0}", point(facts), quoted(fs.source)));
  }
  if (fs.type == "tmpfs" && fs.swap_on && !option_value(fs.options, "noswap")) {
    finding.mark = Mark::risk;
    finding.evidence.emplace_back("this machine swaps: pages of a lease that no adapter pins can leave memory");
    finding.mends.push_back(fmt::format("umount {0} && mount -t tmpfs -o noswap,size=SIZE tmpfs {0} (Linux 6.4 and later), or swapoff -a", point(facts)));
  }
  return finding;
}

Finding reflink(const Facts& facts) {
  const auto& fs = facts.filesystem;
  const std::string id = "filesystem.reflink", what = "no file can come to share blocks";
  if (fs.type != "xfs" || !fs.reflink) return not_here(id, what, fs.type + " shares no blocks");
  Finding finding{.id = id, .what = what, .evidence = {*fs.reflink ? "XFS with reflink" : "XFS without reflink"}, .mends = {}};
  if (!*fs.reflink) return finding;
  const auto names = names_of_seals(facts.gate.seals.value_or(0));
  const bool sealed = names == "all" || (names.find("reflink") != std::string::npos && names.find("dedupe") != std::string::npos);
  finding.evidence.push_back(sealed ? "sealed against reflink and dedupe"
                                    : "not sealed against reflink and dedupe: a file that shares blocks can't be leased until it is settled");
  if (sealed) return finding;
  finding.mark = Mark::risk;
  finding.mends = {fmt::format("holdfast guard {} --seal {}", point(facts), fmt::join(wanted_seals(fs), ","))};
  return finding;
}

Finding realtime(const Facts& facts) {
  const auto& fs = facts.filesystem;
  const std::string id = "filesystem.realtime", what = "it has no realtime device";
  if (!fs.realtime) return not_here(id, what, fs.type + " has none");
  Finding finding{.id = id, .what = what, .evidence = {*fs.realtime ? "files may lie on a realtime device" : "none"}, .mends = {}};
  if (!*fs.realtime) return finding;
  finding.mark = Mark::risk;
  finding.evidence.emplace_back("the catalogue was proved on data devices only");
  finding.mends = {fmt::format("xfs_io -c 'chattr -t' {}; and keep registered files off the realtime device", point(facts))};
  return finding;
}

Finding zoned(const Facts& facts) {
  const auto& fs = facts.filesystem;
  const std::string id = "filesystem.zoned", what = "no garbage collection moves its files";
  if (!fs.zoned) return not_here(id, what, fs.type + " has no zones");
  Finding finding{.id = id, .what = what, .evidence = {*fs.zoned ? "zoned XFS: a kernel thread moves files between zones" : "not zoned"}, .mends = {}};
  if (!*fs.zoned) return finding;
  finding.mark = Mark::fail;
  finding.mends = {"mkfs.xfs without -r zoned=1, on another device; files of a zoned XFS can't be kept in place"};
  return finding;
}

Finding quotas(const Facts& facts) {
  const auto& fs = facts.filesystem;
  const std::string id = "filesystem.quotas", what = "no quota file is among the files that are registered";
  if (!on_disk(facts)) return not_here(id, what, fs.type + " has no quota files");
  std::vector<std::string> set;
  for (const char* name : {"usrquota", "grpquota", "prjquota", "usrjquota", "grpjquota", "uquota", "gquota", "pquota", "quota"})
    if (const auto value = option_value(fs.options, name)) set.push_back(value->empty() ? name : fmt::format("{}={}", name, *value));
  Finding finding{.id = id, .what = what, .evidence = {set.empty() ? "no quotas" : fmt::format("{}", fmt::join(set, ", "))}, .mends = {}};
  if (fs.type != "ext4" || (!option_value(fs.options, "usrjquota") && !option_value(fs.options, "grpjquota"))) return finding;
  finding.mark = Mark::risk;
  finding.evidence.emplace_back("quotaoff drops the page cache of its quota file");
  finding.mends = {fmt::format("umount {}, then tune2fs -O quota {}", point(facts), quoted(fs.source))};
  return finding;
}

Finding geometry(const Facts& facts) {
  const auto& fs = facts.filesystem;
  const std::string id = "filesystem.geometry", what = "files can be mapped in pieces of 2 MiB";
  if (fs.type == "hugetlbfs" || fs.type == "tmpfs") return not_here(id, what, "its pages are the file");
  if (!dax(facts)) return not_here(id, what, "only DAX maps the device itself");
  Finding finding{.id = id, .what = what, .evidence = {}, .mends = {}};
  finding.evidence.push_back(fmt::format("begins at {} of the device; allocates in units of {}", bytes_text(fs.start_bytes),
                                         fs.stripe_bytes ? bytes_text(fs.stripe_bytes) : bytes_text(fs.block_bytes)));
  if (fs.start_bytes % kHuge) {
    finding.mark = Mark::risk;
    finding.evidence.emplace_back("its beginning is no multiple of 2 MiB: no file of it can be mapped in large pieces");
    finding.mends.emplace_back("make the partition begin at a multiple of 2 MiB (parted -a optimal), and the namespace with ndctl create-namespace --align=2M");
  }
  if (!fs.stripe_bytes || fs.stripe_bytes % kHuge) {
    finding.mark = Mark::risk;
    finding.evidence.emplace_back("blocks are not allocated in multiples of 2 MiB: an adapter needs a translation for each 4 KiB");
    finding.mends.push_back(fs.type == "xfs" ? fmt::format("mkfs.xfs -d su=2m,sw=1 {}, then xfs_io -c 'extsize 2m' {}", quoted(fs.source), point(facts))
                                             : fmt::format("mkfs.ext4 -b 4096 -E stride=512,stripe_width=512 {}", quoted(fs.source)));
  }
  for (const auto& file : fs.files) {
    if (!file.known || file.size_bytes < kHuge || (file.align_bytes && file.align_bytes % kHuge == 0)) continue;
    finding.mark = Mark::risk;
    finding.evidence.push_back(fmt::format("{}: its blocks are not aligned to 2 MiB", file.path));
    finding.mends.push_back(
        fmt::format("cp --reflink=never --sparse=never {0} {0}.new, and use the copy, once the filesystem allocates in 2 MiB", quoted(file.path)));
  }
  return finding;
}

Finding extents(const Facts& facts) {
  const auto& fs = facts.filesystem;
  const std::string id = "filesystem.extents", what = "the files named and leased have settled blocks";
  if (fs.files.empty()) return not_here(id, what, "no file was named, and none is leased");
  Finding finding{.id = id, .what = what, .evidence = {}, .mends = {}};
  std::size_t settled = 0;
  for (const auto& file : fs.files) {
    const auto kind = file.leased ? "leased" : "named";
    if (!file.trouble.empty()) {
      finding.mark = Mark::fail;
      finding.evidence.push_back(fmt::format("{} ({}): {}", file.path, kind, file.trouble));
      finding.mends.push_back(fmt::format("ls -l {}", quoted(file.path)));
      continue;
    }
    std::vector<std::string> bad;
    if (file.hole_bytes) bad.push_back(bytes_text(file.hole_bytes) + " of holes");
    if (file.unwritten_bytes) bad.push_back(bytes_text(file.unwritten_bytes) + " unwritten");
    if (file.shared_bytes) bad.push_back(bytes_text(file.shared_bytes) + " shared with other files");
    if (bad.empty()) {
      settled++;
      continue;
    }
    finding.mark = Mark::fail;
    finding.evidence.push_back(fmt::format("{} ({}): {}", file.path, kind, fmt::join(bad, ", ")));
    finding.mends.push_back(fmt::format("holdfast hold {} --settle -- true", quoted(file.path)));
  }
  if (settled) finding.evidence.push_back(fmt::format("{} of {} settled", settled, fs.files.size()));
  return finding;
}

Finding online_repair(const Facts& facts) {
  const auto& fs = facts.filesystem;
  const std::string id = "filesystem.online-repair", what = "no repair drops what its files have in memory";
  if (fs.type != "xfs") return not_here(id, what, fs.type + " is not repaired while it is mounted");
  const bool can = std::any_of(facts.kernel.sources.begin(), facts.kernel.sources.end(),
                               [](const SourceHere& one) { return one.here && one.source->id == "online-repair"; });
  Finding finding{.id = id, .what = what, .evidence = {can ? "this kernel can repair a mounted XFS" : "this kernel can't repair a mounted XFS"}, .mends = {}};
  if (!can) return finding;
  if (dax(facts)) {
    finding.evidence.emplace_back("DAX files have no page cache that it could drop");
    return finding;
  }
  finding.mark = Mark::risk;
  finding.mends = {"systemctl mask --now xfs_scrub_all.timer; and don't run xfs_scrub on it"};
  return finding;
}

Finding listed(std::string id, std::string what, const std::vector<std::string>& list, Mark mark, std::string none) {
  Finding finding{.id = std::move(id), .what = std::move(what), .evidence = list, .mends = {}};
  if (list.empty())
    finding.evidence = {std::move(none)};
  else
    finding.mark = mark;
  return finding;
}

Finding swap_files(const Facts& facts) {
  auto finding = listed("filesystem.swap-files", "no file of it is swapped to", facts.filesystem.swap_files, Mark::fail, "/proc/swaps names none");
  for (const auto& file : facts.filesystem.swap_files) finding.mends.push_back("swapoff " + quoted(file));
  if (!finding.mends.empty()) finding.mends.emplace_back("and take its line out of /etc/fstab");
  return finding;
}

Finding loops(const Facts& facts) {
  std::vector<std::string> list;
  for (const auto& [device, file] : facts.filesystem.loops) list.push_back(fmt::format("{} is on {}", device, file));
  auto finding = listed("filesystem.loop-devices", "no loop device is on a file of it", list, Mark::fail, "none");
  if (!list.empty()) finding.evidence.emplace_back("discards on a loop device punch its file, past every hook");
  for (const auto& [device, file] : facts.filesystem.loops) finding.mends.push_back("losetup -d " + quoted(device));
  return finding;
}

Finding overlays(const Facts& facts) {
  std::vector<std::string> list;
  for (const auto& where : facts.filesystem.overlays) list.push_back("overlayfs on " + where);
  for (const auto& where : facts.filesystem.stacked) list.push_back("ecryptfs on " + where);
  auto finding = listed("filesystem.overlays", "nothing is stacked above it", list, Mark::risk, "no overlayfs and no ecryptfs above it");
  if (list.empty()) return finding;
  finding.evidence.emplace_back((facts.filesystem.kind & kPageCache) ? "through it O_DIRECT splices and attributes reach the page cache's files past every hook"
                                                                     : "a writer there may change a copy instead of the file that is registered");
  for (const auto& list_of : {facts.filesystem.overlays, facts.filesystem.stacked})
    for (const auto& where : list_of) finding.mends.push_back("umount " + quoted(where));
  return finding;
}

Finding exports(const Facts& facts) {
  std::vector<std::string> list;
  bool pnfs = false;
  for (const auto& one : facts.neighbours.exports) {
    pnfs = pnfs || one.pnfs;
    list.push_back(fmt::format("{}: {} by {}{}", one.where, one.path,
                               one.smb    ? "SMB"
                               : one.pnfs ? "NFS with pnfs"
                                          : "NFS",
                               one.options.empty() ? "" : " (" + one.options + ")"));
  }
  auto finding = listed("filesystem.exports", "it is not shared over the network", list, pnfs ? Mark::fail : Mark::risk, "no NFS export and no SMB share");
  if (list.empty()) return finding;
  finding.evidence.emplace_back(pnfs ? "pNFS hands blocks to clients, who write them without this machine"
                                     : "clients' operations meet the gate, but the breaker is then named as nfsd or smbd");
  for (const auto& one : facts.neighbours.exports) {
    if (one.smb)
      finding.mends.push_back(fmt::format("take the share out of {} and run smbcontrol all reload-config", one.where.substr(0, one.where.rfind(':'))));
    else
      finding.mends.push_back(fmt::format("{} {}, then exportfs -ra", one.pnfs ? "take pnfs out of" : "take the line out of", one.where));
  }
  return finding;
}

Finding targets(const Facts& facts) {
  auto finding = listed("filesystem.targets", "no SCSI or NVMe target has its store on it", facts.filesystem.targets, Mark::fail, "none");
  if (facts.filesystem.targets.empty()) return finding;
  finding.evidence.emplace_back("UNMAP punches the file, past every hook");
  finding.mends = {"targetcli: set attribute emulate_tpu=0 emulate_tpws=0 on the backstore, or delete it"};
  return finding;
}

constexpr std::array kChecks{Check{type},  Check{dax_mode}, Check{after_boot}, Check{writable}, Check{reflink},       Check{realtime},
                             Check{zoned}, Check{quotas},   Check{geometry},   Check{extents},  Check{online_repair}, Check{swap_files},
                             Check{loops}, Check{overlays}, Check{exports},    Check{targets}};

}  // namespace

std::span<const Check> filesystem_checks() { return kChecks; }

}  // namespace hf::qualify
