// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// The part of Core that deals with what surveys of registrations find: paths, warnings, and registrations that the kernel side left incomplete.
#include <algorithm>

#include "daemon/core.hpp"
#include "kernel/file_facts.hpp"

namespace hf {
namespace {

bool leased_already(const KernelLease& kernel, const SurveyedPart& part) {
  return std::any_of(kernel.parts.begin(), kernel.parts.end(), [&](const hf_part& known) {
    return known.file.inode == part.inode && known.file.device == part.device && known.slot != HF_NO_SLOT && known.first <= part.bytes.first &&
           part.bytes.end <= known.end;
  });
}

}  // namespace

void Core::request_survey(const Lease& lease, bool complete) {
  if (lease.reasons & HF_REASON_RANGE_UNKNOWN) return;  // nowhere to look
  hooks_.survey({.lease = lease.id, .process = lease.holder.process(), .address = lease.address, .length_bytes = lease.length_bytes, .keep_files = complete});
}

void Core::surveyed(SurveyRequest request, Survey result) {
  if (!table_.find(request.lease)) return;  // ended meanwhile
  if (request.keep_files) complete(request, result);
  note_survey(request.lease, result);
}

/// The registration that the kernel side could not look at gets its leases now, late: LATE says that its past is unknown.
void Core::complete(const SurveyRequest& request, Survey& result) {
  const auto kernel = gate_.lease(request.lease);
  if (!kernel || !*kernel) return refresh(request.lease);
  const auto lease = lease_from_kernel((*kernel)->record, (*kernel)->parts);
  std::uint32_t reasons = (lease.reasons & ~HF_REASON_VMA_BUSY) | HF_REASON_LATE;
  bool leased = result.missing.empty();
  for (auto& part : result.parts) {
    if (leased_already(**kernel, part)) continue;
    const auto before = reasons;
    if (const auto done = complete_part(lease, part, reasons); !done) {
      warnings_[request.lease].push_back(done.error().message);
      leased = false;
    }
    leased = leased && reasons == before;
  }
  if (!leased) reasons |= result.missing.empty() ? 0 : HF_REASON_VMA_BUSY;
  if (result.parts.empty() && leased) {
    (void)end(request.lease);  // anonymous memory only: nothing to protect
    return;
  }
  const auto committed = gate_.lease_commit(request.lease, leased ? HF_STATE_PROTECTED : HF_STATE_UNPROTECTED, reasons);
  if (!committed && committed.error().code != ENOENT) hooks_.report(committed.error());
  refresh(request.lease);
}

/// Leases one piece. @param reasons gets why it could not be
Status Core::complete_part(const Lease& lease, SurveyedPart& part, std::uint32_t& reasons) {
  if (!part.shared) return {};  // a private mapping's pages are its own copy
  if (!part.file) return fail(EIO, fmt::format("{} could not be opened", part.path));
  HF_TRY_ASSIGN(const auto seen, gate_.facts(part.file.get()));
  if (!supported_filesystem(seen.magic)) {
    reasons |= HF_REASON_FILESYSTEM;
    return {};
  }
  // A shared mapping can only be writable where its descriptor was.
  if (!part.writable) {
    reasons |= HF_REASON_NOT_WRITER;
    return {};
  }
  const hf_part wanted{.file = seen.file,
                       .first = part.bytes.first,
                       .end = part.bytes.end,
                       .magic = seen.magic,
                       .reasons = 0,
                       .slot = HF_NO_SLOT,
                       .flags = static_cast<__u8>(seen.flags)};
  const auto facts = file_facts(seen, part.path);
  HF_TRY_ASSIGN(const auto outcome, gate_.lease_part(lease.id, wanted, lease.holder.tgid, lease_page_shift(facts)));
  reasons |= outcome.reasons;
  return {};
}

void Core::add_known_paths(Lease& lease) const {
  for (auto& file : lease.files) {
    if (!file.path.empty()) continue;
    for (const auto* other : table_.on_file(file.key)) {
      const auto* known = other->on(file.key);
      if (known->path.empty()) continue;
      file.path = known->path;
      file.page_shift = known->page_shift;
      break;
    }
  }
}

void Core::note_survey(LeaseId id, const Survey& result) {
  const auto* found = table_.find(id);
  if (!found) return;
  auto lease = *found;
  std::vector<std::string> warnings;
  if (!result.missing.empty()) warnings.push_back("its files could not be looked at: " + result.missing);
  for (const auto& part : result.parts) {
    for (auto& file : lease.files) {
      // By inode and by what is leased of it: devices in /proc differ from the kernel's on filesystems with subvolumes.
      if (file.key.inode != part.inode || !(file.extents.overlaps(part.bytes) || file.unprotected.overlaps(part.bytes))) continue;
      file.path = part.path;
      if (part.page_shift) file.page_shift = part.page_shift;
    }
    for (const auto& warning : part.warnings) warnings.push_back(part.path + ": " + warning);
  }
  add_known_paths(lease);
  if (warnings.empty())
    warnings_.erase(id);
  else
    warnings_[id] = std::move(warnings);
  if (auto diff = table_.update(std::move(lease))) apply(std::move(*diff));
}

}  // namespace hf
