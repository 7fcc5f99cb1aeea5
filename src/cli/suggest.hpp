// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace hf::cli {

/// The one of `known` that `word` was probably meant to be; empty where none is near.
std::string nearest(std::string_view word, const std::vector<std::string>& known);

}  // namespace hf::cli
