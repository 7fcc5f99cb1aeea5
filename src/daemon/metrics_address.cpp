// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "daemon/metrics_address.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <charconv>
#include <cstring>

namespace hf {
namespace {

constexpr const char* kForms = "unix:/run/holdfast/metrics.sock, 127.0.0.1:9739, [::1]:9739, or none";

tl::unexpected<Error> no_address(const std::string& text) {
  return fail(EINVAL, fmt::format("metrics can't be served on \"{}\"", text),
              fmt::format("Write {}. Other machines are served by a proxy that knows whom it lets in.", kForms));
}

}  // namespace

Result<MetricsAddress> metrics_address(const std::string& text) {
  MetricsAddress address;
  if (text.starts_with("unix:")) {
    auto& unix_address = reinterpret_cast<sockaddr_un&>(address.bytes);
    address.path = text.substr(5);
    if (address.path.empty() || address.path[0] != '/' || address.path.size() >= sizeof unix_address.sun_path) return no_address(text);
    unix_address.sun_family = AF_UNIX;
    std::memcpy(unix_address.sun_path, address.path.data(), address.path.size());
    address.length = sizeof unix_address;
    return address;
  }
  const auto colon = text.rfind(':');
  if (colon == std::string::npos) return no_address(text);
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data() + colon + 1, text.data() + text.size(), port);
  if (error != std::errc{} || end != text.data() + text.size() || !port) return no_address(text);
  auto host = text.substr(0, colon);
  auto& four = reinterpret_cast<sockaddr_in&>(address.bytes);
  if (host == "localhost") host = "127.0.0.1";
  if (::inet_pton(AF_INET, host.c_str(), &four.sin_addr) == 1) {
    if (ntohl(four.sin_addr.s_addr) >> 24 != 127) return no_address(text);
    four.sin_family = AF_INET;
    four.sin_port = htons(port);
    address.length = sizeof four;
    return address;
  }
  if (host != "[::1]") return no_address(text);
  auto& six = reinterpret_cast<sockaddr_in6&>(address.bytes);
  six.sin6_family = AF_INET6;
  six.sin6_addr = in6addr_loopback;
  six.sin6_port = htons(port);
  address.length = sizeof six;
  return address;
}

Status check_metrics_address(const std::string& text) {
  if (text == "none") return {};
  if (const auto parsed = metrics_address(text); !parsed) return tl::unexpected(parsed.error());
  return {};
}

}  // namespace hf
