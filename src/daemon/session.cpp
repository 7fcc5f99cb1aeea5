// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "daemon/session.hpp"

#include <asio/redirect_error.hpp>
#include <asio/use_awaitable.hpp>
#include <algorithm>
#include <chrono>

#include "daemon/words.hpp"

namespace hf {
namespace {

/// A request is read only while fewer bytes than this wait for the client: one that asks and never reads is not answered any more.
constexpr std::size_t kAnswerBytesWaiting = 256 << 10;

template <std::size_t N>
void put_text(char (&field)[N], const std::string& text) {
  field[text.copy(field, N - 1)] = '\0';
}

hf_wire_event wire_event(hf_event_kind kind, LeaseId lease, const Denial& denial, std::uint64_t lost) {
  hf_wire_event event{};
  event.lease = lease;
  event.time_ns = denial.time_ns;
  event.kind = kind;
  event.op = denial.op;
  event.offset_bytes = denial.touched.first;
  event.length_bytes = denial.touched.end == HF_RANGE_END ? HF_RANGE_END : denial.touched.end - denial.touched.first;
  event.error = denial.error;
  event.breaker_pid = denial.breaker.pid;
  event.breaker_tid = denial.breaker.tid;
  event.breaker_uid = denial.breaker.uid;
  event.lost = lost;
  put_text(event.breaker_comm, denial.breaker.comm);
  put_text(event.breaker_exe, denial.breaker.executable.value.value_or(std::string()));
  return event;
}

Status no_descriptors(const Frame& frame) {
  return frame.descriptors.empty() ? Status{}
                                   : fail(EINVAL, "a descriptor came with a request that takes none", "Send descriptors with ACQUIRE or QUERY only.");
}

}  // namespace

Session::Session(SessionContext context, Socket socket, Peer peer)
    : context_(context), socket_(std::move(socket)), peer_(std::move(peer)), hello_timer_(socket_.get_executor()), drained_(socket_.get_executor()) {
  drained_.expires_at(asio::steady_timer::time_point::max());
}

asio::awaitable<void> Session::run() {
  const auto self = shared_from_this();
  hello_timer_.expires_after(std::chrono::seconds(kHelloTimeoutS));
  hello_timer_.async_wait([weak = weak_from_this()](asio::error_code error) {
    const auto session = weak.lock();
    if (!error && session && !session->greeted_) session->close();
  });
  while (!closed_) {
    Frame frame;
    const auto read = co_await next_frame(frame);
    if (!read) {
      refuse(reader_.cookie(), read.error());
      break;
    }
    if (!*read) break;
    co_await handle(std::move(frame));
    context_.stir();
    co_await drained();
  }
  close();
  set_watches(false);
  context_.core.owner_gone(this);
}

/// @return whether there was one: false at the end of the stream.
asio::awaitable<Result<bool>> Session::next_frame(Frame& frame) {
  // Mostly a client waits for its answer before it asks again: to look first would find nothing.
  for (bool look = reader_.ahead();; look = true) {
    if (closed_) co_return false;
    if (look) {
      const auto progress = reader_.read(socket_.native_handle(), frame);
      if (!progress) co_return tl::unexpected(progress.error());
      if (*progress != FrameReader::Progress::kWait) co_return *progress == FrameReader::Progress::kFrame;
    }
    asio::error_code error;
    co_await socket_.async_wait(Socket::wait_read, asio::redirect_error(asio::use_awaitable, error));
    if (error) co_return false;
  }
}

asio::awaitable<void> Session::drained() {
  while (!closed_ && outbox_.bytes() > kAnswerBytesWaiting) {
    asio::error_code error;
    co_await drained_.async_wait(asio::redirect_error(asio::use_awaitable, error));
  }
}

asio::awaitable<void> Session::handle(Frame frame) {
  const auto cookie = frame.header.cookie;
  if (!greeted_ && frame.header.kind != HF_WIRE_HELLO) {
    refuse(cookie, {EPROTO, "a connection begins with HELLO", "Use libholdfast or the holdfast command."});
    close();
    co_return;
  }
  switch (frame.header.kind) {
    case HF_WIRE_HELLO:
      if (const auto greeted = hello(frame); !greeted) {
        refuse(cookie, greeted.error());
        close();
      }
      break;
    case HF_WIRE_ACQUIRE:
      co_await handle_acquire(std::move(frame));
      break;
    case HF_WIRE_RELEASE:
      co_await handle_release(std::move(frame));
      break;
    case HF_WIRE_RECLAIM:
      answer(cookie, reclaim(frame));
      break;
    case HF_WIRE_RECALL_ANSWER:
      answer(cookie, recall_answer(frame));
      break;
    case HF_WIRE_QUERY:
      co_await query(std::move(frame));
      break;
    case HF_WIRE_SUBSCRIBE:
      answer(cookie, subscribe(frame));
      break;
    default:
      refuse(cookie, {ENOSYS, fmt::format("holdfastd knows no request {}", frame.header.kind), "Use a holdfastd as new as the library."});
  }
}

Status Session::hello(const Frame& frame) {
  HF_TRY(no_descriptors(frame));
  HF_TRY_ASSIGN(const auto theirs, only<hf_wire_hello>(frame.payload, "HELLO"));
  if (theirs.version != HF_WIRE_VERSION)
    return fail(EPROTONOSUPPORT, fmt::format("the client speaks version {} of the protocol, holdfastd version {}", theirs.version, HF_WIRE_VERSION),
                "Install libholdfast and holdfastd of the same release.");
  greeted_ = true;
  hello_timer_.cancel();
  hf_wire_hello ours{.version = HF_WIRE_VERSION, .abi_version = HF_ABI_VERSION};
  put_text(ours.software, "holdfastd " + context_.server.version);
  answer(HF_WIRE_HELLO, frame.header.cookie, bytes_of(ours));
  return {};
}

asio::awaitable<void> Session::handle_acquire(Frame frame) {
  const auto cookie = frame.header.cookie;
  if (watches_) {
    refuse(cookie, {EBUSY, "a connection that watches every event can't hold leases", "Use another connection."});
    co_return;
  }
  auto request = parse_acquire(peer_, frame.payload, std::move(frame.descriptors));
  if (!request) {
    refuse(cookie, request.error());
    co_return;
  }
  auto acquired = co_await acquire(context_.core, context_.pools, this, std::move(*request));
  if (!acquired)
    refuse(cookie, acquired.error());
  else if (acquired->pin)
    answer(HF_WIRE_ACQUIRED_PIN, cookie, bytes_of(acquired->lease), std::move(acquired->pin));
  else
    answer(HF_WIRE_ACQUIRED, cookie, bytes_of(acquired->lease));
}

/// A lease that holdfast-pin relies on ends a moment after the last mapping: who has let go of that may expect its end with the answer.
asio::awaitable<void> Session::handle_release(Frame frame) {
  using namespace std::chrono;
  constexpr auto kMost = seconds(1);
  const auto cookie = frame.header.cookie;
  const auto lease = release(frame);
  if (!lease) co_return refuse(cookie, lease.error());
  asio::steady_timer timer(socket_.get_executor());
  const auto until = steady_clock::now() + kMost;
  for (auto pause = milliseconds(1); !closed_ && context_.core.table().find(*lease) && steady_clock::now() < until; pause *= 2) {
    timer.expires_after(pause);
    asio::error_code error;
    co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, error));
  }
  answer(cookie, Status{});
}

Result<LeaseId> Session::release(const Frame& frame) {
  HF_TRY(no_descriptors(frame));
  HF_TRY_ASSIGN(const auto request, only<hf_wire_release>(frame.payload, "RELEASE"));
  HF_TRY(context_.core.release(request.lease, this));
  return request.lease;
}

Status Session::reclaim(const Frame& frame) {
  HF_TRY(no_descriptors(frame));
  HF_TRY_ASSIGN(const auto request, only<hf_wire_reclaim>(frame.payload, "RECLAIM"));
  return context_.core.reclaim(request.lease, request.token, peer_.process(), this);
}

Status Session::recall_answer(const Frame& frame) {
  HF_TRY(no_descriptors(frame));
  HF_TRY_ASSIGN(const auto given, only<hf_wire_recall_answer>(frame.payload, "RECALL_ANSWER"));
  if (!context_.recalls) return fail(ENOENT, fmt::format("lease {} is not being recalled", given.lease));
  return context_.recalls->answer(peer_.process(), given.lease, given.answer);
}

Status Session::subscribe(const Frame& frame) {
  HF_TRY(no_descriptors(frame));
  HF_TRY_ASSIGN(const auto request, only<hf_wire_subscribe>(frame.payload, "SUBSCRIBE"));
  if (request.flags & ~(HF_WIRE_SUBSCRIBE_OWN | HF_WIRE_SUBSCRIBE_ALL))
    return fail(EINVAL, fmt::format("unknown flags {:#x}", request.flags), "Use a holdfastd as new as the library.");
  own_events_ = request.flags & HF_WIRE_SUBSCRIBE_OWN;
  set_watches(request.flags & HF_WIRE_SUBSCRIBE_ALL);
  return {};
}

void Session::set_watches(bool watches) {
  if (watches == watches_) return;
  watches_ = watches;
  if (watches)
    context_.server.watchers++;
  else
    context_.server.watchers--;
}

asio::awaitable<void> Session::query(Frame frame) {
  const auto cookie = frame.header.cookie;
  if (frame.descriptors.size() > 1) {
    refuse(cookie, {EINVAL, "more than one descriptor came with a question", "Send one."});
    co_return;
  }
  if (context_.orders && is_order(frame.payload)) {
    auto file = frame.descriptors.empty() ? Fd() : std::move(frame.descriptors.front());
    const auto done = co_await context_.orders->carry_out(peer_, frame.payload, std::move(file));
    if (done)
      answer(HF_WIRE_JSON, cookie, *done);
    else
      refuse(cookie, done.error());
    co_return;
  }
  if (context_.histories) {
    const auto found = co_await context_.histories->answer(peer_, frame.payload);
    if (found && *found)
      answer(HF_WIRE_JSON, cookie, **found);
    else if (found)
      refuse(cookie, found->error());
    if (found) co_return;
  }
  const int fd = frame.descriptors.empty() ? -1 : frame.descriptors.front().get();
  const auto reply = answer_query(context_.core, context_.server, peer_, frame.payload, fd, this);
  if (reply)
    answer(HF_WIRE_JSON, cookie, *reply);
  else
    refuse(cookie, reply.error());
}

std::size_t Session::room() const { return Outbox::room(context_.server.connections); }

void Session::lease_denied(LeaseId lease, const Denial& denial) {
  // A connection that watches gets JSON only, as announcements.
  if (!own_events_ || watches_ || closed_) return;
  outbox_.event(room(), [&](std::uint64_t lost) { return frame_bytes(HF_WIRE_EVENT, 0, bytes_of(wire_event(HF_EVENT_DENIAL, lease, denial, lost))); });
  flush();
}

void Session::lease_escaped(LeaseId lease, const Escape& escape) {
  if (!own_events_ || watches_ || closed_) return;
  outbox_.event(room(), [&](std::uint64_t lost) { return frame_bytes(HF_WIRE_EVENT, 0, bytes_of(wire_event(HF_EVENT_ESCAPE, lease, escape.what, lost))); });
  flush();
}

void Session::lease_ended(LeaseId lease) {
  if (!own_events_ || watches_ || closed_) return;
  hf_wire_event event{};
  event.lease = lease;
  event.time_ns = boot_time_ns();
  event.kind = HF_EVENT_RELEASED;
  // At most one for each lease, so there is always room for it: a holder must not miss this.
  answer(HF_WIRE_EVENT, 0, bytes_of(event));
}

void Session::lease_recalled(LeaseId lease, hf_event_kind kind, std::uint64_t deadline_ns) {
  if (!own_events_ || watches_ || closed_) return;
  hf_wire_event event{};
  event.lease = lease;
  event.time_ns = boot_time_ns();
  event.kind = kind;
  event.deadline_ns = deadline_ns;
  outbox_.event(room(), [&](std::uint64_t lost) {
    event.lost = lost;
    return frame_bytes(HF_WIRE_EVENT, 0, bytes_of(event));
  });
  flush();
}

void Session::announce(const Announcement& announcement) {
  if (!watches_ || closed_) return;
  const auto concerned = [&] { return std::find(announcement.uids.begin(), announcement.uids.end(), peer_.uid) != announcement.uids.end(); };
  if (!peer_.root() && !concerned()) return;
  outbox_.event(room(), [&](std::uint64_t lost) {
    const auto json = lost ? fmt::format("{{\"lost\":{},{}", lost, announcement.json.substr(1)) : announcement.json;
    return frame_bytes(HF_WIRE_EVENT, 0, json);
  });
  flush();
}

void Session::answer(std::uint32_t kind, std::uint64_t cookie, std::string_view payload, Fd descriptor) {
  if (closed_) return;
  outbox_.answer(frame_bytes(kind, cookie, payload), std::move(descriptor));
  flush();
}

void Session::answer(std::uint64_t cookie, const Status& status) {
  if (status)
    answer(HF_WIRE_OK, cookie);
  else
    refuse(cookie, status.error());
}

void Session::refuse(std::uint64_t cookie, const Error& error) {
  if (closed_) return;
  outbox_.answer(error_frame(cookie, error));
  flush();
}

void Session::flush() {
  if (closed_ || sending_) return;
  const auto sent = outbox_.flush(socket_.native_handle());
  if (outbox_.bytes() <= kAnswerBytesWaiting) drained_.cancel();
  if (!sent) return close();
  if (*sent) return;
  sending_ = true;
  socket_.async_wait(Socket::wait_write, [self = shared_from_this()](asio::error_code error) {
    self->sending_ = false;
    if (!error) self->flush();
  });
}

void Session::close() {
  if (closed_) return;
  closed_ = true;
  asio::error_code ignored;
  hello_timer_.cancel();
  drained_.cancel();
  // Wakes whoever waits for it; the descriptor itself goes with the session, so that its number is not another's meanwhile.
  socket_.shutdown(Socket::shutdown_both, ignored);
  socket_.cancel(ignored);
}

}  // namespace hf
