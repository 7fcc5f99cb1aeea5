// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// Leases of an etcd on this machine, by its JSON gateway, on one connection that stays open.
#pragma once

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <string_view>

#include "base/fd.hpp"

namespace hf::bench {

class EtcdClient {
 public:
  explicit EtcdClient(unsigned port) : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (!socket_ || ::connect(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) fail("connect");
    const int on = 1;
    (void)::setsockopt(socket_.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  }

  /// @return the lease's id
  std::string grant() { return post("/v3/lease/grant", R"({"TTL": "600"})").at("ID").get<std::string>(); }
  void revoke(const std::string& id) { post("/v3/lease/revoke", nlohmann::json{{"ID", id}}.dump()); }

 private:
  [[noreturn]] static void fail(const std::string& what) { throw std::runtime_error("etcd: " + what + ": " + std::strerror(errno)); }

  nlohmann::json post(std::string_view path, std::string_view body) {
    const auto request =
        fmt::format("POST {} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{}", path, body.size(), body);
    if (::send(socket_.get(), request.data(), request.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(request.size())) fail("send");
    std::string answer;
    std::size_t head = 0, length = 0;
    while (head == 0 || answer.size() < head + length) {
      char buffer[4096];
      const auto got = ::recv(socket_.get(), buffer, sizeof buffer, 0);
      if (got <= 0) fail("recv");
      answer.append(buffer, static_cast<std::size_t>(got));
      if (head == 0 && answer.find("\r\n\r\n") != std::string::npos) {
        head = answer.find("\r\n\r\n") + 4;
        length = content_length(answer);
      }
    }
    if (!answer.starts_with("HTTP/1.1 200 ")) throw std::runtime_error("etcd: " + answer);
    return nlohmann::json::parse(answer.begin() + static_cast<std::ptrdiff_t>(head), answer.end());
  }

  static std::size_t content_length(const std::string& answer) {
    constexpr std::string_view kName = "Content-Length: ";
    const auto at = answer.find(kName);
    std::size_t length = 0;
    if (at == std::string::npos || std::from_chars(answer.data() + at + kName.size(), answer.data() + answer.size(), length).ec != std::errc{})
      throw std::runtime_error("etcd: an answer without a length");
    return length;
  }

  Fd socket_;
};

}  // namespace hf::bench
