// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// The session's connection: opening, losing and finding it again, and what arrives over it. Nothing here waits; the session's mutex is held throughout.
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <utility>

#include "client/session.hpp"

namespace hf::client {

namespace {

constexpr auto kBackoffFirst = std::chrono::milliseconds(20);
constexpr auto kBackoffMost = std::chrono::milliseconds(1000);

template <class T>
std::string_view bytes_of(const T& value) {
  return {reinterpret_cast<const char*>(&value), sizeof value};
}

template <class T>
bool read_head(const Frame& frame, T& head) {
  if (frame.payload.size() < sizeof head) return false;
  std::memcpy(&head, frame.payload.data(), sizeof head);
  return true;
}

std::uint64_t boot_time_ns() {
  timespec now{};
  clock_gettime(CLOCK_BOOTTIME, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000u + static_cast<std::uint64_t>(now.tv_nsec);
}

int error_of(const Frame& frame) {
  hf_wire_error head{};
  return frame.kind == HF_WIRE_ERROR && read_head(frame, head) && head.error > 0 ? head.error : EPROTO;
}

}  // namespace

bool Session::wants_connection() const { return !leases_.empty() || (subscription_ & HF_WIRE_SUBSCRIBE_ALL); }

int Session::open_channel() {
  if (channel_) return 0;
  const auto now = Clock::now();
  if (now < retry_at_) return -EAGAIN;
  Fd socket;
  int error = Channel::connect(path_, socket);
  if (!error) {
    epoll_event interest{};
    interest.events = EPOLLIN | EPOLLRDHUP;
    if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, socket.get(), &interest) != 0) error = -errno;
  }
  if (error) {
    backoff_ = std::clamp(backoff_ * 2, kBackoffFirst, kBackoffMost);
    retry_at_ = now + backoff_;
    arm_retry();
    return error;
  }
  channel_ = std::make_shared<Channel>(std::move(socket));
  greet();
  return 0;
}

/// HELLO and, after the daemon was away, all that it must know of this session, in one go: whatever a caller sends next comes after it.
void Session::greet() {
  greeted_ = false;
  refused_ = 0;
  hf_wire_hello hello{};
  hello.version = HF_WIRE_VERSION;
  hello.abi_version = HF_ABI_VERSION;
  std::snprintf(hello.software, sizeof hello.software, "libholdfast %s", hf_version());
  post(Purpose::kHello, HF_WIRE_HELLO, bytes_of(hello), -1, 0, nullptr);
  if (subscription_) post(Purpose::kIgnore, HF_WIRE_SUBSCRIBE, bytes_of(hf_wire_subscribe{subscription_, 0}), -1, 0, nullptr);
  for (const auto& [id, lease] : leases_) {
    if (lease->lost) continue;
    post(Purpose::kReclaim, HF_WIRE_RECLAIM, bytes_of(hf_wire_reclaim{id, lease->token}), -1, id, nullptr);
    if (lease->orphaned) post(Purpose::kReleaseLater, HF_WIRE_RELEASE, bytes_of(hf_wire_release{id}), -1, id, nullptr);
  }
  arm_retry();
}

std::uint64_t Session::post(Purpose purpose, std::uint32_t kind, std::string_view payload, int fd, std::uint64_t lease, std::shared_ptr<Call> call) {
  const std::uint64_t cookie = next_cookie_++;
  channel_->queue(kind, cookie, payload, fd);
  pending_[cookie] = Pending{purpose, std::move(call), lease};
  return cookie;
}

void Session::lose(int error) {
  // Closed when the last user lets go of it; until then the number stays taken, so the epoll must forget it by hand.
  epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, channel_->socket(), nullptr);
  channel_->shutdown();
  channel_.reset();
  if (greeted_) {
    backoff_ = kBackoffFirst;
    lost_once_ = true;
  } else {
    backoff_ = std::clamp(backoff_ * 2, kBackoffFirst, kBackoffMost);
    if (!refused_ && error == -EPROTO) {
      refused_ = -EPROTO;
      error_text_ = "what answers on " + path_ + " is not holdfastd";
    }
  }
  retry_at_ = Clock::now() + backoff_;
  for (auto& [cookie, pending] : pending_) {
    if (pending.call) pending.call->broken = true;
  }
  pending_.clear();
  arm_retry();
  changed_.notify_all();
}

/// Makes the event descriptor readable when it is time to try again (or to send what the socket did not take); else never.
void Session::arm_retry() {
  itimerspec when{};
  const bool unsent = channel_ && channel_->unsent();
  const bool wanted = unsent || (!channel_ && wants_connection());
  if (!wanted && !retry_armed_) return;
  retry_armed_ = wanted;
  if (wanted) {
    const auto left = unsent ? Clock::duration(kBackoffFirst) : std::max<Clock::duration>(retry_at_ - Clock::now(), std::chrono::microseconds(1));
    const auto ns = std::chrono::duration_cast<std::chrono::nanoseconds>(left).count();
    when.it_value = {ns / 1'000'000'000, ns % 1'000'000'000};
  }
  timerfd_settime(retry_.get(), 0, &when, nullptr);
}

/// Sends as much as goes without waiting. To read right behind a request would find nothing: who waits for the answer polls first.
void Session::send() {
  if (const int error = channel_->flush()) return lose(error);
  arm_retry();
}

/// Sends and reads as much as goes without waiting.
void Session::advance() {
  if (!channel_) return;
  const bool had_unsent = channel_->unsent();
  int error = channel_->flush();
  // A thread that polls must find what it polls for: reading it away from under it would leave it asleep.
  if (!error && !reading_) {
    error = channel_->receive();
    const auto channel = channel_;
    std::optional<Frame> frame;
    int framing = 0;
    while (channel_ == channel && (framing = channel->next(frame)) == 0 && frame) dispatch(std::move(*frame));
    if (framing) error = framing;
    if (channel_ != channel) return;
  }
  if (error) return lose(error);
  if (had_unsent) arm_retry();
}

void Session::dispatch(Frame&& frame) {
  if (frame.kind == HF_WIRE_EVENT) return on_event(frame);
  const auto found = pending_.find(frame.cookie);
  if (found == pending_.end()) return;
  Pending pending = std::move(found->second);
  pending_.erase(found);
  on_reply(pending, std::move(frame));
  changed_.notify_all();
}

void Session::on_reply(Pending& pending, Frame&& frame) {
  hf_wire_acquired acquired{};
  Fd pin;
  switch (pending.purpose) {
    case Purpose::kHello:
      return on_hello(frame);
    case Purpose::kReclaim:
      return on_reclaimed(pending.lease, frame);
    case Purpose::kReleaseLater:
      // With a caller, the caller forgets the lease: it still looks at the handle.
      if (!pending.call) leases_.erase(pending.lease);
      break;
    case Purpose::kAcquire:
    case Purpose::kGiveBack:
      // Taken in any case, so that descriptors and frames stay in step; one that nobody wants any more is closed, which ends its binding.
      if (frame.kind == HF_WIRE_ACQUIRED_PIN) pin = channel_->take_descriptor();
      if ((frame.kind != HF_WIRE_ACQUIRED && !pin) || !read_head(frame, acquired)) break;
      if (pending.purpose == Purpose::kGiveBack) {
        post(Purpose::kIgnore, HF_WIRE_RELEASE, bytes_of(hf_wire_release{acquired.lease}), -1, 0, nullptr);
        channel_->flush();
        break;
      }
      // Entered here and not by the caller: the connection may be lost before the caller runs, and then the lease must be among those reclaimed.
      leases_[acquired.lease] = std::make_unique<hf_lease_handle>(hf_lease_handle{this, acquired.lease, acquired.token});
      pending.call->acquired = leases_[acquired.lease].get();
      pending.call->pin = std::move(pin);
      break;
    case Purpose::kCall:
    case Purpose::kIgnore:
      break;
  }
  if (!pending.call) return;
  pending.call->reply = std::move(frame);
  pending.call->done = true;
}

void Session::on_hello(const Frame& frame) {
  hf_wire_hello hello{};
  if (frame.kind == HF_WIRE_HELLO && read_head(frame, hello) && hello.version == HF_WIRE_VERSION) {
    greeted_ = true;
    backoff_ = std::chrono::milliseconds(0);
    if (std::exchange(lost_once_, false) && (subscription_ & HF_WIRE_SUBSCRIBE_ALL)) push_watch("{\"event\":\"reconnected\"}");
    return;
  }
  if (frame.kind == HF_WIRE_ERROR) {
    refused_ = fail_reply(frame);
  } else {
    refused_ = fail(EPROTONOSUPPORT, "holdfastd and this library are of versions that can't talk to each other\n  Upgrade both, then restart holdfastd.");
  }
  lose(refused_);
}

void Session::on_reclaimed(std::uint64_t id, const Frame& frame) {
  const auto found = leases_.find(id);
  if (found == leases_.end() || found->second->releasing) return;
  hf_lease_event event{};
  event.lease_id = id;
  event.time_ns = boot_time_ns();
  event.kind = HF_LEASE_EVENT_RECLAIMED;
  if (frame.kind != HF_WIRE_OK) {
    found->second->lost = true;
    event.kind = HF_LEASE_EVENT_LOST;
    event.error = error_of(frame);
  }
  push(event);
}

void Session::on_event(const Frame& frame) {
  if (subscription_ & HF_WIRE_SUBSCRIBE_ALL) return push_watch(frame.payload);
  hf_wire_event wire{};
  if (!read_head(frame, wire)) return;
  const auto found = leases_.find(wire.lease);
  hf_lease_event event{};
  switch (wire.kind) {
    case HF_EVENT_DENIAL:
      event.kind = HF_LEASE_EVENT_DENIED;
      break;
    case HF_EVENT_ESCAPE:
      event.kind = HF_LEASE_EVENT_ESCAPED;
      break;
    case HF_EVENT_RECALL:
      event.kind = HF_LEASE_EVENT_RECALL;
      break;
    case HF_EVENT_FENCE:
      event.kind = HF_LEASE_EVENT_FENCE;
      break;
    case HF_EVENT_RECALL_OVER:
      event.kind = HF_LEASE_EVENT_RECALL_OVER;
      break;
    case HF_EVENT_RELEASED:
      if (found == leases_.end() || found->second->releasing || found->second->lost) return;
      found->second->lost = true;
      event.kind = HF_LEASE_EVENT_LOST;
      break;
    default:
      return;
  }
  event.lease_id = wire.lease;
  event.time_ns = wire.time_ns;
  event.operation = wire.op;
  event.offset_bytes = wire.offset_bytes;
  event.length_bytes = wire.length_bytes;
  event.error = wire.error;
  event.breaker_pid = wire.breaker_pid;
  event.breaker_tid = wire.breaker_tid;
  event.breaker_uid = wire.breaker_uid;
  event.deadline_ns = wire.deadline_ns;
  event.lost_events = wire.lost;
  static_assert(sizeof event.breaker_comm == sizeof wire.breaker_comm && sizeof event.breaker_exe == sizeof wire.breaker_exe);
  std::memcpy(event.breaker_comm, wire.breaker_comm, sizeof event.breaker_comm - 1);
  std::memcpy(event.breaker_exe, wire.breaker_exe, sizeof event.breaker_exe - 1);
  push(event);
}

void Session::push(const hf_lease_event& event) {
  if (events_.size() == kEventsWaitingMax) {
    dropped_ += 1 + events_.front().lost_events;
    events_.pop_front();
  }
  events_.push_back(event);
  signal(true);
}

void Session::push_watch(std::string json) {
  if (watched_.size() == kEventsWaitingMax) {
    ++dropped_;
    watched_.pop_front();
  }
  watched_.push_back(std::move(json));
  signal(true);
}

void Session::signal(bool readable) {
  eventfd_t value;
  if (readable) {
    (void)eventfd_write(waiting_.get(), 1);
  } else {
    (void)eventfd_read(waiting_.get(), &value);
  }
}

}  // namespace hf::client
