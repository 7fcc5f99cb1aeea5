// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// SHA-256, as hexadecimal text.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace hf::qualify {

std::string sha256(std::string_view bytes);
/// Of a file of any size; none where it can't be read.
std::optional<std::string> sha256_of_file(const std::string& path);

}  // namespace hf::qualify
