// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// LeaseTable::check(): every index holds exactly what the leases say, found by another way than the one that maintains it.
#include <algorithm>

#include "lease/table.hpp"

namespace hf {

namespace {

template <class... Part>
auto disagreement(fmt::format_string<Part...> format, Part&&... parts) {
  return fail(EUCLEAN, "lease table: " + fmt::format(format, std::forward<Part>(parts)...));
}

Status check_lease(LeaseId id, const Lease& lease) {
  if (id == 0 || lease.id != id) return disagreement("lease {} is kept as {}", lease.id, id);
  for (std::size_t i = 1; i < lease.files.size(); i++)
    if (!(lease.files[i - 1].key < lease.files[i].key)) return disagreement("files of lease {} are not in order", id);
  for (const LeasedFile& file : lease.files)
    for (const ExtentSet* set : {&file.extents, &file.unprotected})
      for (auto at = set->begin(); at != set->end(); ++at) {
        if (at->empty()) return disagreement("lease {} has an empty extent", id);
        if (at != set->begin() && (at - 1)->end >= at->first) return disagreement("extents of lease {} touch", id);
      }
  return {};
}

}  // namespace

Status LeaseTable::check() const {
  std::map<hf_file_key, Ids> files;
  std::map<ProcessKey, Ids> processes;
  std::map<std::uint32_t, std::size_t> users;
  for (const auto& [id, lease] : leases_) {
    HF_TRY(check_lease(id, lease));
    for (const LeasedFile& file : lease.files) files[file.key].insert(id);
    processes[lease.holder.process()].insert(id);
    ++users[lease.holder.uid];
  }
  if (by_file_.size() != files.size()) return disagreement("{} files are indexed, leases have {}", by_file_.size(), files.size());
  for (const auto& [key, ids] : files) {
    auto at = by_file_.find(key);
    if (at == by_file_.end() || at->second != ids)
      return disagreement("leases of inode {} on device {:#x} are indexed wrongly", std::uint64_t{key.inode}, std::uint32_t{key.device});
  }
  if (by_process_ != processes) return disagreement("the index by process differs");
  if (by_user_.size() != users.size() || !std::all_of(users.begin(), users.end(), [&](const auto& user) { return count_of_user(user.first) == user.second; }))
    return disagreement("the counts by user differ");
  return {};
}

}  // namespace hf
