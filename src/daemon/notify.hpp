// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// How the daemon speaks to the operator and to the service manager: a few lines on standard error, and sd_notify(3)'s datagrams.
#pragma once

#include <string>
#include <string_view>

#include "base/result.hpp"

namespace hf {

enum class Priority { kError = 3, kWarning = 4, kNotice = 5, kInfo = 6 };

/// One line on standard error; with the priority that the journal understands ("<4>") where the journal reads it.
void log_line(Priority priority, std::string_view text);
void log_error(const Error& error);

/// "READY=1", "STOPPING=1", "STATUS=...". Does nothing where no service manager listens.
void notify_service_manager(const std::string& state);

}  // namespace hf
