// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// The report's page (report/page.html, style.css, page.js) as the build has put it together.
#pragma once

#include <string_view>

namespace hf::qualify {

extern const std::string_view kPage;

}  // namespace hf::qualify
