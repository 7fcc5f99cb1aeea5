// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// What holdfastd says of one mount, out of its answer to {"query": "status"} (docs/json.md).
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "qualify/watcher.hpp"

namespace hf::qualify {

struct MountState {
  std::optional<bool> guarded;
  std::optional<std::uint32_t> seals;  ///< as hf_mount::seals
};

/// "259:3". @param device as the kernel encodes it (hf_file_key)
std::string device_text(std::uint32_t device);
/// @return nothing in it, where the answer does not name the device
MountState mount_state(const Json& status, std::uint32_t device);

}  // namespace hf::qualify
