// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// GET /metrics and GET /health, on a Unix socket or on a loopback address. Bounded: so many connections, so many bytes of a request, so many seconds.
#pragma once

#include <asio/awaitable.hpp>
#include <asio/generic/stream_protocol.hpp>
#include <asio/basic_socket_acceptor.hpp>
#include <asio/io_context.hpp>
#include <functional>
#include <memory>
#include <string>

#include "base/result.hpp"
#include "daemon/metrics.hpp"
#include "daemon/metrics_address.hpp"

namespace hf {

class MetricsServer {
 public:
  static constexpr std::size_t kConnectionsMax = 16;
  static constexpr std::size_t kRequestBytesMax = 8192;

  struct Answers {
    std::function<std::string(MetricsText::Form)> metrics;
    std::function<Status()> health;
  };
  MetricsServer(asio::io_context& io, Answers answers) : io_(io), answers_(std::move(answers)) {}
  ~MetricsServer() { close(); }

  /// Listens there from now on, as metrics_address() has it, or "none", and nowhere else. @errors what was before goes on where the new address can't be had
  Status listen(const std::string& address);
  const std::string& address() const { return address_; }

 private:
  using Protocol = asio::generic::stream_protocol;
  using Acceptor = asio::basic_socket_acceptor<Protocol>;

  asio::awaitable<void> accept(std::shared_ptr<Acceptor> acceptor);
  asio::awaitable<void> serve(std::shared_ptr<Protocol::socket> socket);
  std::string response(std::string_view request) const;
  void close();

  asio::io_context& io_;
  Answers answers_;
  std::string address_ = "none";
  std::shared_ptr<Acceptor> acceptor_;
  std::size_t connections_ = 0;
};

}  // namespace hf
