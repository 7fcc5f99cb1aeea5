// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// One connection: reads requests one at a time, answers them, and tells of events. Ends with its socket, and its leases with it.
#pragma once

#include <asio/awaitable.hpp>
#include <asio/local/stream_protocol.hpp>
#include <asio/steady_timer.hpp>
#include <functional>
#include <memory>

#include "daemon/acquire.hpp"
#include "daemon/core.hpp"
#include "daemon/frame.hpp"
#include "daemon/histories.hpp"
#include "daemon/orders.hpp"
#include "daemon/outbox.hpp"
#include "daemon/queries.hpp"
#include "daemon/recalls.hpp"

namespace hf {

/// What a session uses of the rest; all of it outlives every session.
struct SessionContext {
  Core& core;
  Pools& pools;
  ServerFacts& server;
  Orders* orders = nullptr;  ///< what changes things; none in most tests
  Recalls* recalls = nullptr;
  Histories* histories = nullptr;
  std::function<void()> stir = [] {};  ///< called behind each request: it may have left housework
};

class Session final : public LeaseOwner, public std::enable_shared_from_this<Session> {
 public:
  using Socket = asio::local::stream_protocol::socket;
  static constexpr int kHelloTimeoutS = 10;

  Session(SessionContext context, Socket socket, Peer peer);

  /// Until the connection ends; then its leases have ended too.
  asio::awaitable<void> run();
  /// Ends the connection from this side, after what waits has been sent as far as the socket takes it.
  void close();

  void lease_denied(LeaseId lease, const Denial& denial) override;
  void lease_escaped(LeaseId lease, const Escape& escape) override;
  void lease_ended(LeaseId lease) override;
  void announce(const Announcement& announcement);
  /// Of a recall. @param deadline_ns CLOCK_BOOTTIME; 0: none
  void lease_recalled(LeaseId lease, hf_event_kind kind, std::uint64_t deadline_ns);

  bool watches() const { return watches_; }
  const Peer& peer() const { return peer_; }
  /// For tests and bounds: bytes that wait to be sent.
  std::size_t waiting_bytes() const { return outbox_.bytes(); }

 private:
  asio::awaitable<Result<bool>> next_frame(Frame& frame);
  asio::awaitable<void> handle(Frame frame);
  asio::awaitable<void> handle_acquire(Frame frame);
  asio::awaitable<void> drained();
  Status hello(const Frame& frame);
  Status subscribe(const Frame& frame);
  asio::awaitable<void> handle_release(Frame frame);
  Result<LeaseId> release(const Frame& frame);
  Status reclaim(const Frame& frame);
  Status recall_answer(const Frame& frame);
  asio::awaitable<void> query(Frame frame);

  void answer(std::uint32_t kind, std::uint64_t cookie, std::string_view payload = {}, Fd descriptor = {});
  std::size_t room() const;  ///< for events, in bytes
  void answer(std::uint64_t cookie, const Status& status);
  void refuse(std::uint64_t cookie, const Error& error);
  void flush();
  void set_watches(bool watches);

  SessionContext context_;
  Socket socket_;
  Peer peer_;
  asio::steady_timer hello_timer_;
  asio::steady_timer drained_;  ///< never expires: cancelled when the outbox has room again
  FrameReader reader_;
  Outbox outbox_;
  bool greeted_ = false;
  bool own_events_ = false;
  bool watches_ = false;
  bool sending_ = false;  ///< a wait for the socket to take more is under way
  bool closed_ = false;
};

}  // namespace hf
