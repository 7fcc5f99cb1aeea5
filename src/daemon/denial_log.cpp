// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "daemon/denial_log.hpp"

#include <algorithm>

namespace hf {

std::shared_ptr<const Denial> DenialLog::add(Denial denial) {
  denial.number = ++total_;
  const auto kept = std::make_shared<const Denial>(std::move(denial));
  denials_.push_back(kept);
  if (denials_.size() > kRemembered) denials_.pop_front();

  if (const auto known = by_file_.find(kept->file); known != by_file_.end()) ages_.erase(known->second.age);
  ages_.push_back(kept->file);
  by_file_[kept->file] = {kept, std::prev(ages_.end())};
  if (ages_.size() > kFilesRemembered) {
    by_file_.erase(ages_.front());
    ages_.pop_front();
  }
  return kept;
}

std::vector<std::shared_ptr<const Denial>> DenialLog::last(std::size_t count) const {
  count = std::min(count, denials_.size());
  return {denials_.rbegin(), denials_.rbegin() + static_cast<std::ptrdiff_t>(count)};
}

std::shared_ptr<const Denial> DenialLog::last_on(const hf_file_key& file) const {
  const auto found = by_file_.find(file);
  return found == by_file_.end() ? nullptr : found->second.denial;
}

}  // namespace hf
