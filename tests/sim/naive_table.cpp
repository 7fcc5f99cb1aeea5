// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "naive_table.hpp"

#include <cerrno>

namespace hf::sim {

std::set<std::uint64_t> touched(const NaiveTable& table, std::size_t file, const Bytes& bytes, std::uint32_t shift) {
  std::set<std::uint64_t> found;
  for (const auto& [id, lease] : table) {
    auto leased = lease.files.find(file);
    if (leased == lease.files.end()) continue;
    for (std::size_t i = 0; i <= kTail; i++) {
      if (!bytes[i]) continue;
      // Every byte of the same page. The tail has no page of that size, but it begins where one does.
      for (std::size_t j = i >> shift << shift; j <= kTail && j >> shift == i >> shift; j++)
        if (leased->second[j]) found.insert(id);
    }
  }
  return found;
}

int decide(const NaiveTable& table, std::size_t file, const Bytes& bytes, std::uint32_t task, bool sealed, std::uint32_t shift) {
  int error = 0;
  for (std::uint64_t id : touched(table, file, bytes, shift)) {
    const std::uint32_t tgid = table.at(id).tgid;
    if (tgid != 0 && tgid == task) return EDEADLK;
    error = ETXTBSY;
  }
  return error == 0 && sealed ? ETXTBSY : error;
}

std::set<std::size_t> files(const NaiveTable& table) {
  std::set<std::size_t> found;
  for (const auto& [id, lease] : table)
    for (const auto& [file, bytes] : lease.files) found.insert(file);
  return found;
}

}  // namespace hf::sim
