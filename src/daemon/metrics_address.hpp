// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// Where metrics are served: "unix:/path", "127.0.0.1:9739", "[::1]:9739", or "none".
#pragma once

#include <sys/socket.h>

#include <string>

#include "base/result.hpp"

namespace hf {

struct MetricsAddress {
  sockaddr_storage bytes{};
  socklen_t length = 0;
  std::string path;  ///< of a Unix socket
};
/// @errors EINVAL for what is none of these, and for what other machines could reach
Result<MetricsAddress> metrics_address(const std::string& text);
/// Is it one of them, or "none"?
Status check_metrics_address(const std::string& text);

}  // namespace hf
