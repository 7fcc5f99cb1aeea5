// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// Which connection a lease belongs to, to be asked from both sides: one connection may have a million leases, and there may be thousands of connections.
#pragma once

#include <map>
#include <set>
#include <unordered_map>
#include <utility>

#include "lease/table.hpp"

namespace hf {

class LeaseOwner;

class Owners {
 public:
  /// @return nullptr where it belongs to no connection
  LeaseOwner* of(LeaseId lease) const {
    const auto found = owners_.find(lease);
    return found == owners_.end() ? nullptr : found->second;
  }
  void set(LeaseId lease, LeaseOwner* owner) {
    forget(lease);
    owners_.emplace(lease, owner);
    leases_[owner].insert(lease);
  }
  /// @return whose it was
  LeaseOwner* forget(LeaseId lease) {
    const auto found = owners_.find(lease);
    if (found == owners_.end()) return nullptr;
    auto* const owner = found->second;
    owners_.erase(found);
    const auto theirs = leases_.find(owner);
    theirs->second.erase(lease);
    if (theirs->second.empty()) leases_.erase(theirs);
    return owner;
  }
  /// @return what was that connection's
  std::set<LeaseId> forget_all(const LeaseOwner* owner) {
    const auto found = leases_.find(owner);
    if (found == leases_.end()) return {};
    auto leases = std::move(found->second);
    leases_.erase(found);
    for (const auto lease : leases) owners_.erase(lease);
    return leases;
  }

 private:
  std::unordered_map<LeaseId, LeaseOwner*> owners_;
  std::map<const LeaseOwner*, std::set<LeaseId>> leases_;
};

}  // namespace hf
