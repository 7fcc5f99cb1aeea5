// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// What an application asks for, and waiting for the answer. connection.cpp has what goes on beneath: reconnecting, replies, events.
#include "client/session.hpp"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

namespace hf::client {

namespace {

constexpr auto kUnsentSlice = std::chrono::milliseconds(20);

template <class T>
std::string_view bytes_of(const T& value) {
  return {reinterpret_cast<const char*>(&value), sizeof value};
}

std::string words(int error) { return std::generic_category().message(error); }

}  // namespace

Session::Session(std::string path, int timeout_ms) : path_(std::move(path)), owner_(getpid()), timeout_ms_(timeout_ms) {}

int Session::set_up() {
  epoll_ = Fd(epoll_create1(EPOLL_CLOEXEC));
  if (!epoll_) return -errno;
  waiting_ = Fd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!waiting_) return -errno;
  retry_ = Fd(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
  if (!retry_) return -errno;
  for (const int fd : {waiting_.get(), retry_.get()}) {
    epoll_event interest{};
    interest.events = EPOLLIN;
    if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &interest) != 0) return -errno;
  }
  return 0;
}

int Session::connect(const std::string& path, int timeout_ms, std::unique_ptr<Session>& session) {
  std::unique_ptr<Session> fresh(new Session(path, timeout_ms));
  if (const int error = fresh->set_up()) return error;
  Lock lock(fresh->mutex_);
  const auto until = fresh->deadline();
  // A full backlog (EAGAIN) is a daemon that is busy; everything else is an answer.
  for (int error; (error = fresh->open_channel()) != 0;) {
    if (error != -EAGAIN) return error;
    if (Clock::now() >= until) return -ETIMEDOUT;
    fresh->changed_.wait_until(lock, std::min(until, fresh->retry_at_));
  }
  while (!fresh->greeted_) {
    if (!fresh->channel_) return fresh->refused_ ? fresh->refused_ : -ECONNREFUSED;
    if (Clock::now() >= until) return -ETIMEDOUT;
    fresh->wait(lock, until);
  }
  lock.unlock();
  session = std::move(fresh);
  return 0;
}

Session::~Session() {
  Lock lock(mutex_);
  if (!channel_) return;
  // The daemon ends the leases with the connection; telling it in so many words makes that independent of when it sees the end.
  for (const auto& [id, lease] : leases_) {
    if (!lease->lost) channel_->queue(HF_WIRE_RELEASE, next_cookie_++, bytes_of(hf_wire_release{id}));
  }
  channel_->flush();
}

bool Session::foreign() const { return getpid() != owner_; }

void Session::close_in_child() {
  // No epoll_ctl() here: parent and child share the epoll's interest list. The memory is left as it is, since another thread of the parent may
  // have been in the middle of changing it when it was copied.
  if (channel_) ::close(channel_->socket());
  epoll_.reset();
  waiting_.reset();
  retry_.reset();
}

int Session::set_timeout(int timeout_ms) {
  Lock lock(mutex_);
  if (timeout_ms < 1) return fail(EINVAL, "a timeout must be at least 1 ms");
  timeout_ms_ = timeout_ms;
  return 0;
}

std::string Session::error_text() {
  Lock lock(mutex_);
  return error_text_;
}

int Session::fail(int error, std::string text) {
  error_text_ = std::move(text);
  return -error;
}

int Session::fail_reply(const Frame& reply) {
  hf_wire_error head{};
  if (reply.kind != HF_WIRE_ERROR || reply.payload.size() < sizeof head)
    return fail(EPROTO, "holdfastd answered with something that this library does not know");
  std::memcpy(&head, reply.payload.data(), sizeof head);
  if (head.error <= 0) return fail(EPROTO, "holdfastd answered with an error without a number");
  std::string text = reply.payload.substr(sizeof head, head.text_bytes);
  return fail(head.error, text.empty() ? words(head.error) : std::move(text));
}

/// Sends a request and waits for its reply; where the daemon goes away meanwhile, asks again when it is back.
int Session::call(Lock& lock, Purpose purpose, std::uint32_t kind, std::string_view payload, int fd, std::uint64_t lease, Call& result) {
  const auto until = deadline();
  for (;;) {
    if (const int error = open_channel()) {
      if (error == -EMFILE || error == -ENFILE || error == -ENOMEM || error == -EACCES) return fail(-error, "cannot reconnect to holdfastd: " + words(-error));
      if (Clock::now() >= until)
        return fail(ENOTCONN, "holdfastd went away and did not come back in time\n  Leases stand meanwhile. Next: systemctl start holdfastd");
      changed_.wait_until(lock, std::min(until, retry_at_));
      continue;
    }
    auto mine = std::make_shared<Call>();
    const std::uint64_t cookie = post(purpose, kind, payload, fd, lease, mine);
    send();
    while (!mine->done && !mine->broken) {
      if (Clock::now() >= until) {
        withdraw(cookie);
        return fail(ETIMEDOUT, "holdfastd did not answer within " + std::to_string(timeout_ms_) + " ms");
      }
      wait(lock, until);
    }
    if (mine->done) {
      result = std::move(*mine);
      return 0;
    }
    if (refused_) return fail(-refused_, error_text_);
  }
}

/// Waits until something may have changed: as the one who reads, or for the one who does.
void Session::wait(Lock& lock, Clock::time_point until) {
  if (!channel_) return;
  if (reading_) {
    // The reader may have begun to poll before there was something unsent, so it can't be relied on to see room for it.
    changed_.wait_until(lock, channel_->unsent() ? std::min(until, Clock::now() + kUnsentSlice) : until);
    if (channel_) advance();
    return;
  }
  const auto channel = channel_;
  pollfd interest{channel->socket(), static_cast<short>(channel->unsent() ? POLLIN | POLLOUT : POLLIN), 0};
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - Clock::now()).count();
  reading_ = true;
  lock.unlock();
  poll(&interest, 1, static_cast<int>(std::max<long>(left, 0)));
  lock.lock();
  reading_ = false;
  if (channel_ == channel) advance();
  changed_.notify_all();
}

/// Gives a request up: its reply may still come.
void Session::withdraw(std::uint64_t cookie) {
  const auto found = pending_.find(cookie);
  if (found == pending_.end()) return;
  Pending& pending = found->second;
  pending.call.reset();
  if (pending.purpose == Purpose::kReleaseLater) return;  // stays queued: the lease is to end
  if (channel_ && channel_->cancel(cookie)) {
    pending_.erase(found);
    return;
  }
  pending.purpose = pending.purpose == Purpose::kAcquire ? Purpose::kGiveBack : Purpose::kIgnore;
}

int Session::acquire(int fd, const hf_range* ranges, std::size_t count, std::uint32_t flags, std::string_view label, hf_lease_handle*& lease) {
  Lock lock(mutex_);
  if (fd < 0) return fail(EBADF, "not a file descriptor");
  if (count > HF_RANGES_MAX) return fail(E2BIG, "at most " + std::to_string(HF_RANGES_MAX) + " ranges in one lease");
  if (!ranges && count) return fail(EINVAL, "a count of ranges without ranges");
  if (flags & ~HF_ACQUIRE_SETTLE) return fail(EINVAL, "unknown flags");
  if (label.size() > HF_LABEL_MAX) return fail(EINVAL, "a label may have " + std::to_string(HF_LABEL_MAX) + " bytes");
  if (subscription_ & HF_WIRE_SUBSCRIBE_ALL) return fail(EBUSY, "a session that watches can't hold leases\n  Use another session.");

  hf_wire_acquire head{};
  head.flags = flags & HF_ACQUIRE_SETTLE ? HF_WIRE_ACQUIRE_SETTLE : 0;
  head.ranges = static_cast<__u32>(std::max<std::size_t>(count, 1));
  std::memcpy(head.label, label.data(), label.size());
  std::string payload(bytes_of(head));
  if (!count) payload += bytes_of(hf_wire_range{0, 0});
  for (std::size_t i = 0; i < count; ++i) payload += bytes_of(hf_wire_range{ranges[i].offset_bytes, ranges[i].length_bytes});

  Call result;
  if (const int error = acquire(lock, fd, payload, result)) return error;
  lease = result.acquired;
  return 0;
}

int Session::acquire_pin(int fd, const hf_range& range, std::string_view label, hf_lease_handle*& lease, int& pin) {
  Lock lock(mutex_);
  if (fd < 0) return fail(EBADF, "not a file descriptor");
  if (label.size() > HF_LABEL_MAX) return fail(EINVAL, "a label may have " + std::to_string(HF_LABEL_MAX) + " bytes");
  if (subscription_ & HF_WIRE_SUBSCRIBE_ALL) return fail(EBUSY, "a session that watches can't hold leases\n  Use another session.");
  hf_wire_acquire head{};
  head.flags = HF_WIRE_ACQUIRE_PIN;
  head.ranges = 1;
  std::memcpy(head.label, label.data(), label.size());
  std::string payload(bytes_of(head));
  payload += bytes_of(hf_wire_range{range.offset_bytes, range.length_bytes});
  Call result;
  if (const int error = acquire(lock, fd, payload, result)) return error;
  lease = result.acquired;
  pin = result.pin.release();
  return 0;
}

int Session::acquire(Lock& lock, int fd, std::string_view payload, Call& result) {
  if (!subscription_) {
    // Ahead of the request, so that not even the first denial can be missed.
    subscription_ = HF_WIRE_SUBSCRIBE_OWN;
    if (channel_) post(Purpose::kIgnore, HF_WIRE_SUBSCRIBE, bytes_of(hf_wire_subscribe{subscription_, 0}), -1, 0, nullptr);
  }
  if (const int error = call(lock, Purpose::kAcquire, HF_WIRE_ACQUIRE, payload, fd, 0, result)) return error;
  return result.acquired ? 0 : fail_reply(result.reply);
}

int Session::release(hf_lease_handle* lease) {
  Lock lock(mutex_);
  const std::uint64_t id = lease->id;
  if (lease->lost) {
    leases_.erase(id);
    return 0;
  }
  lease->releasing = true;
  Call result;
  const int error = call(lock, Purpose::kReleaseLater, HF_WIRE_RELEASE, bytes_of(hf_wire_release{id}), -1, id, result);
  if (error) {
    if (const auto found = leases_.find(id); found != leases_.end()) found->second->orphaned = true;
    arm_retry();
    return error;
  }
  leases_.erase(id);
  if (result.reply.kind == HF_WIRE_OK) return 0;
  const int refused = fail_reply(result.reply);
  return refused == -ENOENT ? 0 : refused;
}

int Session::recall_answer(std::uint64_t lease, std::uint32_t answer) {
  Lock lock(mutex_);
  // Ahead of the answer, which may end the lease: that is no loss then.
  const auto found = leases_.find(lease);
  const bool ends = answer == HF_RECALL_FENCED && found != leases_.end();
  const bool lost_before = ends && std::exchange(found->second->lost, true);
  Call result;
  int error = call(lock, Purpose::kCall, HF_WIRE_RECALL_ANSWER, bytes_of(hf_wire_recall_answer{lease, answer, 0}), -1, 0, result);
  if (!error && result.reply.kind != HF_WIRE_OK) error = fail_reply(result.reply);
  if (error && ends) {
    if (const auto still = leases_.find(lease); still != leases_.end()) still->second->lost = lost_before;
  }
  return error;
}

int Session::query(std::string_view request, int fd, std::string& json) {
  Lock lock(mutex_);
  if (request.size() > HF_WIRE_MAX) return fail(EMSGSIZE, "a request may have 16 MiB");
  Call result;
  if (const int error = call(lock, Purpose::kCall, HF_WIRE_QUERY, request, fd, 0, result)) return error;
  if (result.reply.kind != HF_WIRE_JSON) return fail_reply(result.reply);
  json = std::move(result.reply.payload);
  return 0;
}

int Session::watch() {
  Lock lock(mutex_);
  if (subscription_ & HF_WIRE_SUBSCRIBE_ALL) return 0;
  if (subscription_) return fail(EBUSY, "a session that holds leases can't watch\n  Use another session.");
  Call result;
  const hf_wire_subscribe everything{HF_WIRE_SUBSCRIBE_ALL, 0};
  // Events may arrive together with the reply: they must be known for JSON by then.
  subscription_ = HF_WIRE_SUBSCRIBE_ALL;
  int error = call(lock, Purpose::kCall, HF_WIRE_SUBSCRIBE, bytes_of(everything), -1, 0, result);
  if (!error && result.reply.kind != HF_WIRE_OK) error = fail_reply(result.reply);
  if (error) subscription_ = 0;
  return error;
}

int Session::next_event(hf_lease_event& event) {
  Lock lock(mutex_);
  if (!channel_ && wants_connection()) open_channel();
  advance();
  if (events_.empty()) return 0;
  event = events_.front();
  event.lost_events += std::exchange(dropped_, 0);
  events_.pop_front();
  if (events_.empty()) signal(false);
  return 1;
}

int Session::next_watch_event(std::string& json) {
  Lock lock(mutex_);
  if (!(subscription_ & HF_WIRE_SUBSCRIBE_ALL)) return fail(EINVAL, "this session does not watch: hf_watch() first");
  if (!channel_) open_channel();
  advance();
  if (dropped_) {
    json = "{\"event\":\"dropped\",\"count\":" + std::to_string(std::exchange(dropped_, 0)) + "}";
    return 1;
  }
  if (watched_.empty()) return 0;
  json = std::move(watched_.front());
  watched_.pop_front();
  if (watched_.empty()) signal(false);
  return 1;
}

}  // namespace hf::client
