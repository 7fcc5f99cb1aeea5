// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "daemon/metrics_server.hpp"

#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <asio/buffer.hpp>
#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/read_until.hpp>
#include <asio/redirect_error.hpp>
#include <asio/steady_timer.hpp>
#include <asio/use_awaitable.hpp>
#include <asio/write.hpp>
#include <chrono>

#include "base/fd.hpp"

namespace hf {
namespace {

constexpr auto kRequestTime = std::chrono::seconds(5);
Result<Fd> listener_at(const std::string& text, const MetricsAddress& address) {
  Fd socket(::socket(address.bytes.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket) return sys_error(errno, "socket", text);
  const int yes = 1;
  if (address.path.empty()) ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  struct stat status {};
  // The daemon's own lock has been taken: a socket that is there is one that nobody serves.
  if (!address.path.empty() && ::lstat(address.path.c_str(), &status) == 0 && S_ISSOCK(status.st_mode)) ::unlink(address.path.c_str());
  if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address.bytes), address.length))
    return sys_error(errno, "bind", text, "Give another address: listen in [metrics]");
  // Counts and nothing else: as open as a loopback port.
  if (!address.path.empty() && ::chmod(address.path.c_str(), 0666)) return sys_error(errno, "chmod", address.path);
  if (::listen(socket.get(), 16)) return sys_error(errno, "listen", text);
  return socket;
}

std::string http(std::string_view status, std::string_view type, std::string_view body) {
  return fmt::format("HTTP/1.1 {}\r\nContent-Type: {}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{}", status, type, body.size(), body);
}

}  // namespace

void MetricsServer::close() {
  asio::error_code ignored;
  if (acceptor_) acceptor_->close(ignored);
  acceptor_.reset();
  if (address_.starts_with("unix:")) ::unlink(address_.c_str() + 5);
  address_ = "none";
}

Status MetricsServer::listen(const std::string& address) {
  if (address == address_) return {};
  if (address == "none") {
    close();
    return {};
  }
  HF_TRY_ASSIGN(const auto parsed, metrics_address(address));
  HF_TRY_ASSIGN(auto socket, listener_at(address, parsed));
  close();
  auto acceptor = std::make_shared<Acceptor>(io_);
  asio::error_code error;
  acceptor->assign(Protocol(parsed.bytes.ss_family, 0), socket.get(), error);
  if (error) return fail(error.value(), "metrics can't be served: " + error.message());
  socket.release();
  acceptor_ = acceptor;
  address_ = address;
  asio::co_spawn(io_, accept(std::move(acceptor)), asio::detached);
  return {};
}

asio::awaitable<void> MetricsServer::accept(std::shared_ptr<Acceptor> acceptor) {
  for (;;) {
    auto socket = std::make_shared<Protocol::socket>(io_);
    asio::error_code error;
    co_await acceptor->async_accept(*socket, asio::redirect_error(asio::use_awaitable, error));
    if (error == asio::error::operation_aborted || !acceptor->is_open()) co_return;
    if (!error && connections_ < kConnectionsMax) asio::co_spawn(io_, serve(std::move(socket)), asio::detached);
    if (!error) continue;
    asio::steady_timer pause(io_, std::chrono::milliseconds(100));
    co_await pause.async_wait(asio::redirect_error(asio::use_awaitable, error));
  }
}

asio::awaitable<void> MetricsServer::serve(std::shared_ptr<Protocol::socket> socket) {
  connections_++;
  asio::steady_timer limit(io_, kRequestTime);
  limit.async_wait([socket](asio::error_code error) {
    asio::error_code ignored;
    if (!error) socket->close(ignored);
  });
  std::string request;
  asio::error_code error;
  co_await asio::async_read_until(*socket, asio::dynamic_buffer(request, kRequestBytesMax), "\r\n\r\n", asio::redirect_error(asio::use_awaitable, error));
  if (!error) {
    const auto answer = response(request);
    co_await asio::async_write(*socket, asio::buffer(answer), asio::redirect_error(asio::use_awaitable, error));
  }
  limit.cancel();
  connections_--;
}

std::string MetricsServer::response(std::string_view request) const {
  const auto line = request.substr(0, request.find("\r\n"));
  const auto asks = [&](std::string_view path) { return line.starts_with(fmt::format("GET {} ", path)) || line.starts_with(fmt::format("GET {}?", path)); };
  if (asks("/metrics")) {
    const auto form = request.find("application/openmetrics-text") != std::string_view::npos ? MetricsText::Form::kOpenMetrics : MetricsText::Form::kPrometheus;
    return http("200 OK", MetricsText::content_type(form), answers_.metrics(form));
  }
  if (asks("/health")) {
    const auto health = answers_.health();
    return health ? http("200 OK", "text/plain", "ok\n") : http("503 Service Unavailable", "text/plain", health.error().text() + "\n");
  }
  if (!line.starts_with("GET ")) return http("405 Method Not Allowed", "text/plain", "GET /metrics, GET /health\n");
  return http("404 Not Found", "text/plain", "There are /metrics and /health.\n");
}

}  // namespace hf
