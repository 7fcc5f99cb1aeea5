// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "qualify/mount_state.hpp"

#include <fmt/format.h>

#include "kernel/paths.hpp"
#include "lease/seals.hpp"
#include "qualify/system_files.hpp"

namespace hf::qualify {

std::string device_text(std::uint32_t device) { return fmt::format("{}:{}", device_major(device), device_minor(device)); }

MountState mount_state(const Json& status, std::uint32_t device) {
  MountState state;
  const auto mounts = status.is_object() ? status.find("mounts") : status.end();
  if (!status.is_object() || mounts == status.end() || !mounts->is_array()) return state;
  for (const auto& mount : *mounts) {
    if (!mount.is_object() || mount.value("device", "") != device_text(device)) continue;
    state.guarded = mount.value("guarded", false);
    const auto names = words_of(mount.value("seals", ""));
    if (names == std::vector<std::string>{"none"})
      state.seals = 0;
    else if (const auto mask = seals_from_names(names))
      state.seals = *mask;
  }
  return state;
}

}  // namespace hf::qualify
