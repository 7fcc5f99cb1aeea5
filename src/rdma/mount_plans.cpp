// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "rdma/mount_plans.hpp"

#include <fcntl.h>
#include <linux/stat.h>
#include <mntent.h>
#include <sys/stat.h>
#include <sys/statfs.h>

#include <cstring>
#include <fstream>
#include <set>
#include <sstream>

#include "base/dax.hpp"
#include "base/fd.hpp"
#include "holdfast_pin.h"

namespace hf::rdma {
namespace {

constexpr std::size_t kScratchPages = 16;

/// Blanks and backslashes in a path are \ooo there.
std::string unescape(const std::string& text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 3 < text.size()) {
      out += static_cast<char>(std::stoi(text.substr(i + 1, 3), nullptr, 8));
      i += 3;
    } else {
      out += text[i];
    }
  }
  return out;
}

int try_registration(ibv_pd* domain, const Scratch& memory, int access) {
  const MemoryRegion region(ibv_reg_mr(domain, memory.data(), memory.size(), access));
  return region ? 0 : errno;
}

PlanFound find(ibv_pd* domain, int fd, std::size_t bytes, const PlanQuestion& question, const MountFacts& mount) {
  const Scratch memory = Scratch::file(fd, bytes, question.writable);
  if (!memory)
    return {.plan = Plan::refused, .reason = fmt::format("a scratch file could not be mapped: {}", std::strerror(errno)), .mend = {}, .tried = false};
  Attempts attempts;
  int access = IBV_ACCESS_REMOTE_READ;
  if (question.writable) access |= IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE;
  for (const auto plan : plans_to_try(question)) {
    // Not without holdfastd, which binds for those who may hold the file.
    if (plan == Plan::pinned)
      return {.plan = plan, .reason = "holdfast-pin is loaded; not tried: hf_reg_mr() does it by way of holdfastd", .mend = {}, .tried = false};
    auto& outcome = plan == Plan::odp ? attempts.odp : attempts.plain;
    outcome = try_registration(domain, memory, access | (plan == Plan::odp ? IBV_ACCESS_ON_DEMAND : 0));
    if (*outcome == 0) return {.plan = plan, .reason = {}, .mend = {}, .tried = true};
  }
  auto why = refusal(question, attempts, "a file of " + mount.point);
  return {.plan = Plan::refused, .reason = why.message, .mend = why.hint, .tried = true};
}

}  // namespace

Result<std::vector<MountFacts>> holdable_mounts(const std::string& mountinfo) {
  static const std::set<std::string> kHoldable{"xfs", "ext4", "tmpfs", "hugetlbfs"};
  std::ifstream file(mountinfo);
  if (!file) return sys_error(errno ? errno : ENOENT, "open", mountinfo);
  std::set<std::string> seen;
  std::vector<MountFacts> mounts;
  for (std::string line; std::getline(file, line);) {
    // 36 35 98:0 /root /point options optional... - type source options
    std::istringstream words(line);
    std::string id, parent, device, root, point, word, type;
    words >> id >> parent >> device >> root >> point;
    while (words >> word && word != "-") {
    }
    if (!(words >> type) || !kHoldable.contains(type) || !seen.insert(device).second) continue;
    MountFacts mount{.point = unescape(point), .filesystem = type};
    struct statfs facts {};
    if (::statfs(mount.point.c_str(), &facts)) continue;  // hidden below another mount
    mount.magic = static_cast<std::uint32_t>(facts.f_type);
    mounts.push_back(std::move(mount));
  }
  return mounts;
}

MountPlan try_mount(ibv_pd* domain, const MountFacts& mount) {
  MountPlan found{.mount = mount, .backing = backing_of(mount.magic, false), .writer = {}, .reader = {}};
  const Fd file(::open(mount.point.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  struct statfs facts {};
  if (!file || ::fstatfs(file.get(), &facts)) {
    found.writer.reason = found.reader.reason = fmt::format("not tried: no scratch file can be made there ({})", std::strerror(errno));
    return found;
  }
  // f_bsize is the page on hugetlbfs, the block elsewhere.
  const auto bytes = static_cast<std::size_t>(std::max<long>(facts.f_bsize, 4096)) * (facts.f_bsize > 65536 ? 1 : kScratchPages);
  if (::ftruncate(file.get(), static_cast<off_t>(bytes))) {
    found.writer.reason = found.reader.reason = fmt::format("not tried: {}", std::strerror(errno));
    return found;
  }
  found.backing = backing_of(mount.magic, is_dax(file.get()));
  PlanQuestion question{
      .backing = found.backing, .writable = true, .adapter_odp = claims_odp(domain->context), .pin = ::access(HOLDFAST_PIN_DEVICE, F_OK) == 0};
  found.writer = find(domain, file.get(), bytes, question, mount);
  question.writable = false;
  // A reader's pages must be there: a hole can't be pinned for reading on every filesystem.
  const std::string zeroes(4096, '\0');
  for (std::size_t at = 0; at < bytes && facts.f_bsize <= 65536; at += zeroes.size())
    if (::pwrite(file.get(), zeroes.data(), zeroes.size(), static_cast<off_t>(at)) < 0) break;
  found.reader = find(domain, file.get(), bytes, question, mount);
  return found;
}

}  // namespace hf::rdma
