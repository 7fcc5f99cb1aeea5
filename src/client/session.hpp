// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// A session with holdfastd: calls by several threads over one channel, events, and the way back after the daemon was away.
//
// No thread of its own. Whoever waits for a reply reads for all (`reading_`); everybody else sleeps on `changed_`. The descriptor that the
// application polls is an epoll of three: the socket, an eventfd that is set while events wait, and a timer for the next try to reconnect.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/fd.hpp"
#include "client/channel.hpp"
#include "holdfast/holdfast.h"

namespace hf::client {
class Session;
}

/// Owned by its session.
struct hf_lease_handle {
  hf::client::Session* session = nullptr;
  std::uint64_t id = 0;
  std::uint64_t token = 0;
  bool lost = false;       ///< ended without our asking
  bool releasing = false;  ///< the application asked for its end
  bool orphaned = false;   ///< ... and could not be served: to be released when the daemon is back
};

namespace hf::client {

using Clock = std::chrono::steady_clock;

inline constexpr std::size_t kEventsWaitingMax = 1024;

class Session {
 public:
  static int connect(const std::string& path, int timeout_ms, std::unique_ptr<Session>& session);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  /// In a child of fork(): nothing here may be used, its mutex may be held by a thread that the child does not have.
  bool foreign() const;
  /// Closes a child's copies of the descriptors and leaves the rest alone.
  void close_in_child();

  int set_timeout(int timeout_ms);
  int acquire(int fd, const hf_range* ranges, std::size_t count, std::uint32_t flags, std::string_view label, hf_lease_handle*& lease);
  /// @param pin set to the binding's descriptor, which is then the caller's
  int acquire_pin(int fd, const hf_range& range, std::string_view label, hf_lease_handle*& lease, int& pin);
  int release(hf_lease_handle* lease);
  int recall_answer(std::uint64_t lease, std::uint32_t answer);
  int event_fd() const { return epoll_.get(); }
  int next_event(hf_lease_event& event);
  int watch();
  int next_watch_event(std::string& json);
  int query(std::string_view request, int fd, std::string& json);
  std::string error_text();

 private:
  using Lock = std::unique_lock<std::mutex>;

  /// A thread that waits for a reply.
  struct Call {
    bool done = false;
    bool broken = false;  ///< the connection went before the reply came
    Frame reply;
    hf_lease_handle* acquired = nullptr;
    Fd pin;  ///< of HF_WIRE_ACQUIRED_PIN
  };
  enum class Purpose { kCall, kAcquire, kHello, kReclaim, kReleaseLater, kGiveBack, kIgnore };
  struct Pending {
    Purpose purpose;
    std::shared_ptr<Call> call;
    std::uint64_t lease = 0;
  };

  Session(std::string path, int timeout_ms);
  int set_up();

  Clock::time_point deadline() const { return Clock::now() + std::chrono::milliseconds(timeout_ms_); }
  int fail(int error, std::string text);
  int fail_reply(const Frame& reply);

  int acquire(Lock& lock, int fd, std::string_view payload, Call& result);
  int call(Lock& lock, Purpose purpose, std::uint32_t kind, std::string_view payload, int fd, std::uint64_t lease, Call& result);
  void wait(Lock& lock, Clock::time_point until);
  void withdraw(std::uint64_t cookie);

  int open_channel();
  void greet();
  void lose(int error);
  void send();
  void advance();
  void arm_retry();
  bool wants_connection() const;
  std::uint64_t post(Purpose purpose, std::uint32_t kind, std::string_view payload, int fd, std::uint64_t lease, std::shared_ptr<Call> call);

  void dispatch(Frame&& frame);
  void on_reply(Pending& pending, Frame&& frame);
  void on_hello(const Frame& frame);
  void on_reclaimed(std::uint64_t lease, const Frame& frame);
  void on_event(const Frame& frame);
  void push(const hf_lease_event& event);
  void push_watch(std::string json);
  void signal(bool readable);

  std::mutex mutex_;
  std::condition_variable changed_;
  const std::string path_;
  const pid_t owner_;
  int timeout_ms_;
  Fd epoll_, waiting_, retry_;

  std::shared_ptr<Channel> channel_;  ///< shared with the thread that polls it: its number must not be reused under that thread
  bool reading_ = false;
  bool greeted_ = false;  ///< the daemon answered HELLO on this channel
  int refused_ = 0;       ///< the daemon's answer to HELLO, where it was an error
  std::uint32_t subscription_ = 0;
  std::uint64_t next_cookie_ = 1;
  std::unordered_map<std::uint64_t, Pending> pending_;
  Clock::time_point retry_at_{};
  std::chrono::milliseconds backoff_{0};
  bool retry_armed_ = false;
  bool lost_once_ = false;  ///< a watcher is told of the gap

  std::map<std::uint64_t, std::unique_ptr<hf_lease_handle>> leases_;
  std::deque<hf_lease_event> events_;
  std::deque<std::string> watched_;
  std::uint64_t dropped_ = 0;
  std::string error_text_;
};

}  // namespace hf::client
