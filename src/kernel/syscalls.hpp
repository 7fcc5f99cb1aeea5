// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// System calls in words.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace hf {

/// @param compat a 32-bit (i386) call. @return "" where the system's headers that Holdfast was built with don't know the number.
std::string_view syscall_name(std::int64_t number, bool compat);

/// The call as strace(1) would begin it: "ftruncate(3, 4096)". Arguments of calls that can't be break sources are plain hexadecimal.
std::string syscall_text(std::int64_t number, bool compat, const std::array<std::uint64_t, 6>& arguments);

/// "PUNCH_HOLE|KEEP_SIZE"
std::string fallocate_mode_text(std::uint64_t mode);
/// "FICLONE", or the number.
std::string ioctl_text(std::uint64_t command);

}  // namespace hf
